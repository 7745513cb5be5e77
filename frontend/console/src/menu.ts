// The menu: the pages that the role allows, by groups, in one order everywhere.
import { pages, type Page } from 'virtual:pages'
import { may } from './session'

const ORDER = ['', '客服', '会员', '运营', '设置']

/** The groups with their pages; the first, without a name, has the home page. */
export function menu(): [string, Page[]][] {
  const found = new Map<string, Page[]>()
  for (const page of [...pages].sort((a, b) => (a.order ?? 0) - (b.order ?? 0))) {
    if (page.group === undefined || !may(page.permission)) continue
    found.set(page.group, [...(found.get(page.group) ?? []), page])
  }
  return [...found].sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b))
}
