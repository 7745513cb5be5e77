// What is different between two texts: line by line, and within changed lines character by character.
export interface Piece {
  kind: 'same' | 'gone' | 'new'
  text: string
}

const MOST = 1_000_000 // cells of the table; beyond that everything counts as replaced

/** The steps from one list to the other, by their longest common part. */
function steps(before: string[], after: string[]): Piece[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1
  let end = 0
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1
  const a = before.slice(start, before.length - end)
  const b = after.slice(start, after.length - end)
  const same = (list: string[]): Piece[] => list.map((text) => ({ kind: 'same', text }))
  return [...same(before.slice(0, start)), ...middle(a, b), ...same(before.slice(before.length - end))]
}

function middle(a: string[], b: string[]): Piece[] {
  const gone = a.map((text): Piece => ({ kind: 'gone', text }))
  const added = b.map((text): Piece => ({ kind: 'new', text }))
  if (a.length === 0 || b.length === 0 || a.length * b.length > MOST) return [...gone, ...added]
  const width = b.length + 1
  const best = new Uint32Array((a.length + 1) * width)
  const at = (i: number, j: number) => best[i * width + j] ?? 0
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      best[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const found: Piece[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ kind: 'same', text: a[i] ?? '' })
      i += 1
      j += 1
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      found.push({ kind: 'gone', text: a[i++] ?? '' })
    } else {
      found.push({ kind: 'new', text: b[j++] ?? '' })
    }
  }
  return found
}

function joined(pieces: Piece[], glue = ''): Piece[] {
  const found: Piece[] = []
  for (const piece of pieces) {
    const last = found.at(-1)
    if (last && last.kind === piece.kind) last.text += glue + piece.text
    else found.push({ ...piece })
  }
  return found
}

/** The pieces of both texts in reading order; those of one kind beside each other are one. */
export function difference(before: string, after: string): Piece[] {
  const lines = steps(before.split(/(?<=\n)/), after.split(/(?<=\n)/))
  const found: Piece[] = []
  const blocks = joined(lines)
  for (let n = 0; n < blocks.length; n += 1) {
    const [one, next] = [blocks[n], blocks[n + 1]]
    if (one?.kind === 'gone' && next?.kind === 'new') {
      found.push(...steps([...one.text], [...next.text]))
      n += 1
    } else if (one) {
      found.push(one)
    }
  }
  return joined(found)
}
