// Keeping up with what happens in conversations: the live stream says when to read anew; without it, every few seconds.
import { computed, effectScope, onScopeDispose, ref, watch, type EffectScope } from 'vue'
import { may, session } from '../session'
import { useLive } from './live'

// What happens within this is read in one go, ms.
const TOGETHER = 500
// Who is there and what falls due is nothing that happens: it is looked at so often, seconds; the second without a stream.
const LIVE = 10
const POLL = 5
// What changes nothing that is counted.
const IDLE = new Set(['typing', 'read', 'delivery', 'noted'])

/**
 * Calls `reload` when something happens in the conversations of the brand that is looked at, not while the page is
 * hidden; at once when it shows again. A stream is one brand's: of several brands it reads every five seconds.
 */
export function useFollowing(reload: () => Promise<unknown>) {
  const live = ref(false)
  const brandId = computed(() => session.brand ?? (session.me?.brands.length === 1 ? session.me.brands[0]!.id : null))
  let running = false
  let again = false
  let last = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  async function read() {
    if (document.hidden) return
    if (running) {
      again = true
      return
    }
    running = true
    last = performance.now()
    await reload().finally(() => (running = false))
    if (again) soon()
    again = false
  }
  function soon() {
    timer ??= setTimeout(() => {
      timer = undefined
      void read()
    }, TOGETHER)
  }

  let scope: EffectScope | undefined
  function follow(id: number | null) {
    scope?.stop()
    scope = undefined
    live.value = false
    if (id === null || !may('inbox.answer')) return
    scope = effectScope(true)
    scope.run(() => {
      const happened = (one: unknown) => void (IDLE.has((one as { kind: string }).kind) || soon())
      const { connected } = useLive(`/live?brand=${id}`, { happened, resync: soon }, soon)
      watch(connected, (now) => (live.value = now))
    })
  }
  watch(brandId, follow, { immediate: true })

  const ticking = setInterval(() => {
    if (!running && performance.now() - last >= (live.value ? LIVE : POLL) * 1000 - 500) void read()
  }, 1000)
  document.addEventListener('visibilitychange', read)
  onScopeDispose(() => {
    scope?.stop()
    clearInterval(ticking)
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', read)
  })
  return { live }
}
