// The audit trail as people read it: what was done, and in sentences what it changed. A new action adds its line to
// ACTIONS, and one to SAYS where its details are no plain "from this to that".
import type { AuditLine } from './generated/contract'
import { EVIDENCE, signed } from './members/words'
import { briefly, MATCHES, type Reply } from './rules/names'
import { brandName, growthWord } from './session'
import { fullTime } from './words'

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
  'points_rule.added': '新建积分规则',
  'points_rule.changed': '修改积分规则',
  'gift.added': '新建积分商品',
  'gift.changed': '修改积分商品',
  'gift.stocked': '调整商品库存',
  'gift.codes': '导入兑换码',
  'redemption.shipped': '兑换发货',
  'redemption.completed': '确认送达',
  'redemption.cancelled': '取消兑换',
  'redemptions.exported': '导出待发货',
  'points_rule.word': '修改成长值的叫法',
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
  ['points_rule.', '积分规则'],
  ['gift.', '积分商品'],
  ['redemption.', '兑换'],
  ['redemptions.', '待发货导出'],
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

/** As scrm/staff/permissions.py calls them. */
const PERMISSIONS: Record<string, string> = {
  'inbox.answer': '接待会话',
  'inbox.gift': '向粉丝赠送积分',
  'inbox.supervise': '查看全部会话、转接与实时看板',
  'service.manage': '排班与客服设置',
  'knowledge.read': '查看知识库',
  'knowledge.edit': '编辑知识库',
  'assistant.manage': '设置智能客服与预算',
  'members.read': '查看会员',
  'members.phone': '查看完整姓名与手机号',
  'members.edit': '给会员打标签、拆分合并',
  'members.export': '导出会员',
  'points.adjust': '人工调整积分',
  'points.rules': '设置积分规则',
  'mall.manage': '管理积分商城与发货',
  'mall.parcels': '查看完整收货地址',
  'rules.edit': '编辑自动回复与规则',
  'reports.read': '查看报表',
  'accounts.read': '查看公众号与小程序',
  'staff.manage': '管理员工与角色',
  'audit.read': '查看操作日志',
}
// What may differ between two states, and how it is called.
const NAMES: Record<string, string> = {
  mode: '加密模式', verified: '微信认证', secret: 'AppSecret', token: 'Token', aes_key: 'EncodingAESKey',
  login: '登录名', name: '名称', role: '角色', brands: '负责的品牌', skills: '技能', capacity: '同时接待', status: '状态',
  permissions: '权限', match: '匹配方式', pattern: '关键词', reply: '回复', priority: '顺序', audience: '对象', channel: '渠道',
  banned: '禁用词', member_calls: '每位粉丝每天的次数', member_tokens: '每位粉丝每天的 token', calls: '每天的次数', tokens: '每天的 token',
  fen: '每天的金额（分）', interests: '每天的兴趣识别次数', first_response_seconds: '首次响应（秒）', promise_minutes: '承诺时间（分钟）',
  unsure_minutes: '连续答不上（分钟）', rating_minutes: '评价有效（分钟）', idle_minutes: '自动结束（分钟）', connected: '话术“已接通”',
  next: '话术“下一位”', queue: '话术“排队”', outside: '话术“非服务时间”', no_hours: '话术“没有排班”', rating: '话术“请评价”',
  closing: '话术“结束”', by_fan: '话术“取消排队”', title: '名称', shifts: '班次', day: '日期', kind: '类型', note: '备注',
  category: '分类', text: '内容', version: '版本', published: '粉丝看到的版本', tag: '标签', reason: '原因', groups: '同义词组数',
  module: '模块', frequency: '频率', points: '积分', growth: '成长值', unit: '单位', points_valid_days: '积分有效天数',
  day_cap_points: '日积分上限', day_cap_growth: '日成长值上限', month_cap_points: '月积分上限', month_cap_growth: '月成长值上限',
  effective_from: '生效时间', effective_until: '结束时间', fen_per_unit: '每满（元）', days: '收货后到账天数', points_days: '积分到账天数',
  points_calendar: '积分到账日', growth_days: '成长值到账天数', growth_calendar: '成长值到账日', price: '所需积分', per_person: '每人限兑',
  level: '等级要求', on_sale_from: '开始兑换', on_sale_until: '停止兑换', picture: '图片', gift_kind: '类型', stock: '库存',
  company: '快递公司', number: '快递单号',
}
const MOMENTS = new Set(['effective_from', 'effective_until', 'on_sale_from', 'on_sale_until'])
const CALENDARS = { natural: '自然日', working: '工作日' }
const WORDS: Record<string, Record<string, string>> = {
  mode: { plain: '明文模式', compatible: '兼容模式', safe: '安全模式' },
  status: { active: '在职', disabled: '已停用', draft: '草稿', archived: '已归档', published: '已发布' },
  gift_kind: { physical: '实物', virtual: '兑换码' },
  kind: { qa: '问答', article: '文章', workday: '上班', restday: '休息', closed: '停止服务' },
  audience: { any: '所有人', new: '新粉丝', returning: '再次关注的粉丝' },
  frequency: { each: '每次', daily: '每天', once_daily: '每天一次', once: '每人一次' },
  points_calendar: CALENDARS,
  growth_calendar: CALENDARS,
}
// What is never shown, only that it is another.
const SECRETS = new Set(['secret', 'token', 'aes_key'])
const FILTERS: Record<string, string> = {
  number: '用户 ID 或会员号', nickname: '昵称', name: '姓名', phone: '手机号', since: '加入时间', until: '加入时间', platform: '平台', level: '等级',
  tags: '标签', points_min: '积分', points_max: '积分', people: '手工选择',
}
type Values = Record<string, any>

