// The members' words: amounts, moments in China, and why a gift cannot be had.
import type { Gift, Me, Redemption } from './members-api'

export type Asset = 'points' | 'growth'
/** What amounts are of; growth by the brand's own word. */
export type Assets = Record<Asset, string>

export const number = (amount: number) => amount.toLocaleString('zh-CN')
export const signed = (amount: number) => (amount > 0 ? `+${number(amount)}` : `−${number(-amount)}`)

/** "+1 积分 +3 成长值" */
export const amounts = (given: { asset: Asset; amount: number }[], names: Assets) =>
  given.map(({ asset, amount }) => `${signed(amount)} ${names[asset]}`).join('　')

const parts = new Intl.DateTimeFormat('zh-CN', {
  timeZone: 'Asia/Shanghai',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})

function split(moment: string): Record<string, string> {
  return Object.fromEntries(parts.formatToParts(new Date(moment)).map(({ type, value }) => [type, value]))
}

/** A moment to the second in China, as a statement shows it. */
export function exactly(moment: string): string {
  const p = split(moment)
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`
}

/** A moment to the minute in China: "7月2日 14:05". */
export function shortly(moment: string): string {
  const p = split(moment)
  return `${Number(p.month)}月${Number(p.day)}日 ${p.hour}:${p.minute}`
}

export function monthOf(moment: string): string {
  const p = split(moment)
  return `${p.year}年${Number(p.month)}月`
}

/** 早上好 and the like, by the clock in China. */
export function greeting(now: Date): string {
  const hour = Number(split(now.toISOString()).hour)
  if (hour < 5) return '夜深了'
  if (hour < 11) return '早上好'
  if (hour < 13) return '中午好'
  return hour < 18 ? '下午好' : '晚上好'
}

/** The first thing that stands against a gift, for its button; empty: go ahead. */
export function whyNot(gift: Gift, me: Me | null): string {
  switch (gift.why_not[0]) {
    case undefined:
      return ''
    case 'not_on_sale':
      return gift.on_sale_from && new Date(gift.on_sale_from) > new Date()
        ? `${shortly(gift.on_sale_from)} 开始兑换`
        : '不在兑换时间内'
    case 'sold_out':
      return '已兑完'
    case 'level_too_low':
      return `升级到${gift.level ?? ''}可兑换`
    case 'limit_reached':
      return `已达每人限兑 ${gift.per_person} 件`
    case 'not_enough':
      return me ? `还差 ${number(gift.price - me.points)} 积分` : '积分不足'
    default:
      return '暂时不能兑换'
  }
}

/** What a line of the statement is for, without the ids that the books keep: 兑换积分商品:手机壳:id:7 is of a 手机壳. */
export const purposeOf = (description: string) => description.replace(/:id:\d+$/, '').replace(':', '：')

export const KINDS: Record<Gift['kind'], string> = { physical: '实物', virtual: '电子券' }

/** How far a redemption has come. */
export function stateOf(one: Redemption): string {
  if (one.state === 'placed') return one.kind === 'physical' ? '待发货' : '待使用'
  return { shipped: '已发货', completed: one.kind === 'physical' ? '已完成' : '已使用', cancelled: '已取消' }[one.state]
}
