// What an event says besides its title, in a few words.
import type { HappeningLine } from '../generated/contract'
import { growthWord } from '../session'
import { signed } from './words'

const FIELDS: Record<string, string> = {
  nickname: '昵称', name: '姓名', phone: '手机号', gender: '性别', birthday: '生日', province: '省份', city: '城市', avatar: '头像',
}
const yuan = (fen: unknown) => `${(Number(fen) / 100).toFixed(2)} 元`

/** The detail of an event, empty where the title says it all. */
export function detailOf(one: HappeningLine): string {
  const said = one.payload as Record<string, unknown>
  const text = (name: string) => (said[name] === undefined || said[name] === '' ? '' : String(said[name]))
  if (one.kind === 'wechat.text') return text('content')
  if (one.kind === 'points.adjusted') return `${text('asset') === 'growth' ? growthWord(Number(said.brand)) : '积分'} ${signed(Number(said.amount))}，${text('reason')}`
  if (one.kind === 'member.level_changed') return `${Number(said.to) > Number(said.from) ? '升为' : '变为'}${text('level')}`
  if (one.kind === 'member.profile_changed' && Array.isArray(said.fields)) return (said.fields as string[]).map((name) => FIELDS[name] ?? name).join('、')
  if (one.kind === 'member.merged' || one.kind === 'member.split') return `会员 ${text('kept')} 与 ${text('absorbed')}`
  if (one.kind.startsWith('order.')) return [text('order') && `订单 ${text('order')}`, said.amount !== undefined && yuan(said.amount)].filter(Boolean).join('，')
  if (one.kind.startsWith('tag.')) return text('name')
  if (one.kind.startsWith('interest.')) return text('interest')
  if (one.kind.startsWith('intent.')) return text('intent')
  if (one.kind.startsWith('gift.')) return text('name') || text('gift')
  return text('content') || text('name') || text('key') || text('event_key')
}
