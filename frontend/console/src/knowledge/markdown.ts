// Markdown as nodes of the page, never as HTML: whatever somebody writes stays text.
import { h, type VNode } from 'vue'

type Child = VNode | string

const INLINE = /!\[([^\]\n]*)\]\(([^)\s]*)\)|\[([^\]\n]+)\]\(([^)\s]*)\)|`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\n]+)\*/g
const LINK = /^https?:\/\//i

function inline(text: string): Child[] {
  const found: Child[] = []
  let last = 0
  for (const match of text.matchAll(INLINE)) {
    found.push(text.slice(last, match.index))
    last = match.index + match[0].length
    const [, image, , words, target, code, strong, soft] = match
    if (image !== undefined) found.push(h('span', { class: 'soft' }, `［图片：${image || '无说明'}］`))
    else if (words !== undefined) {
      const safe = LINK.test(target ?? '')
      found.push(safe ? h('a', { href: target, target: '_blank', rel: 'noopener noreferrer' }, words) : words)
    } else if (code !== undefined) found.push(h('code', code))
    else if (strong !== undefined) found.push(h('strong', strong))
    else if (soft !== undefined) found.push(h('em', soft))
  }
  return [...found, text.slice(last)].filter((one) => one !== '')
}

const HEADING = /^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$/
const ITEM = /^\s*(?:[-*+]|(\d+)[.、)])\s+(.*)$/
const QUOTE = /^ {0,3}>\s?(.*)$/
const FENCE = /^ {0,3}(?:```|~~~)/

/** The nodes of a text in the Markdown that our articles use: headings, lists, quotes, code, links, emphasis. */
export function rendered(text: string): VNode[] {
  const lines = text.split(/\r?\n/)
  const found: VNode[] = []
  let n = 0
  const taken = (pattern: RegExp) => {
    const matches: RegExpExecArray[] = []
    for (let match; n < lines.length && (match = pattern.exec(lines[n] ?? '')); n += 1) matches.push(match)
    return matches
  }
  while (n < lines.length) {
    const line = lines[n] ?? ''
    const heading = HEADING.exec(line)
    if (FENCE.test(line)) {
      const end = lines.findIndex((one, at) => at > n && FENCE.test(one))
      const until = end < 0 ? lines.length : end
      found.push(h('pre', lines.slice(n + 1, until).join('\n')))
      n = until + 1
    } else if (heading) {
      found.push(h(`h${Math.min(6, (heading[1]?.length ?? 1) + 2)}`, inline(heading[2] ?? '')))
      n += 1
    } else if (QUOTE.test(line)) {
      found.push(h('blockquote', taken(QUOTE).map((match) => h('p', inline(match[1] ?? '')))))
    } else if (ITEM.test(line)) {
      const items = taken(ITEM)
      const tag = items[0]?.[1] === undefined ? 'ul' : 'ol'
      found.push(h(tag, items.map((match) => h('li', inline(match[2] ?? '')))))
    } else if (line.trim() === '') {
      n += 1
    } else {
      const start = n
      while (n < lines.length && ![HEADING, QUOTE, ITEM, FENCE].some((one) => one.test(lines[n] ?? '')) && lines[n]?.trim()) n += 1
      const rows = lines.slice(start, n).flatMap((row, at) => [...(at > 0 ? [h('br')] : []), ...inline(row)])
      found.push(h('p', rows))
    }
  }
  return found
}
