// Reads the text of a message into safe pieces: WeChat renders links and faces in it and nothing else.
import { withFaces } from './faces'

export type Piece =
  | { kind: 'text'; text: string }
  | { kind: 'link'; text: string; href: string }
  | { kind: 'miniprogram'; text: string; appid: string; path: string }
  /** Sends words of its own when it is tapped, as an entry of a msgmenu message does. */
  | { kind: 'choice'; text: string; content: string; id: string }

const CHOICE = 'weixin://bizmsgmenu?'

// An anchor as senders write it, or a bare address. Everything that does not match stays plain text.
const TOKEN = /<a\s([^<>]*)>([^<]*)<\/a>|https?:\/\/[\w\-.~:/?#[\]@!$&'()*+,;=%]+(?<![.,!?;:'()\]])/gi
const ATTRIBUTE = /([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g

const decode = (value: string) =>
  value
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')

/** The address when it is http(s), else null: `javascript:` and friends never become links. */
export function webAddress(value: string | null | undefined): string | null {
  if (!value || !URL.canParse(value)) return null
  return /^https?:$/.test(new URL(value).protocol) ? value : null
}

function anchor(attributes: string, text: string): Piece | null {
  const found = new Map<string, string>()
  for (const [, name, double, single] of attributes.matchAll(ATTRIBUTE)) {
    found.set((name ?? '').toLowerCase(), decode(double ?? single ?? ''))
  }
  const appid = found.get('data-miniprogram-appid')
  if (appid) return { kind: 'miniprogram', text, appid, path: found.get('data-miniprogram-path') ?? '' }
  const address = found.get('href')?.trim()
  if (address?.startsWith(CHOICE)) {
    const query = new URLSearchParams(address.slice(CHOICE.length))
    const content = query.get('msgmenucontent')
    return content ? { kind: 'choice', text, content, id: query.get('msgmenuid') ?? '' } : null
  }
  const href = webAddress(address)
  return href ? { kind: 'link', text, href } : null
}

/** The pieces of `raw`; joined, their texts are what the fan reads. */
export function pieces(raw: string): Piece[] {
  const result: Piece[] = []
  let from = 0
  const plain = (to: number) => {
    if (to > from) result.push({ kind: 'text', text: withFaces(raw.slice(from, to)) })
  }
  for (const match of raw.matchAll(TOKEN)) {
    const [whole, attributes, text] = match
    const piece: Piece | null =
      attributes === undefined ? { kind: 'link', text: whole, href: whole } : anchor(attributes, text ?? '')
    if (!piece) continue // an anchor that leads nowhere safe is shown as it was written
    plain(match.index)
    result.push(piece)
    from = match.index + whole.length
  }
  plain(raw.length)
  return result
}

/** The text without its markup, for the list of conversations. */
export const plainText = (raw: string) =>
  pieces(raw)
    .map((piece) => piece.text)
    .join('')
