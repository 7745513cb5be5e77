// Where we are: going into chats, mini-programs and other hands, and back out of them.
import type { Account } from './contract'
import { closeOverlays, overlays } from './overlay'
import type { Place } from './place'
import { phone, tell } from './store'

/** Where the phone is now, as the browser's history keeps it. */
export const here = (): Place => {
  const { appid, fanId, screen, query, pages, beneath, service } = phone
  const place: Place = { appid, fanId, screen, query, pages, beneath, service, over: overlays() }
  return JSON.parse(JSON.stringify(place)) as Place
}

/** Goes where a link or the browser's history leads. Back changes the place, not who holds the phone. */
export function move(place: Place, entered: boolean): void {
  const known = phone.fans.some((one) => one.id === place.fanId) ? place.fanId : ''
  const fanId = entered || !phone.fanId ? known : phone.fanId
  // What one fan was sent and has opened is not another's.
  const theirs = entered || fanId === place.fanId
  phone.appid = phone.accounts.some((one) => one.appid === place.appid) ? place.appid : (phone.accounts[0]?.appid ?? '')
  phone.fanId = fanId
  phone.screen = place.screen
  phone.query = theirs ? place.query : ''
  phone.pages = theirs ? place.pages : []
  phone.beneath = place.beneath
  phone.service = place.service
  closeOverlays(0)
}

const inService = () => phone.screen === 'chat' && phone.service

export function openChat(appid: string): void {
  phone.service = appid === phone.appid && (phone.screen === 'mini' || inService())
  phone.appid = appid
  phone.screen = 'chat'
  phone.query = ''
  phone.pages = []
}

/** Leaves the chat: for the mini-program over which it lies, else for the list of chats. */
export function leaveChat(): void {
  if (inService()) return history.back()
  phone.screen = 'chats'
}

/** Opens a mini-program, as a card, a menu entry or the list of mini-programs does. */
export function openMini(appid: string, query = ''): void {
  const mini = phone.accounts.find((one) => one.appid === appid)
  if (!mini) return tell('模拟器里没有这个小程序')
  if (!mini.server) return tell('这个小程序还没有登记服务器域名')
  if (phone.screen !== 'mini' && !inService()) phone.beneath = { appid: phone.appid, screen: phone.screen }
  phone.appid = appid
  phone.screen = 'mini'
  phone.query = query
  phone.pages = []
  phone.service = false
}

/** Closes the mini-program and shows what was beneath it. */
export function closeMini(): void {
  if (phone.beneath) phone.appid = phone.beneath.appid
  phone.screen = phone.beneath?.screen ?? 'chats'
  phone.query = ''
  phone.pages = []
  phone.beneath = null
}

/** Chooses an account beside the phone: a mini-program opens, an official account shows its chat. */
export function chooseAccount(chosen: Account): void {
  if (chosen.kind === 'miniprogram' && chosen.server) return openMini(chosen.appid)
  openChat(chosen.appid)
}

export function chooseFan(id: string): void {
  // What one fan was sent is not the next one's; a link that nobody has opened yet is for whoever comes.
  if (phone.fanId) phone.query = ''
  phone.pages = []
  phone.fanId = id
}
