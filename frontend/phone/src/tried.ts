// What there is to try, and what each fan has tried of it; kept by the browser, so that a reload forgets nothing.
import { reactive } from 'vue'
import type { Deed } from './api'
import { onRemembered, remember, remembered } from './remembered'
import type { LoggedPush, LoggedRequest } from './thread'

/** Something to try in a chat: any of these pushes does it. */
const IN_CHAT: { name: string; text: string; kinds: LoggedPush['kind'][]; mini?: true }[] = [
  { name: 'follow', text: '关注公众号，看欢迎语', kinds: ['follow', 'scan'] },
  { name: 'scan', text: '扫一个渠道二维码', kinds: ['scan'] },
  { name: 'menu', text: '点开底部菜单', kinds: ['menu'] },
  { name: 'talk', text: '说句话，比如“你好”', kinds: ['text'], mini: true },
  { name: 'show', text: '发一张图片或一个位置', kinds: ['image', 'location'], mini: true },
  { name: 'leave', text: '取消关注，再回来', kinds: ['unfollow'] },
]
/** Something to try in a mini-program: a request that went well does it. */
const IN_MINI: { name: string; text: string; done: (method: string, path: string) => boolean }[] = [
  { name: 'sign-in', text: '登录会员中心', done: (_, path) => path.endsWith('/sign-in') },
  { name: 'check-in', text: '签到，看积分和成长值变化', done: (method, path) => method === 'POST' && path.endsWith('/checkin') },
  { name: 'redeem', text: '换一份好礼', done: (_, path) => path.endsWith('/redeem') },
  { name: 'cancel', text: '取消兑换，积分退回', done: (_, path) => path.endsWith('/cancel') },
  { name: 'phone', text: '绑定手机号', done: (_, path) => path.endsWith('/phone') },
  { name: 'invite', text: '打开邀请好友，转发给另一位粉丝', done: (_, path) => path.endsWith('/invitation') },
]
const ANSWERED = { name: 'answered', text: '在公众号里发“签到”，再来看积分' }

const KEPT = 'fensi-phone/tried'

/** Names by fan and account; what an account answered is kept by fan alone. */
type Tried = Record<string, string[]>

const tried = reactive(remembered<Tried>(KEPT, {}))

/** Adds what other windows have noted: what was tried stays tried. */
function join(): void {
  for (const [key, names] of Object.entries(remembered<Tried>(KEPT, {}))) {
    tried[key] = [...new Set([...(tried[key] ?? []), ...names])]
  }
}
onRemembered(KEPT, join)

function note(key: string, names: string[]): void {
  const before = tried[key] ?? []
  const fresh = names.filter((name) => !before.includes(name))
  if (fresh.length === 0) return
  tried[key] = [...before, ...fresh]
  join()
  remember(KEPT, tried)
}

const keyOf = (appid: string, fanId: string) => `${fanId}/${appid}`

export function notePush({ appid, fanId, kind, outcome }: LoggedPush, deed: Deed): void {
  // What did not reach the account's server, or was not taken there, is still to be tried.
  if (outcome === 'failed' || outcome === 'not_connected') return
  note(keyOf(appid, fanId), IN_CHAT.filter(({ kinds }) => kinds.includes(kind)).map(({ name }) => name))
  if (deed.kind === 'text' && deed.content.trim() === '签到' && outcome === 'replied') note(fanId, [ANSWERED.name])
}

export function noteAnswer({ appid, fanId, method, path, status }: LoggedRequest): void {
  if (status === null || status >= 400) return
  note(keyOf(appid, fanId), IN_MINI.filter(({ done }) => done(method, path)).map(({ name }) => name))
}

export interface Hint {
  name: string
  text: string
  done: boolean
}

/** What to try in a chat; what a mini-program's chat has no part in is not suggested there. */
export function hintsInChat(appid: string, fanId: string, ofMini: boolean): Hint[] {
  const done = tried[keyOf(appid, fanId)] ?? []
  return IN_CHAT.filter(({ mini }) => mini || !ofMini).map(({ name, text }) => ({ name, text, done: done.includes(name) }))
}

export function hintsInMini(appid: string, fanId: string): Hint[] {
  const done = [...(tried[keyOf(appid, fanId)] ?? []), ...(tried[fanId] ?? [])]
  return [...IN_MINI, ANSWERED].map(({ name, text }) => ({ name, text, done: done.includes(name) }))
}
