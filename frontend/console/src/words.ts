// Moments and machine words as people read them.
const shanghai = (options: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat('zh-CN', { timeZone: 'Asia/Shanghai', hour12: false, ...options })
const FULL = shanghai({ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' })
const CLOCK = shanghai({ hour: '2-digit', minute: '2-digit' })
const DAY = shanghai({ year: 'numeric', month: '2-digit', day: '2-digit' })
const SHORT = shanghai({ month: 'numeric', day: 'numeric', hour: '2-digit', minute: '2-digit' })

/** 2026/03/09 12:00:00, Beijing time. */
export const fullTime = (at: string) => FULL.format(new Date(at))

/** 12:00, Beijing time. */
export const clockTime = (at: string) => CLOCK.format(new Date(at))

/** 刚刚, 5 分钟前, 今天 12:00, 昨天 12:00, 3/9 12:00. */
export function shortTime(at: string | null, now = new Date()): string {
  if (!at) return '—'
  const then = new Date(at)
  const minutes = Math.floor((now.getTime() - then.getTime()) / 60_000)
  if (minutes < 1) return '刚刚'
  if (minutes < 60) return `${minutes} 分钟前`
  const day = DAY.format(then)
  if (day === DAY.format(now)) return `今天 ${CLOCK.format(then)}`
  if (day === DAY.format(new Date(now.getTime() - 86_400_000))) return `昨天 ${CLOCK.format(then)}`
  return SHORT.format(then)
}

/** The states of a conversation. */
export const TALKS: Record<string, string> = { bot: '智能助手接待中', waiting: '排队中', staff: '人工接待中', closed: '已结束' }

/** Why somebody is called by a number: since December 2021 WeChat tells nobody's nickname. */
export const UNNAMED = '微信不再提供粉丝的昵称，本人在小程序填写后显示'

/** A browser and its system, as far as its own words tell. */
export function deviceOf(agent: string): string {
  const browser =
    /MicroMessenger/.test(agent) ? '微信' : /Edg\//.test(agent) ? 'Edge' : /Firefox\//.test(agent) ? 'Firefox' :
    /Chrome\//.test(agent) ? 'Chrome' : /Safari\//.test(agent) ? 'Safari' : '未知浏览器'
  const system =
    /Windows/.test(agent) ? 'Windows' : /iPhone|iPad/.test(agent) ? 'iOS' : /Android/.test(agent) ? 'Android' :
    /Mac OS X/.test(agent) ? 'macOS' : /Linux/.test(agent) ? 'Linux' : ''
  return system ? `${browser} · ${system}` : browser
}

// With what WeChat itself refused a message to a fan; until they act, the next ones stay here.
const REFUSED: Record<string, string> = {
  40003: '微信查无此粉丝', 43004: '粉丝没有关注', 43101: '粉丝没有订阅', 48002: '粉丝拒收消息', 50002: '粉丝的微信账号受限',
  45015: '超过微信允许的回复时间', 45047: '微信允许的条数已用完',
}

// For what our own gate refused it: how long and how many it was depends on what the fan did.
const GATE: Record<string, string> = {
  account_disabled: '账号已停用',
  no_capability: '账号未认证，不能发客服消息',
  not_following: '粉丝没有关注',
  window_closed: '已超过微信允许的回复时间',
  count_exhausted: '本次可发的条数已用完',
}

/** Why the door out refused a message, WeChat's reasons among them; null for what is no refusal. */
export function whyRefused(reason: string): string | null {
  if (reason.startsWith('picture_refused:')) return `微信拒绝了图片（错误码 ${reason.slice(16)}）`
  if (!reason.startsWith('refused:')) return GATE[reason] ?? null
  const code = reason.slice(8)
  return `微信刚拒绝过（${REFUSED[code] ?? `错误码 ${code}`}），等粉丝再次互动`
}
