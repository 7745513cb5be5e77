// Reading for a page: loading, failure, and what came, kept up with what it depends on.
import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { ApiError, ask, type Given, type Operation, type Result } from '../api'

export interface Asking<T> {
  data: ShallowRef<T | null>
  error: Ref<ApiError | null>
  loading: Ref<boolean>
  reload: () => Promise<void>
}

export const asError = (error: unknown) =>
  error instanceof ApiError ? error : new ApiError('页面出错了，请刷新后重试', 0, 'page')

/** Asks at once and whenever what `given` depends on changes; an answer that was overtaken is dropped. */
export function useAsk<K extends Operation>(operation: K, given: () => Given<K>): Asking<Result<K>> {
  const data = shallowRef<Result<K> | null>(null)
  const error = ref<ApiError | null>(null)
  const loading = ref(false)
  let running: AbortController | null = null

  async function reload() {
    running?.abort()
    const mine = (running = new AbortController())
    loading.value = true
    error.value = null
    try {
      const found = await (ask as (o: Operation, g: unknown, s: object) => Promise<unknown>)(operation, given(), {
        signal: mine.signal,
      })
      if (running === mine) data.value = found as Result<K>
    } catch (failure) {
      if (running === mine) error.value = asError(failure)
    } finally {
      if (running === mine) loading.value = false
    }
  }

  watch(given, reload, { immediate: true, deep: true })
  onScopeDispose(() => running?.abort())
  return { data, error, loading, reload }
}

interface Paged<T> {
  items: T[]
  next: number | null
}
type ListOperation = { [K in Operation]: Result<K> extends Paged<unknown> ? K : never }[Operation]
type Item<K extends ListOperation> = Result<K> extends Paged<infer T> ? T : never

/** A list by pages: `items` grows with `more()` until `done`; a changed filter begins anew. */
export function useList<K extends ListOperation>(operation: K, filter: () => Given<K>) {
  const items = shallowRef<Item<K>[]>([])
  const next = ref<number | null>(null)
  const error = ref<ApiError | null>(null)
  const loading = ref(false)
  const loaded = ref(false)
  let running: AbortController | null = null

  async function fetchPage(before: number | null) {
    running?.abort()
    const mine = (running = new AbortController())
    loading.value = true
    error.value = null
    const asked = filter() as { query?: object; body?: object }
    const given = asked.body ? { ...asked, body: { ...asked.body, before } } : { ...asked, query: { ...asked.query, before } }
    try {
      const page = (await (ask as (o: Operation, g: unknown, s: object) => Promise<unknown>)(operation, given, {
        signal: mine.signal,
      })) as Paged<Item<K>>
      if (running !== mine) return
      items.value = before === null ? page.items : [...items.value, ...page.items]
      next.value = page.next
      loaded.value = true
    } catch (failure) {
      if (running === mine) error.value = asError(failure)
    } finally {
      if (running === mine) loading.value = false
    }
  }

  const reload = () => fetchPage(null)
  const more = async () => {
    if (next.value !== null && !loading.value) await fetchPage(next.value)
  }
  watch(filter, reload, { immediate: true, deep: true })
  onScopeDispose(() => running?.abort())
  return { items, next, error, loading, loaded, reload, more }
}
