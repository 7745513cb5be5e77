// Checking in, from whichever page: once, then everybody reads again.
import { ref } from 'vue'
import { tell } from '../store'
import { sentence, type Mini } from './app'
import type { CheckedIn } from './members-api'

export function useCheckIn(mini: Mini, after: () => Promise<unknown>) {
  const done = ref<CheckedIn | null>(null)
  const busy = ref(false)

  async function checkIn(): Promise<void> {
    if (busy.value) return
    busy.value = true
    try {
      const answer = await mini.client.write<CheckedIn>('POST', '/checkin')
      done.value = answer // at once: what follows may be slow, or fail
      await Promise.all([mini.readMe().catch(() => null), after()])
    } catch (error) {
      tell(sentence(error))
    } finally {
      busy.value = false
    }
  }
  return { done, busy, checkIn }
}
