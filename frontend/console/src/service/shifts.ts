// Shifts as people say them: patterns, clock times over midnight, and the days of a week.
import type { RotaShift } from '../generated/contract'

export type Pattern = RotaShift['pattern']
export const PATTERNS: [Pattern, string][] = [
  ['workdays', '工作日（含调休上班）'], ['restdays', '休息日（含法定假日）'], ['daily', '每天'],
  ['mon', '每周一'], ['tue', '每周二'], ['wed', '每周三'], ['thu', '每周四'], ['fri', '每周五'], ['sat', '每周六'], ['sun', '每周日'],
  ['date', '指定日期上班'], ['off', '指定日期请假'],
]
export const dated = (pattern: Pattern) => pattern === 'date' || pattern === 'off'
const DAY = 1440

/** 09:00; what lies after midnight as the clock shows it. */
export function clock(minutes: number): string {
  const within = ((minutes % DAY) + DAY) % DAY
  return `${String(Math.floor(within / 60)).padStart(2, '0')}:${String(within % 60).padStart(2, '0')}`
}

/** 22:00–次日 06:00. */
export const between = (starts: number, ends: number) =>
  `${starts >= DAY ? '次日 ' : ''}${clock(starts)}–${ends > DAY ? '次日 ' : ''}${ends === DAY ? '24:00' : clock(ends)}`

/** Minutes of 09:00; null for what is no time. */
export function minutes(text: string | null): number | null {
  const found = /^(\d{1,2}):(\d{2})$/.exec(text ?? '')
  return found ? Number(found[1]) * 60 + Number(found[2]) : null
}

/** The day so many days after another, both as 2026-03-09. */
export function plus(day: string, days: number): string {
  const moment = new Date(`${day}T00:00:00Z`)
  moment.setUTCDate(moment.getUTCDate() + days)
  return moment.toISOString().slice(0, 10)
}

export const today = () => new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Shanghai' }).format(new Date())
export const WEEKDAYS = ['周一', '周二', '周三', '周四', '周五', '周六', '周日']
export const KINDS = { workday: '上班', restday: '休息', closed: '停止服务' }

