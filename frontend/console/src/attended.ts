// Whether somebody is at the page: what it asks for by itself must not keep them signed in.

// So long after a touch or a key what is asked for may come of it, ms.
const RECENT = 60_000
const SIGNS = ['pointerdown', 'keydown', 'wheel', 'input', 'click']

// Whoever opens a page is there.
let last = Date.now()
const there = () => {
  last = Date.now()
}
for (const sign of SIGNS) window.addEventListener(sign, there, { capture: true, passive: true })

/** Whether anybody has touched the page, or a key, within the last minute. */
export function attended(): boolean {
  return Date.now() - last < RECENT
}
