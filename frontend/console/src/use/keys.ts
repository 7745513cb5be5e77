// Keyboard shortcuts of a page, for as long as it is shown.
import { onBeforeUnmount, onMounted } from 'vue'

/** Whether a key belongs to the input method; 229 is how Safari says so on the very press that ends a composition. */
export const composing = (event: KeyboardEvent) => event.isComposing || event.keyCode === 229

// What has keys of its own: where somebody writes, and whatever can be pressed, chosen or closed.
const OWN = 'input, textarea, select, [contenteditable], a, button, summary, [role]:not([role="main"])'

/**
 * Shortcuts such as { 'ctrl+enter': send, escape: close, 'alt+n': next }; ctrl also means ⌘ on a Mac.
 * Plain keys are left alone while somebody types, on buttons and links, and in dialogs and menus.
 */
export function useKeys(shortcuts: Record<string, (event: KeyboardEvent) => void>) {
  function pressed(event: KeyboardEvent) {
    if (composing(event)) return
    const parts = [
      event.ctrlKey || event.metaKey ? 'ctrl' : '',
      event.altKey ? 'alt' : '',
      event.shiftKey ? 'shift' : '',
      event.key.toLowerCase(),
    ]
    const action = shortcuts[parts.filter(Boolean).join('+')]
    const target = event.target as HTMLElement | null
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey && event.key !== 'Escape'
    if (!action || (plain && target?.closest(OWN) != null)) return
    event.preventDefault()
    action(event)
  }
  onMounted(() => window.addEventListener('keydown', pressed))
  onBeforeUnmount(() => window.removeEventListener('keydown', pressed))
}
