// The brand of a page that is about one: the chosen one, else the first of mine.
import { computed } from 'vue'
import { session } from '../session'

export default () => computed(() => session.brand ?? session.me?.brands[0]?.id ?? 0)
