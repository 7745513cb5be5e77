// The assistant's machine words, as people read them.
import type { LogItem } from '../generated/contract'

export const OUTCOMES: Record<LogItem['outcome'], { text: string; type: 'success' | 'warning' | 'danger' | 'primary' | 'info' }> = {
  self_service: { text: '自助查询', type: 'success' },
  knowledge: { text: '知识库回答', type: 'success' },
  menu: { text: '让粉丝选择', type: 'primary' },
  answered: { text: '大模型回答', type: 'success' },
  doubt: { text: '没有把握', type: 'warning' },
  failed: { text: '大模型故障', type: 'danger' },
  over_budget: { text: '预算用完', type: 'danger' },
}
export const TOOLS: Record<string, string> = {
  my_points: '查本人积分', my_level: '查本人等级', my_redemptions: '查本人兑换', my_checkin: '查本人签到', stores: '查门店',
}
/** Why an answer was withheld, or none was made. */
export const REASONS: Record<string, string> = {
  unsure: '找不到足够的资料', empty: '大模型什么也没写', too_long: '写得太长', leak: '疑似泄露内部指令', encoded: '含有编码过的内容',
  secret: '含有疑似密钥的内容', markup: '含有不该出现的标记', citation: '引用了不存在的资料', no_citation: '没有标明出处',
  figure: '数字在资料里找不到', promise: '作了资料里没有的承诺', unsupported: '内容在资料里找不到依据', banned: '含有禁用词',
  moderated: '没有通过微信内容安全', unjudged: '微信内容安全没有回应', member: '这位粉丝今天的次数用完', brand: '品牌今天的预算用完',
  failed: '大模型出错', away: '连不上大模型', busy: '大模型繁忙', timeout: '大模型太慢', refused: '大模型拒绝了请求', broken: '大模型的回答无法识别',
}
