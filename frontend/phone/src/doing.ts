// What a person does with the phone, and the logs of how the servers took it.
import { computed } from 'vue'
import * as api from './api'
import type { MenuButton } from './contract'
import { chooseFan, openMini } from './moving'
import { addFan, readCodes, readThread } from './reading'
import { fan, kept, phone, sentence, tell, thread } from './store'
import { draftOf, put, type Draft, type LoggedRequest } from './thread'
import { noteAnswer, notePush } from './tried'

const LOG_LENGTH = 100

/** Creates a fan and picks up the phone as them. */
export async function createFan(nickname: string): Promise<void> {
  const made = await api.createFan(nickname)
  addFan(made)
  chooseFan(made.id)
}

let lastPush = 0

/** Does something in the current chat and logs how the account's server took it. */
export async function act(deed: api.Deed, label: string): Promise<boolean> {
  const { appid, fanId } = phone
  const target = kept(appid, fanId)
  const draft = draftOf(target, deed)
  if (draft) target.drafts.push(draft)
  try {
    const { message, push } = await api.act(appid, fanId, deed)
    if (message) put(target, message)
    const logged = { ...push, id: ++lastPush, at: Date.now(), label, kind: deed.kind, appid, fanId }
    phone.log.unshift(logged)
    notePush(logged, deed)
    phone.log.splice(LOG_LENGTH)
    if (push.outcome === 'not_connected') tell('这个账号还没有接入服务器，推送没有发出')
    // Without the live stream the answer would stay unseen.
    if (!target.online) void readThread(appid, fanId)
    return true
  } catch (error) {
    const waiting = draft && target.drafts.find((one) => one.message.id === draft.message.id)
    if (waiting) waiting.message.status = 'failed'
    tell(sentence(error))
    return false
  }
}

let lastRequest = 0

/** Logs what a mini-program asked of its server. */
export function noteRequest(request: Omit<LoggedRequest, 'id' | 'at'>): void {
  const logged = { ...request, id: ++lastRequest, at: Date.now() }
  phone.requests.unshift(logged)
  noteAnswer(logged)
  phone.requests.splice(LOG_LENGTH)
}

export const draftFor = (id: number): Draft | undefined => thread.value.drafts.find((one) => one.message.id === id)

/** Sends a failed message again. */
export function resend(id: number): void {
  const draft = draftFor(id)
  if (!draft) return
  thread.value.drafts.splice(thread.value.drafts.indexOf(draft), 1)
  void act(draft.deed, '重发')
}

/** The code through which whoever holds the phone would follow this account. */
export const scannedHere = computed(() => {
  const { scanned, appid, fanId } = phone
  return scanned?.appid === appid && scanned.fanId === fanId ? scanned : null
})

export async function follow(): Promise<void> {
  const scanned = scannedHere.value
  const done = scanned
    ? await act({ kind: 'scan', ticket: scanned.ticket }, '扫码关注')
    : await act({ kind: 'follow' }, '关注')
  if (!done) return
  if (scanned) phone.scanned = null
  if (!thread.value.following) await readThread(phone.appid, phone.fanId)
  if (scanned) void readCodes()
}

export async function unfollow(): Promise<void> {
  if (!(await act({ kind: 'unfollow' }, '取消关注'))) return
  if (thread.value.following) await readThread(phone.appid, phone.fanId)
}

/** Scans a code of the current account. As on a real phone, a stranger first sees whom they would follow. */
export async function scan(ticket: string): Promise<void> {
  phone.scanning = false
  phone.viewing = null
  if (!fan.value) {
    tell('请先选择或新建一位粉丝')
    return
  }
  phone.screen = 'chat'
  const { appid, fanId } = phone
  if (!thread.value.loaded) await readThread(appid, fanId)
  if (appid !== phone.appid || fanId !== phone.fanId) return // somebody else holds the phone meanwhile
  if (!thread.value.following) {
    phone.scanned = { appid, fanId, ticket }
    return
  }
  await act({ kind: 'scan', ticket }, '扫码')
  void readCodes()
}

/** Clicks a menu entry; one that leads to a page opens it in a new tab, as WeChat's browser would. */
export function clickMenu(path: number[], button: MenuButton, webAddress: string | null): void {
  if (button.type === 'view' && webAddress) window.open(webAddress, '_blank', 'noopener,noreferrer')
  void act({ kind: 'menu', path }, `菜单 ${button.name}`)
  if (button.type === 'miniprogram') openMiniPage(button.appid ?? '', button.pagepath ?? '')
}

/** Follows a link into a mini-program; the simulator runs one whose server is known, and names the others. */
export function openMiniPage(appid: string, path: string): void {
  const known = phone.accounts.some((one) => one.appid === appid && one.server)
  if (known) openMini(appid)
  else tell(`打开小程序 ${path}（模拟器里不运行小程序）`)
}
