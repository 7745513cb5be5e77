// Mini-program cards that one fan forwards to another: WeChat's own doing, so no server of ours hears of it.
import { reactive } from 'vue'
import { onRemembered, remember, remembered } from './remembered'
import { openMini } from './moving'
import { fan, phone } from './store'

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

export const forwarding = reactive({
  /** What is about to be forwarded: the phone asks to whom. */
  offered: null as Pick<Card, 'appid' | 'title' | 'query'> | null,
  /** Newest first. */
  cards: remembered<Card[]>(KEPT, []),
})

/** The cards as they are now, changed and remembered. */
function change(how: (cards: Card[]) => void): void {
  const cards = remembered<Card[]>(KEPT, forwarding.cards)
  how(cards)
  forwarding.cards = cards.slice(0, MOST)
  remember(KEPT, forwarding.cards)
}

/** Sends what is offered to another fan. */
export function forward(to: string): void {
  if (!forwarding.offered || !fan.value) return
  const id = crypto.getRandomValues(new Uint32Array(2)).join('-')
  const card = { ...forwarding.offered, id, from: fan.value.id, to, at: Date.now(), opened: false }
  change((cards) => cards.unshift(card))
  forwarding.offered = null
}

export const cardsFor = (fanId: string) => forwarding.cards.filter(({ to }) => to === fanId)

/** Opens a card that a friend sent. */
export function openCard(card: Card): void {
  change((cards) => cards.filter(({ id }) => id === card.id).forEach((one) => (one.opened = true)))
  openMini(card.appid, card.query)
}

/** A link that opens a mini-program here, for whoever picks up the phone. */
export const linkTo = (appid: string, query: string) =>
  `${location.origin}${location.pathname}#/${encodeURIComponent(appid)}//mini?${query}`

export const nicknameOf = (fanId: string) => phone.fans.find((one) => one.id === fanId)?.nickname ?? '好友'

// Another window of this browser may hold the other fan's phone.
onRemembered(KEPT, () => (forwarding.cards = remembered<Card[]>(KEPT, [])))
