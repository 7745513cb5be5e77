// Keyboard shortcuts of a page, for as long as it is shown.
import { onBeforeUnmount, onMounted } from 'vue'

/**
 * Shortcuts such as { 'ctrl+enter': send, escape: close, 'alt+n': next }; ctrl also means ⌘ on a Mac.
 * Plain keys are left alone while somebody types.
 */
export function useKeys(shortcuts: Record<string, (event: KeyboardEvent) => void>) {
  function pressed(event: KeyboardEvent) {
    // A letter that is still being composed belongs to the input method.
    if (event.isComposing) return
    const parts = [
      event.ctrlKey || event.metaKey ? 'ctrl' : '',
      event.altKey ? 'alt' : '',
      event.shiftKey ? 'shift' : '',
      event.key.toLowerCase(),
    ]
    const action = shortcuts[parts.filter(Boolean).join('+')]
    const target = event.target as HTMLElement | null
    const typing = target?.closest('input, textarea, [contenteditable]') != null
    if (!action || (typing && !event.ctrlKey && !event.metaKey && !event.altKey && event.key !== 'Escape')) return
    event.preventDefault()
    action(event)
  }
  onMounted(() => window.addEventListener('keydown', pressed))
  onBeforeUnmount(() => window.removeEventListener('keydown', pressed))
}
