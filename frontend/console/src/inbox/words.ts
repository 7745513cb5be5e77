// The inbox's machine words and moments, as people read them.
import type { ConversationPage, TranscriptLine } from '../generated/contract'
import { whyRefused } from '../words'

export const REASONS: Record<string, string> = {
  asked: '粉丝要求人工', unsure: '智能助手没有把握', rule: '按规则转人工', pulled: '客服主动接待', wechat: '微信客服', '': '',
}
/** How a message of ours ended; what is not here is on its way. */
export const DELIVERY: Record<string, { text: string; kind: 'ok' | 'busy' | 'bad' | 'unknown' }> = {
  pending: { text: '发送中', kind: 'busy' },
  claimed: { text: '发送中', kind: 'busy' },
  sending: { text: '发送中', kind: 'busy' },
  sent: { text: '已送达', kind: 'ok' },
  refused: { text: '未发出', kind: 'bad' },
  failed: { text: '发送失败', kind: 'bad' },
  unknown: { text: '结果未知', kind: 'unknown' },
}
const DETAILS: Record<string, string> = {
  'worker stopped while sending': '发送途中服务中断，可能已送达，请与粉丝确认后再补发',
}

/** Why a delivery ended as it did. */
export const detail = (line: TranscriptLine) =>
  whyRefused(line.detail) ?? DETAILS[line.detail] ?? (line.state === 'unknown' ? '微信没有回应，可能已送达，请与粉丝确认后再补发' : line.detail)

/** What a message of ours says, to be said again; null for what cannot be. */
export function contentOf(body: Record<string, unknown>): Record<string, unknown> | null {
  const type = String(body.msgtype)
  const said = body[type] as Record<string, unknown> | undefined
  const article = type === 'news' ? (said?.articles as Record<string, unknown>[] | undefined)?.[0] : undefined
  if (article) return { type, title: article.title, description: article.description, url: article.url, pic_url: article.picurl }
  return said && ['text', 'image', 'miniprogrampage'].includes(type) ? { type, ...said } : null
}

/** 12 秒, 3 分钟, 2 小时 5 分, 1 天 3 小时; of seconds. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds))
  if (s < 60) return `${s} 秒`
  const m = Math.floor(s / 60)
  if (m < 60) return `${m} 分钟`
  const h = Math.floor(m / 60)
  if (h < 24) return m % 60 ? `${h} 小时 ${m % 60} 分` : `${h} 小时`
  return h % 24 ? `${Math.floor(h / 24)} 天 ${h % 24} 小时` : `${Math.floor(h / 24)} 天`
}

/** Why nothing can be said now; empty when something can. */
export function obstacle(one: ConversationPage, now: number): string {
  if (one.state === 'closed') return '会话已结束'
  if (one.desk === 'wechat') return '这个会话由微信客服接待'
  if (one.state === 'waiting') return '会话在排队，接入后即可回复'
  if (one.state === 'bot') return '智能助手正在接待，接入后即可回复'
  if (!one.mine) return `${one.staff ?? '其他同事'}正在接待`
  if (!one.sendable.allowed) return one.sendable.title
  // The page is read anew this moment; then the server says why.
  if (one.sendable.until && Date.parse(one.sendable.until) <= now) return '可以回复的时间刚过'
  return ''
}

/** For how long what the fan did lets us answer, as WeChat has it. */
export const SCENES: Record<string, string> = {
  message: '粉丝发言后 48 小时内可以回复 5 条', menu: '粉丝点击菜单后 1 分钟内可以回复 3 条', follow: '粉丝关注后 1 分钟内可以回复 3 条',
  scan: '粉丝扫码后 1 分钟内可以回复 3 条', enter: '粉丝进入小程序客服后 1 分钟内可以回复 2 条',
}

/** What a fan did besides writing: 点击菜单「门店」, 扫码「门口海报」, 关注. */
export function actOf(line: TranscriptLine): string {
  const name = String(line.body.name ?? '')
  const title = line.kind === 'wechat.event.scan' ? '扫码' : line.title
  return name ? `${title}「${name}」` : title
}

const SHANGHAI = 'Asia/Shanghai'
const CLOCK = new Intl.DateTimeFormat('zh-CN', { timeZone: SHANGHAI, hour: '2-digit', minute: '2-digit', hour12: false })
const DAY = new Intl.DateTimeFormat('zh-CN', { timeZone: SHANGHAI, year: 'numeric', month: 'numeric', day: 'numeric' })
const MONTH_DAY = new Intl.DateTimeFormat('zh-CN', { timeZone: SHANGHAI, month: 'numeric', day: 'numeric', weekday: 'short' })

/** The natural day of a moment, to compare. */
export const dayOf = (at: string | number) => DAY.format(new Date(at))

/** 今天, 昨天, 3月9日周一. */
export function dayTitle(at: string, now: number): string {
  const day = dayOf(at)
  if (day === dayOf(now)) return '今天'
  if (day === dayOf(now - 86_400_000)) return '昨天'
  return MONTH_DAY.format(new Date(at))
}

/** What a list shows as a time: 12:00 today, else the day. */
export function listTime(at: string, now: number): string {
  if (dayOf(at) === dayOf(now)) return CLOCK.format(new Date(at))
  if (dayOf(at) === dayOf(now - 86_400_000)) return '昨天'
  return DAY.format(new Date(at)).replace(/^\d+\//, '')
}
