// Point rules as people read them.
import type { AwardLine, PointsRule, PointsRuleVersion } from '../generated/contract'
import { growthWord } from '../session'

export const FREQUENCIES: Record<PointsRuleVersion['frequency'], string> = { each: '每次', daily: '每天', once_daily: '每天一次', once: '每人一次' }

/** 积分, or the brand's own word for growth. */
export const assetName = (asset: string, brand: number) => (asset === 'growth' ? growthWord(brand) : '积分')

/** What a line is about, such as 订单 demo-1001; empty where it is about nothing that has a number. */
export function aboutOf(one: AwardLine): string {
  const [word, ...rest] = one.subject.split(':')
  const name = { order: '订单', post: '帖子', code: '验真码' }[word ?? '']
  return name ? `${name} ${rest.join(':')}` : ''
}

/** How a rule stands: off, in force, or in force later. */
export function standing(one: PointsRule): { text: string; type: 'success' | 'info' | 'warning' } {
  if (one.current === null) return { text: '未生效', type: 'warning' }
  return one.current.enabled ? { text: '已启用', type: 'success' } : { text: '已停用', type: 'info' }
}

/** The version that editing begins with: what is planned or in force, not a promotion that is over. */
export function basis(one: PointsRule, now = new Date()): PointsRuleVersion {
  const until = one.newest.effective_until
  return until !== null && new Date(until) <= now && one.current ? one.current : one.newest
}