/** Growth has each brand's own word. */
const worded = (said: string, brand: number | null) => said.replaceAll('成长值', growthWord(brand))

/** A value as people read it. */
function text(name: string, value: unknown): string {
  if (value === null || value === undefined || value === '') return '空'
  if (typeof value === 'boolean') return value ? '是' : '否'
  if (Array.isArray(value)) return value.length === 0 ? '无' : value.map((one) => text(name, one)).join('、')
  if (name === 'reply') return `“${briefly(value as Reply)}”`
  if (name === 'brands' && typeof value === 'number') return brandName(value)
  if (name === 'permissions') return PERMISSIONS[String(value)] ?? String(value)
  if (name === 'match') return MATCHES[value as keyof typeof MATCHES]?.text ?? String(value)
  if (MOMENTS.has(name)) return ` ${fullTime(String(value))} `
  if (name === 'fen_per_unit') return ` ${Number(value) / 100} `
  if (name === 'version' || name === 'published') return `第 ${value} 版`
  if (typeof value === 'object') return Object.entries(value).map(([key, one]) => `${NAMES[key] ?? key} ${text(key, one)}`).join('，')
  return WORDS[name]?.[String(value)] ?? (typeof value === 'number' ? ` ${value} ` : `“${value}”`)
}

/** One thing that is other than it was, or that was there from the beginning, or is gone. */
function changed(name: string, before: Values | null, after: Values | null, brand: number | null): string {
  const what = worded(NAMES[name] ?? name, brand)
  const [was, is] = [before?.[name], after?.[name]]
  if (SECRETS.has(name)) return `${is === null ? '去掉了' : '换了新的'} ${what}`
  if (name === 'enabled') return after && name in after ? (is ? '启用' : '停用') : ''
  if (name === 'shelf') return is ? '上架' : '下架'
  if (Array.isArray(was) && Array.isArray(is)) {
    const came = is.filter((one) => !was.includes(one))
    const went = was.filter((one) => !is.includes(one))
    const parts = [came.length > 0 && `增加 ${text(name, came)}`, went.length > 0 && `去掉 ${text(name, went)}`].filter(Boolean)
    return `${what}：${parts.join('，') || '调整了顺序'}`
  }
  if (before && name in before && after && name in after) return `${what}由${text(name, was)}改为${text(name, is)}`
  if (after && name in after) return `${what}为${text(name, is)}`
  return `原来的${what}为${text(name, was)}`
}

const filtered = (names: string[]) =>
  names.length === 0 ? '没有筛选，全部会员' : `按${[...new Set(names.map((one) => FILTERS[one] ?? one))].join('、')}筛选`
