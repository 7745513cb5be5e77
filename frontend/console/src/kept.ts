// What one person leaves in this browser: nobody else who signs in here sees it, and it goes when they sign out.
const PREFIX = 'fensi.staff.'
let owner: number | null = null
let times = 0
const nameOf = (what: string) => `${PREFIX}${owner}.${what}`

/** Says who is signed in; what nobody owns is neither kept nor found. */
export function keepFor(staff: number | null) {
  owner = staff
}

/** Whose the things are that a page holds in its memory; another word as soon as they are not to be shown any more. */
export const whose = () => `${owner}.${times}`

export const kept = (what: string) => (owner === null ? null : localStorage.getItem(nameOf(what)))

/** Keeps a text under a name such as `draft.73`; null removes it. */
export function keep(what: string, text: string | null) {
  if (owner === null) return
  if (text === null) localStorage.removeItem(nameOf(what))
  else localStorage.setItem(nameOf(what), text)
}

/** Forgets all that whoever is signed in has left here. */
export function forgetKept() {
  const all = nameOf('')
  for (const name of Object.keys(localStorage)) if (name.startsWith(all)) localStorage.removeItem(name)
  times += 1
}
