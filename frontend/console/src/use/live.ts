// Listening to a stream of the API: it comes back by itself, and ends with the page.
import { onScopeDispose, ref } from 'vue'
import { load } from '../session'

const PATIENCE = [2_000, 5_000, 15_000] // ms until the next try

/**
 * Listens to `path`, such as '/inbox/live?brand=1'; `heard` has a function for each event's name. `missed` is called
 * whenever it is opened, the first time too: what was said before, since the page was read or while it was interrupted,
 * has to be read anew. `connected` is for a sign that says so.
 */
export function useLive(path: string, heard: Record<string, (data: unknown) => void>, missed: () => void) {
  const connected = ref(false)
  let source: EventSource | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let tries = 0
  let over = false

  function open() {
    source = new EventSource(`/api/console${path}`)
    source.onopen = () => {
      connected.value = true
      tries = 0
      missed()
    }
    source.onerror = () => {
      connected.value = false
      // A server that restarts is found again by the browser; a refusal it takes for the end.
      if (source?.readyState === EventSource.CLOSED) again()
    }
    for (const [name, act] of Object.entries(heard)) {
      source.addEventListener(name, (event) => act(JSON.parse((event as MessageEvent<string>).data)))
    }
    source.addEventListener('over', () => {
      source?.close()
      connected.value = false
      again()
    })
  }

  function again() {
    if (over) return
    clearTimeout(timer)
    timer = setTimeout(
      async () => {
        // Asks who is signed in first: nobody leads to the sign-in, once.
        const me = await load().catch(() => undefined)
        if (!over && me !== null) open()
      },
      PATIENCE[Math.min(tries++, PATIENCE.length - 1)],
    )
  }

  open()
  onScopeDispose(() => {
    over = true
    clearTimeout(timer)
    source?.close()
  })
  return { connected }
}
