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
  'account.changed': '修改公众号或小程序',
  'role.added': '新建角色',
  'role.changed': '修改角色',
  'role.removed': '删除角色',
  'knowledge.added': '新建知识',
  'knowledge.changed': '修改知识',
  'knowledge.published': '发布知识',
  'knowledge.withdrawn': '撤回知识',
  'knowledge.archived': '归档知识',
  'knowledge.restored': '恢复知识',
  'knowledge.imported': '导入知识',
  'knowledge.synonyms': '修改同义词',
  'rule.added': '新建自动回复',
  'rule.changed': '修改自动回复',
  'rule.removed': '删除自动回复',
  'welcome.set': '设置欢迎语',
  'welcome.removed': '删除欢迎语',
  'assistant.changed': '修改智能客服设置',
  'desk.numbers': '修改客服时限',
  'desk.texts': '修改客服话术',
  'desk.skill': '设置技能队列',
  'desk.skill_removed': '删除技能队列',
  'desk.seat': '设置坐席',
  'desk.served_by': '切换客服接待方式',
  'desk.shifts': '修改班次',
  'desk.day': '设置特殊日',
  'members.exported': '导出会员',
  'member.tagged': '给会员打标签',
  'member.untagged': '移除会员标签',
  'member.split': '拆分会员',
  'points.adjusted': '人工调整积分',
  'tag.added': '新建标签',
  'tag.changed': '修改标签',
  'tag.archived': '停用标签',
  'tag.batch_begun': '批量打标签',
  'tag.batch_undone': '撤销批量标签',
  'conversation.transferred': '转接会话',
  'conversation.closed': '结束会话',
  'points.given': '赠送积分',
  'tag.put': '打标签',
  'tag.taken': '移除标签',
  'quick_reply.added': '新增快捷回复',
  'quick_reply.changed': '修改快捷回复',
  'quick_reply.removed': '删除快捷回复',
}

export const GROUPS: [string, string][] = [
  ['session.', '登录与退出'],
  ['password.', '密码'],
  ['staff.', '员工'],
  ['account.', '公众号与小程序'],
  ['role.', '角色'],
  ['knowledge.', '知识库'],
  ['rule.', '自动回复'],
  ['welcome.', '欢迎语'],
  ['assistant.', '智能客服'],
  ['desk.', '排班与客服设置'],
  ['member.', '会员'],
  ['members.', '会员导出'],
  ['points.', '积分'],
  ['tag.', '标签'],
  ['conversation.', '会话'],
  ['quick_reply.', '快捷回复'],
]

const NAMES: Record<string, string> = {
  mode: '加密模式', verified: '微信认证', secret: 'AppSecret', token: 'Token', aes_key: 'EncodingAESKey',
  login: '登录名', name: '名称', role: '角色', brands: '品牌', skills: '技能', capacity: '同时接待', status: '状态',
  permissions: '权限', session: '会话', sessions: '设备数',
  version: '版本', published: '粉丝看到的版本', kind: '类型', created: '新增', updated: '更新', rejected: '未导入',
  publish: '立即发布', groups: '组数', match: '匹配方式', pattern: '关键词', reply: '回复', priority: '顺序', enabled: '启用',
  audience: '对象', channel: '渠道', banned: '禁用词', member_calls: '每人每天次数', member_tokens: '每人每天 token',
  calls: '每天次数', tokens: '每天 token', fen: '每天金额（分）', interests: '每天兴趣识别次数',
  first_response_seconds: '首次响应（秒）', promise_minutes: '承诺时间（分钟）', unsure_minutes: '连续答不上（分钟）', rating_minutes: '评价有效（分钟）',
  idle_minutes: '自动结束（分钟）', connected: '话术：已接通', next: '话术：下一位', queue: '话术：排队', outside: '话术：非服务时间', no_hours: '话术：没有排班',
  rating: '话术：请评价', closing: '话术：结束', by_fan: '话术：取消排队', title: '名称', wechat: '微信客服接待', shifts: '班次', day: '日期', note: '备注',
  tag: '标签', category: '分类', action: '操作', filter: '筛选项', total: '人数', changed: '变动人数', clear: '含完整姓名手机号',
  why: '原因', text: '内容', summary: '写了小结', to_staff_id: '转给员工', to_skill: '转给技能组',
  asset: '种类', amount: '数额', reason: '原因', evidence: '证据', members: '会员', merge: '合并',
}
const VALUES: Record<string, string> = {
  plain: '明文模式', compatible: '兼容模式', safe: '安全模式',
  active: '在职', disabled: '已停用', draft: '草稿', archived: '已归档', published: '已发布', qa: '问答', article: '文章',
  exact: '完全相同', contains: '包含', regex: '正则表达式', click: '菜单点击', any: '所有人', new: '新粉丝', returning: '再次关注',
  true: '是', false: '否',
  put: '打上', take: '移除', points: '积分', growth: '经验', unionid: 'UnionID', phone: '手机号',
  workday: '上班', restday: '休息', closed: '停止服务',
}

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
