// The state of the page and everything a person can do with it.
import { computed, reactive, watch } from 'vue'
import * as api from './api'
import type { Account, Fan, MenuButton, QrCode } from './contract'
import { listen } from './live'
import { begin, goTo, onMoved, type Opened, type Place, type Screen } from './place'
import { draftOf, emptyThread, load, put, type Draft, type LoggedPush, type LoggedRequest, type Thread } from './thread'
import { noteAnswer, notePush } from './tried'

const LOG_LENGTH = 100

export const phone = reactive({
  ready: false,
  error: '',
  accounts: [] as Account[],
  fans: [] as Fan[],
  appid: '',
  fanId: '',
  screen: 'chat' as Screen,
  /** What the mini-program was opened with: the query of a forwarded card or of a link. */
  query: '',
  /** The pages opened in the mini-program, the one on top last; none: its first page. */
  pages: [] as Opened[],
  /** Where the phone was when a mini-program was opened over it. */
  beneath: null as Place['beneath'],
  /** The chat lies over the mini-program whose it is. */
  service: false,
  threads: {} as Record<string, Thread>,
  codes: [] as QrCode[],
  codesError: '',
  log: [] as LoggedPush[],
  requests: [] as LoggedRequest[],
  /** A code that a fan scanned before following: the profile offers them to follow through it. */
  scanned: null as { appid: string; fanId: string; ticket: string } | null,
  /** The picture or film that fills the phone's screen. */
  viewing: null as { kind: 'image' | 'video'; url: string } | null,
  scanning: false,
  notice: '',
  now: new Date(),
})

export const account = computed(() => phone.accounts.find((one) => one.appid === phone.appid) ?? null)
export const fan = computed(() => phone.fans.find((one) => one.id === phone.fanId) ?? null)

const key = (appid: string, fanId: string) => `${appid}/${fanId}`

/** What is known of this fan's conversation with an account; an empty one when nothing is. */
export const threadOf = (appid: string): Thread => phone.threads[key(appid, phone.fanId)] ?? emptyThread()
export const thread = computed(() => threadOf(phone.appid))

/** The conversation as the page keeps it, to be written to. */
const kept = (appid: string, fanId: string): Thread => {
  phone.threads[key(appid, fanId)] ??= emptyThread()
  return phone.threads[key(appid, fanId)]! // read back, so that changes are seen (the reactive one)
}

const sentence = (error: unknown) => (error instanceof Error ? error.message : '出错了')

let noticeTimer = 0
/** Shows a sentence over the phone for a moment. */
export function tell(text: string): void {
  phone.notice = text
  window.clearTimeout(noticeTimer)
  noticeTimer = window.setTimeout(() => (phone.notice = ''), 2_500)
}

// ---- where we are ---------------------------------------------------------------------------------

const here = (): Place => {
  const { appid, fanId, screen, query, pages, beneath, service } = phone
  return JSON.parse(JSON.stringify({ appid, fanId, screen, query, pages, beneath, service })) as Place
}

/** Goes where a link or the browser's history leads. Back changes the place, not who holds the phone. */
function move(place: Place, entered: boolean): void {
  const known = phone.fans.some((one) => one.id === place.fanId) ? place.fanId : ''
  const fanId = entered || !phone.fanId ? known : phone.fanId
  // What one fan was sent and has opened is not another's.
  const theirs = entered || fanId === place.fanId
  phone.appid = phone.accounts.some((one) => one.appid === place.appid) ? place.appid : (phone.accounts[0]?.appid ?? '')
  phone.fanId = fanId
  phone.screen = place.screen
  phone.query = theirs ? place.query : ''
  phone.pages = theirs ? place.pages : []
  phone.beneath = place.beneath
  phone.service = place.service
  phone.viewing = null
  phone.scanning = false
}

const inService = () => phone.screen === 'chat' && phone.service

export function openChat(appid: string): void {
  phone.service = appid === phone.appid && (phone.screen === 'mini' || inService())
  phone.appid = appid
  phone.screen = 'chat'
  phone.query = ''
  phone.pages = []
}

/** Leaves the chat: for the mini-program over which it lies, else for the list of chats. */
export function leaveChat(): void {
  if (inService()) return history.back()
  phone.screen = 'chats'
}

/** Opens a mini-program, as a card, a menu entry or the list of mini-programs does. */
export function openMini(appid: string, query = ''): void {
  const mini = phone.accounts.find((one) => one.appid === appid)
  if (!mini) return tell('模拟器里没有这个小程序')
  if (!mini.server) return tell('这个小程序还没有登记服务器域名')
  if (phone.screen !== 'mini' && !inService()) phone.beneath = { appid: phone.appid, screen: phone.screen }
  phone.appid = appid
  phone.screen = 'mini'
  phone.query = query
  phone.pages = []
  phone.service = false
}

