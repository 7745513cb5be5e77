// Doing something that changes: one at a time, once however often it is tried, its failure as a message or beside its field.
import { ElMessage } from 'element-plus'
import { reactive, ref } from 'vue'
import { ApiError, ask, newKey } from '../api'

// Nobody knows whether it was done: no answer, a server that broke, or one that is still at it or had no time to look.
const unsure = (error: unknown) =>
  error instanceof ApiError && (error.status === 0 || error.status >= 500 || error.status === 429 || error.code === 'in_flight')

// A file says what its size, name and date say.
const told = (_: string, value: unknown) => (value instanceof Blob ? [value.size, (value as File).name, (value as File).lastModified] : value)

/**
 * `run(work, done)` does it unless it is being done; `fault.field` and `fault.text` are for a form to show.
 *
 * `write` is `ask` for work that changes something. While nobody knows how a write ended, the same words go under the
 * same Idempotency-Key, so that whoever presses again has it done once; after an answer, or with other words, it is a
 * new write. Work holds one write.
 */
export function useDoing() {
  const busy = ref(false)
  const fault = reactive({ field: '', text: '' })
  // What was written last, until its work has succeeded. One only: on, off, on again are three writes.
  let last: { said: string; key: string } | null = null

  const write = (async (operation: string, given?: object, options?: object) => {
    const said = JSON.stringify([operation, given], told)
    if (last?.said !== said) last = { said, key: newKey() }
    const { key } = last
    try {
      return await (ask as (o: string, g?: object, s?: object) => Promise<unknown>)(operation, given, { ...options, key })
    } catch (error) {
      if (!unsure(error)) last = null
      throw error
    }
  }) as typeof ask

  async function run<T>(work: () => Promise<T>, done?: string): Promise<T | undefined> {
    if (busy.value) return undefined
    busy.value = true
    fault.field = fault.text = ''
    try {
      const outcome = await work()
      // Only now: a write may be answered, and what was to be read after it be lost.
      last = null
      if (done) ElMessage.success(done)
      return outcome
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      fault.field = error.field ?? ''
      fault.text = error.message
      ElMessage.error({ message: error.message, grouping: true })
      return undefined
    } finally {
      busy.value = false
    }
  }

  /** The sentence beside a field, if it is the one that is wrong. */
  const about = (field: string) => (fault.field.split('.')[0] === field ? fault.text : '')
  return { busy, fault, run, write, about }
}
