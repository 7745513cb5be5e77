// Checking in, from whichever page: once, then everybody reads again.
import { ref } from 'vue'
import { tell } from '../store'
import { sentence, type Mini } from './app'
import { Intent } from './client'
import type { CheckedIn } from './members-api'

export function useCheckIn(mini: Mini, after: () => Promise<unknown>) {
  const done = ref<CheckedIn | null>(null)
  /** The level that this check-in reached, if it did. */
  const reached = ref('')
  const busy = ref(false)
  const intent = new Intent()

  async function checkIn(): Promise<void> {
    if (busy.value) return
    busy.value = true
    try {
      const before = mini.state.me?.level
      const answer = await mini.client.write<CheckedIn>('POST', '/checkin', undefined, intent)
      const [me] = await Promise.all([mini.readMe().catch(() => null), after()])
      const risen = before && me?.level && me.level.rank > before.rank
      reached.value = risen ? me.level!.name : ''
      done.value = answer
    } catch (error) {
      tell(sentence(error))
    } finally {
      busy.value = false
    }
  }
  return { done, reached, busy, checkIn }
}
