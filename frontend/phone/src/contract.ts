// What the simulator says and hears: the types of /phone/api.

export type AccountKind = 'service' | 'subscription' | 'miniprogram'

export interface Account {
  appid: string
  name: string
  kind: AccountKind
  username: string
  /** Whether a server is set to receive this account's pushes. */
  connected: boolean
  description: string
  /** A mini-program's own server; empty: none is registered. */
  server: string
}

export interface Fan {
  id: string
  nickname: string
  color: string
  avatar: string | null
}

export interface MenuButton {
  name: string
  type?: string
  key?: string
  url?: string
  appid?: string
  pagepath?: string
  sub_button?: MenuButton[]
}

export interface Menu {
  button: MenuButton[]
}

export interface Article {
  title: string
  description: string
  picurl: string
  url: string
}

export interface NoticeRow {
  key: string
  label: string
  value: string
  color: string | null
}

export interface Notice {
  title: string
  url: string | null
  rows: NoticeRow[]
}

/** The content of a message, by its type. */
export interface Contents {
  text: { text: string }
  image: { url: string }
  voice: { url: string; seconds: number }
  video: { url: string; title: string; description: string; thumb: string | null }
  music: { title: string; description: string; url: string }
  news: { articles: Article[] }
  mpnewsarticle: { articles?: Article[]; title?: string; description?: string; picurl?: string; url?: string }
  location: { latitude: number; longitude: number; label: string }
  link: { title: string; description: string; url: string }
  msgmenu: { head: string; items: { id: string; content: string }[]; tail: string }
  miniprogrampage: { title: string; appid: string; pagepath: string; thumb: string }
  template: Notice
  subscribe: Notice
  wxcard: { title?: string; card_id?: string }
  event: { text: string }
}

export type MessageType = keyof Contents
export type Sender = 'fan' | 'account' | 'system'
export type Via = 'fan' | 'passive' | 'custom' | 'template' | 'subscribe' | 'mass' | 'system'
export type Status = 'sending' | 'sent' | 'failed'

export interface MessageOf<T extends MessageType> {
  id: number
  from: Sender
  type: T
  via: Via
  /** Milliseconds since 1970. */
  at: number
  status: Status
  content: Contents[T]
}

export type Message = { [T in MessageType]: MessageOf<T> }[MessageType]

/** How many customer-service messages the account may still send, and until when (ms). */
export interface ServiceWindow {
  expires_at: number | null
  left: number
}

export interface ThreadState {
  following: boolean
  menu: Menu | null
  window: ServiceWindow
}

export interface ThreadAnswer extends ThreadState {
  openid: string
  messages: Message[]
}

export type Outcome = 'replied' | 'success' | 'empty' | 'failed' | 'not_connected'

export interface Push {
  outcome: Outcome
  attempts: number
  ms: number
}

export interface PushAnswer {
  message: Message | null
  push: Push
}

export interface QrCode {
  ticket: string
  scene: string
  permanent: boolean
  expires_at: number | null
  image: string
  scans: number
}
