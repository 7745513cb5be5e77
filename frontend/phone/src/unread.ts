// Which messages this browser has already shown, per conversation.
import { computed, reactive } from 'vue'
import { phone, threadOf } from './store'
import type { Thread } from './thread'

const STORED = 'fensi-phone-seen'

function stored(): Record<string, number> {
  try {
    return JSON.parse(localStorage.getItem(STORED) ?? '{}') as Record<string, number>
  } catch {
    return {} // a damaged entry or a browser without storage: everything counts as new
  }
}

const seen = reactive(stored())
const name = (appid: string) => `${appid}/${phone.fanId}`
const newest = (thread: Thread) => thread.messages.at(-1)?.id ?? 0

/** The open chat has been read to its end. */
export function markSeen(): void {
  const id = newest(threadOf(phone.appid))
  if (id === (seen[name(phone.appid)] ?? 0)) return
  seen[name(phone.appid)] = id
  try {
    localStorage.setItem(STORED, JSON.stringify(seen))
  } catch {
    // Without storage the marks last until the page is closed.
  }
}

export function unread(appid: string): number {
  const mark = seen[name(appid)] ?? 0
  return threadOf(appid).messages.filter(({ id, from }) => id > mark && from === 'account').length
}

export const unreadElsewhere = computed(() =>
  phone.accounts.reduce((sum, { appid }) => sum + (appid === phone.appid ? 0 : unread(appid)), 0),
)
