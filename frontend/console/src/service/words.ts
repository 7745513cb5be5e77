// Numbers of the service reports as people read them, what each one means, and tables as files.
import type { ServiceFigures } from '../generated/contract'

/** 8 秒, 1 分 20 秒, 2 小时 5 分; — where there is nothing. */
export function span(seconds: number | null): string {
  if (seconds === null) return '—'
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} 秒`
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} 分 ${whole % 60} 秒` : `${whole / 60} 分钟`
  const minutes = Math.round(whole / 60)
  const hours = Math.floor(minutes / 60)
  return minutes % 60 ? `${hours} 小时 ${minutes % 60} 分` : `${hours} 小时`
}

/** 37.5%, — where there is nothing to divide by. */
export function share(part: number | null, of: number | null): string {
  if (part === null || !of) return '—'
  const percent = (part / of) * 100
  return `${Number.isInteger(percent) ? percent : percent.toFixed(1)}%`
}

export const score = (rating: number | null) => (rating === null ? '—' : rating.toFixed(2))

/** What stands in the tables: the head, and the cell of a group's numbers. */
export const COLUMNS: { head: string; cell: (one: ServiceFigures) => string; width?: number }[] = [
  { head: '求助会话', cell: (one) => String(one.asked), width: 84 },
  { head: '已回复', cell: (one) => String(one.answered), width: 74 },
  { head: '平均等待', cell: (one) => span(one.waiting), width: 100 },
  { head: '平均首响', cell: (one) => span(one.first_response), width: 100 },
  { head: '首响中位数', cell: (one) => span(one.first_response_median), width: 100 },
  { head: '及时率', cell: (one) => share(one.in_time, one.answered_in_hours), width: 78 },
  { head: '平均解决', cell: (one) => span(one.resolution), width: 118 },
  { head: '满意度', cell: (one) => (one.rated ? `${score(one.rating)}（${one.rated}）` : '—'), width: 96 },
  { head: '承诺兑现', cell: (one) => (one.promises ? `${one.promises_kept} / ${one.promises}` : '—'), width: 84 },
  { head: '承诺超时', cell: (one) => String(one.promises_broken), width: 84 },
]

/** What each number means, as the page explains it. */
export const MEANINGS: [string, string][] = [
  ['求助会话', '粉丝要求转人工、机器人答不上或规则转来的，以及客服主动接入的会话，按求助时间归到那一天、那一小时。'],
  ['平均等待', '从求助到第一位客服接起。服务时间外求助的不计入：那时给的是承诺，单独统计。'],
  ['平均首响', '从求助到客服发出第一条消息，只算服务时间内求助的。中位数是排在正中间的那一个，不受个别极慢会话影响。'],
  ['及时率', '服务时间内求助并已回复的会话中，首响不超过品牌所设时限（默认 45 秒）的比例。'],
  ['平均解决', '从求助到会话结束，只算客服关闭或长时间无人说话而关闭的；粉丝自己取消排队、取消关注的不算。'],
  ['机器人独立解决', '某天发过消息的粉丝，当天没有与人工会话有任何交集的占比。一位粉丝一天只算一次，不能按技能拆分。'],
  ['满意度', '会话结束后粉丝打的 1 到 5 分的平均值，括号内为评分人数；没有评分的不计入。'],
  ['承诺', '服务时间外求助时告知粉丝的回复时间。到点前回复算兑现，过点才回复或一直没有回复算超时；其余未到期，或粉丝已离开。'],
  ['按客服', '会话算给最后接待的客服；没有人接起过的会话不算给任何人。'],
]

// A name that a spreadsheet would take for a formula stays a name.
const cell = (value: string) => `"${(/^[=+\-@\t\r]/.test(value) ? `'${value}` : value).replaceAll('"', '""')}"`

/** Hands a table to the browser as a CSV file that spreadsheets open with the right letters. */
export function download(name: string, rows: string[][]) {
  const text = `\uFEFF${rows.map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`
  const address = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }))
  const link = Object.assign(document.createElement('a'), { href: address, download: `${name}.csv` })
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 1000)
}
