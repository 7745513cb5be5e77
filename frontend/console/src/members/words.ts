// What members' pages say: the filter, machine words, numbers.
import type { MemberFan } from '../generated/contract'
import { whyRefused } from '../words'

export interface MemberFilterState {
  number: string
  nickname: string
  name: string
  phone: string
  days: [string, string] | null
  platform: '' | 'wechat' | 'miniprogram'
  level: number | ''
  tags: number[]
  points_min: number | null
  points_max: number | null
}

export const emptyFilter = (): MemberFilterState => ({
  number: '', nickname: '', name: '', phone: '', days: null, platform: '', level: '', tags: [], points_min: null, points_max: null,
})

/** The filter as the API takes it: only what asks something. */
export function given(filter: MemberFilterState) {
  const number = Number(filter.number)
  return {
    ...(Number.isSafeInteger(number) && number > 0 && { number }),
    ...(filter.nickname && { nickname: filter.nickname }),
    ...(filter.name && { name: filter.name }),
    ...(filter.phone && { phone: filter.phone }),
    ...(filter.days && { since: filter.days[0], until: filter.days[1] }),
    ...(filter.platform && { platform: filter.platform }),
    ...(filter.level && { level: filter.level }),
    ...(filter.tags.length > 0 && { tag: filter.tags.join(',') }),
    ...(filter.points_min !== null && { points_min: filter.points_min }),
    ...(filter.points_max !== null && { points_max: filter.points_max }),
  }
}

const NUMBER = new Intl.NumberFormat('zh-CN')
/** 12,345 */
export const number = (value: number) => NUMBER.format(value)
/** +12 or −3 */
export const signed = (value: number) => (value > 0 ? `+${number(value)}` : `−${number(-value)}`)

export const KINDS: Record<string, string> = { service: '服务号', subscription: '订阅号', miniprogram: '小程序' }

/** The platforms of a person, with whether they follow there, and which accounts these are. */
export function platformsOf(fans: readonly MemberFan[]): { name: string; following: boolean; accounts: string }[] {
  const groups: [string, MemberFan[]][] = [
    ['公众号', fans.filter((fan) => fan.kind !== 'miniprogram')],
    ['小程序', fans.filter((fan) => fan.kind === 'miniprogram')],
  ]
  return groups
    .filter(([, own]) => own.length > 0)
    .map(([name, own]) => ({
      name,
      following: name === '小程序' || own.some((fan) => fan.following),
      accounts: own.map((fan) => fan.account).join('、'),
    }))
}

export const GENDERS: Record<string, string> = { male: '男', female: '女', other: '其他' }
export const EVIDENCE: Record<string, string> = { unionid: '相同的微信 UnionID', phone: '相同的手机号' }
export const FRIENDS: Record<string, string> = { counts: '有效', void: '不计（之前已是会员）', fraud: '作弊' }
export const PURPOSES: Record<string, string> = { answer: '自动回复', service: '服务消息' }
export const OUTBOX: Record<string, string> = {
  pending: '等待发送', claimed: '等待发送', sending: '发送中', sent: '已送达微信', refused: '未发出', failed: '发送失败', unknown: '结果未知（不重发）',
}
const REASONS: Record<string, string> = {
  with_person: '人工正在接待，智能助手不插话',
}
const SCENES: Record<string, string> = { message: '粉丝发来消息', menu: '点击菜单', follow: '新关注', scan: '扫码', enter: '进入小程序客服' }

/** Why something was, or was not, said. */
export function reasonOf(reason: string): string {
  const scene = reason.startsWith('window:') ? reason.slice(7) : null
  return scene === null ? (whyRefused(reason) ?? REASONS[reason] ?? reason) : `在可发送时间内（${SCENES[scene] ?? scene}）`
}
