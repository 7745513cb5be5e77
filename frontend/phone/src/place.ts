// Where the phone is, as the browser keeps it: one entry of its history for each level of the phone (home, a chat, a
// mini-program, each page opened in it, what lies over those), so that Back and Forward move there and a reload stays.
import { closeOverlays, overlays } from './overlay'

export type Tab = 'chats' | 'contacts' | 'discover' | 'me'
export type Screen = Tab | 'chat' | 'mini'
const SCREENS: readonly string[] = ['chats', 'contacts', 'discover', 'me', 'chat', 'mini']

export type Params = Record<string, string | number | boolean>
/** A page of a mini-program. */
export interface Opened {
  page: string
  params: Params
}

export interface Place {
  appid: string
  fanId: string
  screen: Screen
  /** What the mini-program was opened with: the query of a forwarded card or of a link. */
  query: string
  /** The mini-program's pages, the one on top last; none: its first page. */
  pages: Opened[]
  /** Where the phone was when the mini-program was opened over it. */
  beneath: { appid: string; screen: Screen } | null
  /** The chat was entered from its mini-program, and lies over it. */
  service: boolean
  /** How many overlays lie over it; absent in entries of older releases. They are closed by Back and not found again. */
  over?: number
}

/** What an entry of the history keeps: its place, and the levels from the bottom up to it. */
interface Entry {
  place: Place
  levels: number[]
}

// #/appid/fan[/screen[?query]]

/** The address of a place. */
export function hashOf({ appid, fanId, screen, query }: Place): string {
  const parts = [appid, fanId, ...(screen === 'chat' ? [] : [screen])]
  return `#/${parts.map(encodeURIComponent).join('/')}${query && `?${query}`}`
}

/** A part of an address as it was meant; one that is written wrongly names nothing. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}

/** The place that an address names; whether there is such an account and fan is for the caller to say. */
export function placeOf(hash: string): Place {
  const [path = '', query = ''] = hash.slice(1).split('?')
  const [, appid = '', fanId = '', named = ''] = path.split('/').map(decoded)
  const screen = SCREENS.includes(named) ? (named as Screen) : 'chat'
  return { appid, fanId, screen, query: screen === 'mini' ? query : '', pages: [], beneath: null, service: false, over: 0 }
}

const SERVICE = 100 // above all pages of a mini-program

const OVERLAY = 0.01 // above what it lies over, and below whatever is deeper

const levelOf = (place: Place) => (place.fanId ? baseOf(place) + (place.over ?? 0) * OVERLAY : 0)

function baseOf({ screen, pages, service }: Place): number {
  if (screen === 'mini') return 1 + Math.max(pages.length, 1)
  if (screen === 'chat') return service ? SERVICE : 1
  return 0
}

// The entry that the page was loaded with is the bottom one.
let levels = [0]
/** What is written once the browser has gone back. */
let going: Place | null = null

const entry = () => history.state as Entry | null

/** Writes the present entry, or one more where there are more levels. */
function put(place: Place, to: number[]): void {
  const how = to.length > levels.length ? 'pushState' : 'replaceState'
  levels = to
  history[how]({ place, levels } satisfies Entry, '', hashOf(place))
}

const beside = (place: Place) => put(place, [...levels.slice(0, -1), levelOf(place)])

const bare = (place: Place): Place => ({ ...place, over: 0 })

/** One level deeper; what lay over the level before is left for good. */
function deeper(place: Place): void {
  const last = levels.at(-1)!
  if (baseOf(place) > last) {
    if (Number.isInteger(last)) put(bare(place), [...levels, baseOf(place)])
    else beside(bare(place))
  }
  if (place.over) put(place, [...levels, levelOf(place)])
}

/** Notes that the phone is somewhere else: deeper is one more entry, beside it replaces, less deep goes back. */
export function goTo(place: Place): void {
  const kept = entry()?.place
  if (going || JSON.stringify(place) === JSON.stringify(kept)) return
  const level = levelOf(place)
  // Who picks up the phone in a chat or a mini-program has the home beneath it.
  if (level > 0 && !kept?.fanId) beside({ ...bare(place), screen: 'chats', query: '', pages: [], beneath: null, service: false })
  const last = levels.at(-1)!
  if (level > last) return deeper(place)
  if (level === last) return beside(place)
  const keep = levels.findLastIndex((one) => one < level) + 2
  const back = levels.length - keep
  levels = levels.slice(0, keep)
  if (back === 0) return beside(place)
  going = place
  history.go(-back)
}

/** Hears where the browser's Back and Forward lead (`entered`: somebody gave an address), and moves the phone there. */
export function onMoved(move: (place: Place, entered: boolean) => void, here: () => Place): void {
  window.addEventListener('popstate', () => {
    const kept = entry()
    if (going) {
      beside(going)
      going = null
      return goTo(here()) // what happened meanwhile
    }
    // Only overlays lay over where Back has led: it closes them and goes nowhere.
    const left = kept?.place.over ?? 0
    const closing = kept !== null && overlays() > left && kept.levels.length + overlays() - left === levels.length
    levels = kept?.levels ?? [...levels, 0]
    if (closing) closeOverlays(left)
    else move(kept?.place ?? placeOf(location.hash), kept === null)
    if (!kept) beside(here())
    else goTo(here()) // an overlay that stays open, or one that Forward has led to and nobody finds again
  })
}

/** Where the phone is when the page is loaded: as it was left, or as the address says. */
export function begin(): Place {
  const kept = entry()
  if (kept) levels = kept.levels
  return kept?.place ?? placeOf(location.hash)
}
