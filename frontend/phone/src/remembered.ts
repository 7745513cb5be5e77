// What this browser remembers for all its windows. Another window may have written since: read before each writing.

/** What is remembered under a key; `otherwise` where nothing is, a damaged entry, or no storage. */
export function remembered<T extends object>(key: string, otherwise: T): T {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(key) ?? 'null')
    return found !== null && typeof found === 'object' && Array.isArray(found) === Array.isArray(otherwise)
      ? (found as T)
      : otherwise
  } catch {
    return otherwise
  }
}

/** Remembers; a private window may refuse, then it lasts as long as the page. */
export function remember(key: string, value: object): void {
  try {
    localStorage.setItem(key, JSON.stringify(value))
  } catch {
    // Nothing to be done, and nothing is lost before the page is closed.
  }
}

/** Calls when another window of this browser has written the key. */
export function onRemembered(key: string, changed: () => void): void {
  window.addEventListener('storage', (event) => event.key === key && changed())
}
