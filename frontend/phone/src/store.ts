// The state of the phone: what is known, where it is, and what it shows; what changes it are moving, reading and doing.
import { computed, reactive } from 'vue'
import type { Account, Fan, QrCode } from './contract'
import type { Opened, Place, Screen } from './place'
import { emptyThread, type LoggedPush, type LoggedRequest, type Thread } from './thread'

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

export const keyOf = (appid: string, fanId: string) => `${appid}/${fanId}`

/** What is known of this fan's conversation with an account; an empty one when nothing is. */
export const threadOf = (appid: string): Thread => phone.threads[keyOf(appid, phone.fanId)] ?? emptyThread()
export const thread = computed(() => threadOf(phone.appid))

/** The conversation as the page keeps it, to be written to. */
export const kept = (appid: string, fanId: string): Thread => {
  phone.threads[keyOf(appid, fanId)] ??= emptyThread()
  return phone.threads[keyOf(appid, fanId)]! // read back, so that changes are seen (the reactive one)
}

export const sentence = (error: unknown) => (error instanceof Error ? error.message : '出错了')

let noticeTimer = 0
/** Shows a sentence over the phone for a moment. */
export function tell(text: string): void {
  phone.notice = text
  window.clearTimeout(noticeTimer)
  noticeTimer = window.setTimeout(() => (phone.notice = ''), 2_500)
}
