// A page of two tabs: what there is, and what became of it, which may be narrowed down to one thing of the first.
import { computed, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { oneBrand } from './brand'

/** The tab that the address names, and the id by which it narrows the second down (`filter` is its name there). */
export function useTabs(first: string, second: string, filter: string) {
  const route = useRoute()
  const router = useRouter()
  const open = computed(() => (route.query.tab === second ? second : first))
  const only = computed(() => Number(route.query[filter]) || null)
  const turn = (name: string | number) => router.replace({ query: name === second ? { tab: second } : {} })
  const seek = (id: number) => router.replace({ query: { tab: second, [filter]: String(id) } })
  // Another brand's things have other ids.
  watch(oneBrand, () => only.value && turn(second))
  return { open, only, turn, seek }
}
