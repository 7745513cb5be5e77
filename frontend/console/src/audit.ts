// The audit trail's machine words, as people read them. A new action adds its line to ACTIONS.
import type { AuditLine } from './generated/contract'
import { brandName } from './session'

export const ACTIONS: Record<string, string> = {
  'session.began': '登录',
  'session.ended': '退出登录',
  'session.refused': '登录失败',
  'session.revoked': '退出设备',
  'password.changed': '修改密码',
  'password.reset': '重置密码',
  'staff.added': '新增员工',
  'staff.changed': '修改员工',
  'role.added': '新建角色',
  'role.changed': '修改角色',
  'role.removed': '删除角色',
}

export const GROUPS: [string, string][] = [
  ['session.', '登录与退出'],
  ['password.', '密码'],
  ['staff.', '员工'],
  ['role.', '角色'],
]

const NAMES: Record<string, string> = {
  login: '登录名', name: '名称', role: '角色', brands: '品牌', skills: '技能', capacity: '同时接待', status: '状态',
  permissions: '权限', session: '会话', sessions: '设备数',
}
const VALUES: Record<string, string> = { active: '在职', disabled: '已停用' }

function text(name: string, value: unknown): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return '无'
    return value.map((one) => (name === 'brands' && typeof one === 'number' ? brandName(one) : String(one))).join('、')
  }
  if (value === null || value === undefined || value === '') return '空'
  if (typeof value === 'object') return JSON.stringify(value)
  return VALUES[String(value)] ?? String(value)
}

export interface Difference {
  name: string
  before: string | null
  after: string | null
}

/** What a line says has changed, name by name. */
export function differences(line: AuditLine): Difference[] {
  const names = [...new Set([...Object.keys(line.before ?? {}), ...Object.keys(line.after ?? {})])]
  const side = (values: Record<string, unknown> | null, name: string) =>
    values && name in values ? text(name, values[name]) : null
  return names.map((name) => ({ name: NAMES[name] ?? name, before: side(line.before, name), after: side(line.after, name) }))
}
