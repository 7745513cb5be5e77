// The points mall as people read it.
import type { GiftItem, MallRedemption } from '../generated/contract'
import { fullTime } from '../words'

export const KINDS: Record<GiftItem['kind'], string> = { physical: '实物', virtual: '兑换码' }
export const SHOWN = { all: '全部商品', on: '上架的', off: '下架的', sold_out: '没有库存的' }
export const STATES = { all: '全部状态', to_ship: '待发货', shipped: '已发货', completed: '已完成', cancelled: '已取消' }
type Look = { text: string; type: 'success' | 'info' | 'warning' | 'primary' }

/** How a gift stands in the mall at this moment. */
export function standing(one: GiftItem, now = new Date()): Look {
  if (!one.enabled) return { text: '已下架', type: 'info' }
  if (one.on_sale_from && new Date(one.on_sale_from) > now) return { text: '未开始', type: 'warning' }
  if (one.on_sale_until && new Date(one.on_sale_until) <= now) return { text: '已结束', type: 'info' }
  return one.stock === 0 ? { text: '已兑完', type: 'warning' } : { text: '上架中', type: 'success' }
}

/** Who may have it, how often and when; empty where everybody may, always. */
export function limitsOf(one: GiftItem): string[] {
  return [
    one.per_person === null ? '' : `每人限兑 ${one.per_person} 件`,
    one.level === null ? '' : `${one.level}及以上`,
    one.on_sale_from ? `${fullTime(one.on_sale_from)} 起` : '',
    one.on_sale_until ? `${fullTime(one.on_sale_until)} 止` : '',
  ].filter(Boolean)
}

/** The state of a redemption; nobody sends a code, its member looks at it. */
export function stateOf(one: Pick<MallRedemption, 'state' | 'kind'>): Look {
  if (one.state === 'placed') return one.kind === 'virtual' ? { text: '待查看', type: 'primary' } : { text: '待发货', type: 'warning' }
  return { text: STATES[one.state], type: one.state === 'cancelled' ? 'info' : 'success' }
}
