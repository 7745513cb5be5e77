// The words and times of the page, as WeChat writes them.
import type { AccountKind, Message, Outcome } from './contract'
import { plainText } from './richtext'

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** China has had one time, and no summer time, since 1991. */
const AHEAD = 8 * HOUR
const WEEKDAYS = ['星期日', '星期一', '星期二', '星期三', '星期四', '星期五', '星期六']

const two = (n: number) => String(n).padStart(2, '0')
/** A moment whose UTC parts are those of a clock in China, wherever the browser is. */
const china = (at: Date) => new Date(at.getTime() + AHEAD)
const dayNumber = (at: Date) => Math.floor(china(at).getTime() / DAY)

export function clock(moment: Date): string {
  const at = china(moment)
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`
}

/** Today: "", then 昨天, 星期三 within the week, 7月2日 within the year, 2025年7月2日 before. */
function day(moment: Date, now: Date): string {
  const at = china(moment)
  const days = dayNumber(now) - dayNumber(moment)
  if (days === 0) return ''
  if (days === 1) return '昨天'
  if (days > 1 && days < 7) return WEEKDAYS[at.getUTCDay()] ?? ''
  const date = `${at.getUTCMonth() + 1}月${at.getUTCDate()}日`
  return at.getUTCFullYear() === china(now).getUTCFullYear() ? date : `${at.getUTCFullYear()}年${date}`
}

/** The grey line between messages: "14:05", "昨天 14:05", "7月2日 14:05". */
export function separator(ms: number, now: Date): string {
  const at = new Date(ms)
  return `${day(at, now)} ${clock(at)}`.trim()
}

/** The time in the list of conversations: "14:05" today, else the day alone. */
export function listTime(ms: number, now: Date): string {
  const at = new Date(ms)
  return day(at, now) || clock(at)
}

/** One line that stands for a message in the list of conversations. */
export function preview(message: Message): string {
  switch (message.type) {
    case 'text':
      return plainText(message.content.text).replace(/\s+/g, ' ')
    case 'image':
      return '[图片]'
    case 'voice':
      return '[语音]'
    case 'video':
      return '[视频]'
    case 'music':
      return `[音乐] ${message.content.title}`
    case 'news':
      return message.content.articles[0]?.title ?? '[图文]'
    case 'mpnewsarticle':
      return message.content.title ?? message.content.articles?.[0]?.title ?? '[图文]'
    case 'location':
      return `[位置] ${message.content.label}`
    case 'link':
      return `[链接] ${message.content.title}`
    case 'msgmenu':
      return plainText(message.content.head)
    case 'miniprogrampage':
      return `[小程序] ${message.content.title}`
    case 'template':
    case 'subscribe':
      return message.content.title
    case 'wxcard':
      return '[卡券]'
    case 'event':
      return message.content.text
    default:
      return '[消息]'
  }
}

export const KIND: Record<AccountKind, string> = {
  service: '服务号',
  subscription: '订阅号',
  miniprogram: '小程序',
}

export const OUTCOME: Record<Outcome, string> = {
  replied: '已回复',
  success: '已接收',
  empty: '空回复',
  failed: '失败',
  not_connected: '未接入',
}

/** How long is left, in the two largest units: "47 小时 12 分", "8 秒". */
export function left(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const minutes = Math.floor(seconds / 60)
  if (seconds < 60) return `${seconds} 秒`
  if (minutes < 60) return `${minutes} 分 ${seconds % 60} 秒`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} 小时 ${minutes % 60} 分` : `${Math.floor(hours / 24)} 天 ${hours % 24} 小时`
}

const COLORS = ['#2f7d5b', '#c8553d', '#3b6ea5', '#8a5fa8', '#b7791f', '#2b8a9a', '#a8446c']

/** A steady colour for something that has none of its own. */
export function colorOf(key: string): string {
  let sum = 0
  for (const char of key) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) >>> 0
  return COLORS[sum % COLORS.length] ?? '#2f7d5b'
}
