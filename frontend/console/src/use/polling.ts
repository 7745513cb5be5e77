// Reading something anew every few seconds while it is looked at; the one place to change for a live stream.
import { onScopeDispose } from 'vue'

/** Calls `reload` every `seconds`, not while the page is hidden or a reading is under way; at once when it shows again. */
export function usePolling(reload: () => Promise<unknown>, seconds = 5) {
  let running = false
  async function round() {
    if (running || document.hidden) return
    running = true
    await reload().finally(() => (running = false))
  }
  const timer = setInterval(round, seconds * 1000)
  document.addEventListener('visibilitychange', round)
  onScopeDispose(() => {
    clearInterval(timer)
    document.removeEventListener('visibilitychange', round)
  })
}
