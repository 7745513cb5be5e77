// One conversation as the phone keeps it: messages by id, and what is still on its way.
import type { Message, Push, ServiceWindow, ThreadAnswer, Menu } from './contract'
import type { Deed } from './api'

/** A message the fan has sent and the simulator has not confirmed yet. */
export interface Draft {
  message: Message
  /** Shown after the newest message there was when it was sent. */
  after: number
  deed: Deed
}

export interface Thread {
  loaded: boolean
  error: string
  following: boolean
  menu: Menu | null
  window: ServiceWindow
  typing: boolean
  online: boolean
  messages: Message[]
  drafts: Draft[]
}

/** A finished push, for the log beside the phone. */
export interface LoggedPush extends Push {
  id: number
  at: number
  label: string
  kind: Deed['kind']
  appid: string
  fanId: string
}

/** A request of a mini-program to its server, for the log beside the phone; without a status nobody answered. */
export interface LoggedRequest {
  id: number
  at: number
  method: string
  path: string
  status: number | null
  ms: number
  appid: string
  fanId: string
}

export const emptyThread = (): Thread => ({
  loaded: false,
  error: '',
  following: false,
  menu: null,
  window: { expires_at: null, left: 0 },
  typing: false,
  online: true,
  messages: [],
  drafts: [],
})

/**
 * Takes over a full reading. `before` holds the ids known when it was asked for: what is known only since
 * then was streamed meanwhile and stays; what was known and is no longer there is gone.
 */
export function load(thread: Thread, answer: ThreadAnswer, before: Set<number>): void {
  thread.following = answer.following
  thread.menu = answer.menu
  thread.window = answer.window
  const read = new Set(answer.messages.map((message) => message.id))
  const streamed = thread.messages.filter(({ id }) => !read.has(id) && !before.has(id))
  thread.messages = [...answer.messages, ...streamed].sort((a, b) => a.id - b.id)
  thread.loaded = true
  thread.error = ''
}

/** Adds a message, or replaces the one with its id. */
export function put(thread: Thread, message: Message): void {
  const index = thread.messages.findIndex((known) => known.id === message.id)
  if (index >= 0) {
    thread.messages[index] = message
    return
  }
  thread.messages.push(message)
  thread.messages.sort((a, b) => a.id - b.id)
  if (message.from === 'account') thread.typing = false
  if (message.from !== 'fan') return
  // The fan's own message came back: the oldest draft of its kind has arrived.
  const draft = thread.drafts.findIndex(
    (waiting) => waiting.message.type === message.type && waiting.message.status === 'sending',
  )
  if (draft < 0) return
  const [arrived] = thread.drafts.splice(draft, 1)
  if (arrived?.message.type === 'image') URL.revokeObjectURL(arrived.message.content.url)
}

/** Everything in reading order; a draft stays where it was written. */
export function inOrder(thread: Thread): Message[] {
  const result: Message[] = []
  const drafts = [...thread.drafts]
  for (const message of thread.messages) {
    while (drafts[0] && drafts[0].after < message.id) result.push(drafts.shift()!.message)
    result.push(message)
  }
  return [...result, ...drafts.map((draft) => draft.message)]
}

let lastDraft = 0

/** The message to show at once for what the fan does; null for what leaves no bubble of its own. */
export function draftOf(thread: Thread, deed: Deed): Draft | null {
  const base = { id: --lastDraft, from: 'fan', via: 'fan', at: Date.now(), status: 'sending' } as const
  const after = thread.messages.at(-1)?.id ?? 0
  switch (deed.kind) {
    case 'text':
      return { message: { ...base, type: 'text', content: { text: deed.content } }, after, deed }
    case 'image': {
      const url = URL.createObjectURL(deed.file)
      return { message: { ...base, type: 'image', content: { url } }, after, deed }
    }
    case 'location': {
      const { latitude, longitude, label } = deed
      return { message: { ...base, type: 'location', content: { latitude, longitude, label } }, after, deed }
    }
    default:
      return null
  }
}
