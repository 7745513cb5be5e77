// The knowledge base's machine words, as people read them.
import type { EntryItem, QuestionTried } from '../generated/contract'

export const KINDS: Record<EntryItem['kind'], string> = { qa: '问答', article: '文章' }
export const VERDICTS: Record<QuestionTried['verdict'], { text: string; type: 'success' | 'warning' | 'info' }> = {
  answer: { text: '直接回答', type: 'success' },
  menu: { text: '给出相近的问题让粉丝选', type: 'warning' },
  nothing: { text: '没有找到答案', type: 'info' },
}

/** 已发布, 草稿, 已归档; a published one with a newer draft says so. */
export function statusOf(one: { status: EntryItem['status']; newest: number; published: number | null }) {
  if (one.status === 'archived') return { text: '已归档', type: 'info' as const }
  if (one.status === 'draft') return { text: '草稿', type: 'warning' as const }
  return one.published === one.newest
    ? { text: '已发布', type: 'success' as const }
    : { text: `已发布第 ${one.published} 版，有新草稿`, type: 'primary' as const }
}
