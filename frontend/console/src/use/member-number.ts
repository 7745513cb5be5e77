// A field in which a member number is typed to narrow a list down.
import { computed, ref } from 'vue'

/** `odd` is whether what stands there is no number: nobody's, which is better told than taken for nothing asked. */
export function useMemberNumber() {
  const typed = ref('')
  const known = computed(() => (/^[1-9][0-9]{0,14}$/.test(typed.value.trim()) ? Number(typed.value) : null))
  const odd = computed(() => typed.value.trim() !== '' && known.value === null)
  return { typed, known, odd }
}
