// The one brand that a page is about: the chosen one, or the first of mine where all are chosen.
import { computed } from 'vue'
import { session } from '../session'

export const oneBrand = computed(() => session.brand ?? session.me?.brands[0]?.id ?? 0)
/** Whether there are others, so that a page has to say which one it shows. */
export const ofMany = computed(() => session.brand === null && (session.me?.brands.length ?? 0) > 1)
