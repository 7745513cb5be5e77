// What lies over the phone's screen (a picture, the scanner, a sheet): Back closes it before it goes anywhere.
import { onBeforeUnmount, shallowReactive, watch, type Ref } from 'vue'

interface Overlay {
  shown: Ref<boolean>
  /** It cannot be closed now: something is being done that cannot be taken back. */
  locked: () => boolean
}

/** The one on top last. */
const open = shallowReactive<Overlay[]>([])

export const overlays = () => open.length

/** Makes something that is shown or not an overlay, as long as the component lives. */
export function useOverlay(shown: Ref<boolean>, locked = () => false): void {
  const overlay = { shown, locked }
  const lift = () => void (open.includes(overlay) && open.splice(open.indexOf(overlay), 1))
  watch(shown, (now) => (now ? open.push(overlay) : lift()), { immediate: true, flush: 'sync' })
  onBeforeUnmount(lift)
}

/** Closes from the top until so many are left, or one is locked. */
export function closeOverlays(left: number): void {
  while (open.length > left && !open.at(-1)!.locked()) open.pop()!.shown.value = false
}
