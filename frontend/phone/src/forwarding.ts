// Mini-program cards that one fan forwards to another: WeChat's own doing, so no server of ours hears of it.
import { reactive } from 'vue'
import { fan, openMini, phone } from './store'

/** A card as it lies in somebody's conversations. `query` is what the mini-program is opened with. */
export interface Card {
  id: string
  appid: string
  title: string
  query: string
  from: string
  to: string
  /** Milliseconds since 1970. */
  at: number
  opened: boolean
}

const KEPT = 'fensi-phone/cards'
const MOST = 50

function stored(): Card[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEPT) ?? '[]')
    return Array.isArray(found) ? (found as Card[]) : []
  } catch {
    return [] // a damaged entry or a browser without storage
  }
}

export const forwarding = reactive({
  /** What is about to be forwarded: the phone asks to whom. */
  offered: null as Pick<Card, 'appid' | 'title' | 'query'> | null,
  /** Newest first. */
  cards: stored(),
})

function keep(): void {
  forwarding.cards.splice(MOST)
  try {
    localStorage.setItem(KEPT, JSON.stringify(forwarding.cards))
  } catch {
    // Private windows may refuse; the cards last as long as the page.
  }
}

/** Sends what is offered to another fan. */
export function forward(to: string): void {
  if (!forwarding.offered || !fan.value) return
  const id = crypto.getRandomValues(new Uint32Array(2)).join('-')
  forwarding.cards.unshift({ ...forwarding.offered, id, from: fan.value.id, to, at: Date.now(), opened: false })
  forwarding.offered = null
  keep()
}

export const cardsFor = (fanId: string) => forwarding.cards.filter(({ to }) => to === fanId)

/** Opens a card that a friend sent. */
export function openCard(card: Card): void {
  card.opened = true
  keep()
  openMini(card.appid, card.query)
}

/** A link that opens a mini-program here, for whoever picks up the phone. */
export const linkTo = (appid: string, query: string) =>
  `${location.origin}${location.pathname}#/${encodeURIComponent(appid)}//mini?${query}`

export const nicknameOf = (fanId: string) => phone.fans.find((one) => one.id === fanId)?.nickname ?? '好友'

// Another window of this browser may hold the other fan's phone.
window.addEventListener('storage', (event) => {
  if (event.key === KEPT) forwarding.cards = stored()
})
