// Doing something that changes: one at a time, its failure as a message or beside its field.
import { ElMessage } from 'element-plus'
import { reactive, ref } from 'vue'
import { ApiError } from '../api'

/** `run(work, done)` does it unless it is being done; `fault.field` and `fault.text` are for a form to show. */
export function useDoing() {
  const busy = ref(false)
  const fault = reactive({ field: '', text: '' })

  async function run<T>(work: () => Promise<T>, done?: string): Promise<T | undefined> {
    if (busy.value) return undefined
    busy.value = true
    fault.field = fault.text = ''
    try {
      const outcome = await work()
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
  return { busy, fault, run, about }
}