/** Closes the mini-program and shows what was beneath it. */
export function closeMini(): void {
  if (phone.beneath) phone.appid = phone.beneath.appid
  phone.screen = phone.beneath?.screen ?? 'chats'
  phone.query = ''
  phone.pages = []
  phone.beneath = null
}

/** Chooses an account beside the phone: a mini-program opens, an official account shows its chat. */
export function chooseAccount(chosen: Account): void {
  if (chosen.kind === 'miniprogram' && chosen.server) return openMini(chosen.appid)
  openChat(chosen.appid)
}

export function chooseFan(id: string): void {
  // What one fan was sent is not the next one's; a link that nobody has opened yet is for whoever comes.
  if (phone.fanId) phone.query = ''
  phone.pages = []
  phone.fanId = id
}

// ---- reading ------------------------------------------------------------------------------------

/** Reads the accounts and fans; called at the start and to try again. */
export async function start(): Promise<void> {
  try {
    const { accounts, fans } = await api.readState()
    phone.accounts = accounts
    phone.fans = fans
    phone.error = ''
    move(begin(), true)
    phone.ready = true
  } catch (error) {
    phone.error = sentence(error)
  }
}

let created = 0 // fans made by this page

/** Looks for accounts, fans and codes that came since; failures show elsewhere (the chat says when it is offline). */
async function refresh(): Promise<void> {
  if (document.hidden) return
  if (!phone.ready || !phone.appid) return start()
  const before = created
  try {
    const { accounts, fans } = await api.readState()
    if (created !== before) return // a reading from before our new fan would lose them
    phone.accounts = accounts
    phone.fans = fans
  } catch {
    return
  }
  await readCodes()
}

async function readThread(appid: string, fanId: string): Promise<void> {
  const target = kept(appid, fanId)
  const before = new Set(target.messages.map((message) => message.id))
  try {
    load(target, await api.readThread(appid, fanId), before)
  } catch (error) {
    target.error = sentence(error)
  }
}

/** Reads every conversation of this fan, for the list of conversations. */
export async function readAllThreads(): Promise<void> {
  const { fanId } = phone
  if (!fanId) return
  await Promise.all(phone.accounts.map(({ appid }) => readThread(appid, fanId)))
}

export async function readCodes(): Promise<void> {
  const { appid } = phone
  if (!appid) return
  try {
    const codes = await api.readQrCodes(appid)
    if (appid === phone.appid) phone.codes = codes
    phone.codesError = ''
  } catch (error) {
    phone.codesError = sentence(error)
  }
}

const TYPING_MS = 15_000
let typingTimer = 0
let stopListening: () => void = () => undefined

function listenToCurrent(): void {
  stopListening()
  stopListening = () => undefined
  const { appid, fanId } = phone
  if (!appid || !fanId) return
  const target = kept(appid, fanId)
  stopListening = listen(appid, fanId, {
    opened() {
      target.online = true
      void readThread(appid, fanId)
    },
    broken() {
      target.online = false
      target.typing = false
      if (!target.loaded) void readThread(appid, fanId)
    },
    message: (message) => put(target, message),
    thread(state) {
      Object.assign(target, state)
      window.clearTimeout(typingTimer)
      // Nobody says when typing ends without a message; WeChat stops showing it by itself.
      typingTimer = window.setTimeout(() => (target.typing = false), TYPING_MS)
    },
  })
}

// ---- doing --------------------------------------------------------------------------------------

/** Creates a fan and picks up the phone as them. */
export async function createFan(nickname: string): Promise<void> {
  const made = await api.createFan(nickname)
  created++
  phone.fans.push(made)
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

// ---- what happens by itself ---------------------------------------------------------------------

watch(() => [phone.appid, phone.fanId], listenToCurrent)
watch(here, (place) => phone.ready && goTo(place))
// Opening the customer-service chat of a mini-program is an event of its own.
watch(
  () => (phone.ready && phone.screen === 'chat' && account.value?.kind === 'miniprogram' && fan.value
    ? key(phone.appid, phone.fanId)
    : ''),
  (entered) => entered && void act({ kind: 'enter' }, '进入客服会话'),
)
watch(
  () => phone.appid,
  () => {
    phone.codes = []
    void readCodes()
  },
)
onMoved(move, here)
window.setInterval(() => (phone.now = new Date()), 1_000)
window.setInterval(refresh, 5_000)