const because = (why: unknown) => (why ? `原因：${why}` : '')

// What needs words of its own; `a` is what is now, `b` what was.
const SAYS: Record<string, (a: Values, b: Values, brand: number | null) => string[]> = {
  'session.refused': () => ['登录名或密码不对'],
  'session.revoked': (a) => [a.sessions ? `退出了 ${a.sessions} 台设备` : '退出了一台设备'],
  'knowledge.changed': (a, b) => [b.version ? `在第 ${b.version} 版之后写了第 ${a.version} 版` : `写了第 ${a.version} 版`],
  'knowledge.imported': (a) => [`新增 ${a.created} 条，更新 ${a.updated} 条，没有导入 ${a.rejected} 条`, a.publish ? '导入后立即发布' : '导入为草稿，还没有发布'],
  'knowledge.synonyms': (a) => [`现在有 ${a.groups} 组同义词`],
  'points_rule.word': (a, b) => [`“${b.growth_word}”改称“${a.growth_word}”`],
  'desk.served_by': (a) => ['wechat' in a ? (a.wechat ? '改由微信客服接待' : '改由我们的坐席接待') : '没有变化'],
  'desk.skill_removed': (_, b) => [`删除了队列${text('skills', b.skills)}，排队中的会话改由任何客服接待`],
  'members.exported': (a) => [filtered(a.filter ?? []), a.clear ? '文件里有完整的姓名和手机号' : '文件里的姓名和手机号已打码'],
  'member.tagged': (a) => [`打上标签“${a.tag}”`],
  'member.untagged': (a) => [`移除标签“${a.tag}”`],
  'tag.put': (a) => [`打上标签“${a.tag}”`],
  'tag.taken': (a) => [`移除标签“${a.tag}”`],
  'member.split': (a) => [
    `撤回合并的证据：${EVIDENCE[a.evidence] ?? a.evidence}`,
    a.members?.length > 1 ? `拆分为会员 ${a.members.join(' 和会员 ')}` : '因为还有其他证据，仍是同一位会员',
  ],
  'points.adjusted': (a, _, brand) => [`${a.asset === 'growth' ? growthWord(brand) : '积分'} ${signed(a.amount)}`, because(a.reason)],
  'gift.stocked': (a) => [`库存 ${signed(a.amount)}，变为 ${a.stock}`, because(a.reason)],
  'gift.codes': (a) => [`导入 ${a.added} 个兑换码`, a.known ? `${a.known} 个已经有了` : ''],
  'redemption.cancelled': (a) => [`退回 ${a.points} 积分`],
  'redemptions.exported': (a) => [`${a.rows} 笔待发货`, a.clear ? '文件里有完整的收货人和电话' : '文件里的收货人和电话已打码'],
  'points.given': (a) => [`赠送 ${a.amount} 积分`, because(a.why)],
  'tag.batch_begun': (a) => [`给 ${a.total} 位会员${a.action === 'take' ? '移除' : '打上'}“${a.tag}”`, filtered(a.filter ?? [])],
  'tag.batch_undone': (a) => [`${a.changed} 位会员恢复原样`],
  'conversation.transferred': (a) => [
    a.to_staff ? `转给同事 ${a.to_staff}` : a.to_staff_id ? `转给员工 ${a.to_staff_id}` : a.to_skill ? `转到“${a.to_skill}”队列` : '转到不限技能的队列',
  ],
  'conversation.closed': (a) => [a.summary ? '写了小结' : '没有写小结'],
}

/** A state with its settings among the rest: each is told by its own name. */
function opened(state: Values | null): Values | null {
  if (!state?.settings) return state
  const { settings, ...rest } = state
  return { ...rest, ...settings }
}

/** What a line says has changed, sentence by sentence. */
export function sentences(line: AuditLine): string[] {
  const says = SAYS[line.action]
  if (says) return says(line.after ?? {}, line.before ?? {}, line.brand_id).filter(Boolean)
  const [before, after] = [opened(line.before), opened(line.after)]
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].filter((name) => before?.[name] !== after?.[name] || !before || !after)
  return names.map((name) => changed(name, before, after, line.brand_id).trim()).filter(Boolean)
}
