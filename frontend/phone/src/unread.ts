// Which messages this browser has already shown, per conversation.
import { computed, reactive } from 'vue'
import { onRemembered, remember, remembered } from './remembered'
import { phone, threadOf } from './store'
import type { Thread } from './thread'

const STORED = 'fensi-phone-seen'

/** The newest message seen, by conversation. */
type Seen = Record<string, number>

const seen = reactive(remembered<Seen>(STORED, {}))
const read = () => void Object.assign(seen, remembered<Seen>(STORED, {}))
onRemembered(STORED, read)

const name = (appid: string) => `${appid}/${phone.fanId}`
const newest = (thread: Thread) => thread.messages.at(-1)?.id ?? 0

/** The open chat has been read to its end. */
export function markSeen(): void {
  const id = newest(threadOf(phone.appid))
  if (id === (seen[name(phone.appid)] ?? 0)) return
  read()
  seen[name(phone.appid)] = id
  remember(STORED, seen)
}

export function unread(appid: string): number {
  const mark = seen[name(appid)] ?? 0
  return threadOf(appid).messages.filter(({ id, from }) => id > mark && from === 'account').length
}

export const unreadElsewhere = computed(() =>
  phone.accounts.reduce((sum, { appid }) => sum + (appid === phone.appid ? 0 : unread(appid)), 0),
)
