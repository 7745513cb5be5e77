// One thread's server-sent events, kept alive.
import { streamUrl } from './api'
import type { Message, ThreadState } from './contract'

export interface Listener {
  /** The stream is open, also after a break: whatever was missed must be read again. */
  opened(): void
  broken(): void
  message(message: Message): void
  thread(state: Partial<ThreadState> & { typing?: boolean }): void
}

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 10_000

/** Listens until the returned function is called. */
export function listen(appid: string, fanId: string, to: Listener): () => void {
  let source: EventSource | null = null
  let timer = 0
  let pause = FIRST_PAUSE_MS

  const open = () => {
    source = new EventSource(streamUrl(appid, fanId))
    source.onopen = () => {
      pause = FIRST_PAUSE_MS
      to.opened()
    }
    source.onerror = () => {
      to.broken()
      // The browser's own retry stops for good after an HTTP error, so the retry is ours.
      source?.close()
      timer = window.setTimeout(open, pause)
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
    }
    source.addEventListener('message', (event) => to.message(JSON.parse(event.data)))
    source.addEventListener('thread', (event) => to.thread(JSON.parse(event.data)))
  }
  open()
  return () => {
    window.clearTimeout(timer)
    source?.close()
  }
}
