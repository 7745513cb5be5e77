// The copy of everything that is held about a member: read page by page, put together as one.
import type { Client } from './client'
import type { Export, ExportPart } from './members-api'

/** Reads all pages; `onPage` hears how many have come. A section that goes on on the next page is one section. */
export async function readCopy(client: Client, onPage: (pages: number) => void): Promise<{ at: string; sections: ExportPart[] }> {
  const sections = new Map<string, ExportPart>()
  let at = ''
  let after: string | null = null
  let pages = 0
  do {
    const page: Export = await client.get<Export>(`/me/export${after === null ? '' : `?after=${encodeURIComponent(after)}`}`)
    at ||= page.at
    for (const part of page.sections) {
      const known = sections.get(part.name)
      if (known) known.items.push(...part.items)
      else sections.set(part.name, { ...part, items: [...part.items] })
    }
    after = page.next
    onPage(++pages)
  } while (after !== null)
  return { at, sections: [...sections.values()] }
}

/** Hands a text to the person as a file. */
export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser has taken it by the next turn.
  setTimeout(() => URL.revokeObjectURL(url))
}
