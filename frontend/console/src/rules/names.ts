// What automatic replies are made of, as people read it.
import type { RuleItem, WelcomeItem } from '../generated/contract'

export type Reply = RuleItem['reply']
export const MATCHES: Record<RuleItem['match'], { text: string; hint: string }> = {
  exact: { text: '完全相同', hint: '粉丝发的整句话和关键词一样；大小写、全角半角和首尾空格不计' },
  contains: { text: '包含', hint: '粉丝的话里出现关键词就算；词太短容易误中' },
  regex: { text: '正则表达式', hint: 'RE2 语法，不区分大小写，例如 ^订单\\s*\\d+$' },
  click: { text: '菜单点击', hint: '公众号菜单按钮的 key，要完全一致' },
}
export const REPLIES: Record<Reply['type'], string> = {
  text: '文字', image: '图片', news: '图文', miniprogrampage: '小程序卡片', handoff: '转人工',
}
export const AUDIENCES: Record<WelcomeItem['audience'], string> = { any: '所有人', new: '新粉丝', returning: '再次关注的粉丝' }

/** A reply in one line. */
export function briefly(reply: Reply): string {
  if (reply.type === 'text') return reply.content
  if (reply.type === 'image') return '［图片］'
  if (reply.type === 'handoff') return reply.skill ? `转给“${reply.skill}”队列的同事` : '转给客服同事'
  return reply.title
}

/** An empty reply of a kind. */
export function blank(type: Reply['type']): Reply {
  if (type === 'image') return { type, media_id: '' }
  if (type === 'news') return { type, title: '', description: '', pic_url: '', url: '' }
  if (type === 'miniprogrampage') return { type, title: '', appid: '', pagepath: '', thumb_media_id: '' }
  if (type === 'handoff') return { type, skill: '' }
  return { type: 'text', content: '' }
}

/** Whether everything is there that has to be. */
export function complete(reply: Reply): boolean {
  if (reply.type === 'text') return reply.content.trim() !== ''
  if (reply.type === 'image') return reply.media_id.trim() !== ''
  if (reply.type === 'news') return reply.title.trim() !== '' && /^https?:\/\//.test(reply.url)
  if (reply.type === 'miniprogrampage') return [reply.title, reply.appid, reply.pagepath, reply.thumb_media_id].every((one) => one.trim() !== '')
  return true
}
