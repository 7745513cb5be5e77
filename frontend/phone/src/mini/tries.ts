// Tries whose end is not known: the very same request, tried again soon, is the same try and keeps its key. The phone
// remembers them, because a page that was left and a reload must not make two of one.
import type { Wx } from './wx'

interface Try {
  key: string
  /** Milliseconds since 1970. */
  at: number
}

const KEPT = 'tries'
/** Later the same words are meant anew: tomorrow's check-in is not today's. */
const SAME_MS = 10 * 60_000

export const freshKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('')

/** A number for a request (FNV-1a, 64 bits): what is remembered holds no name and no address. */
function digest(request: string): string {
  let sum = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(request)) sum = BigInt.asUintN(64, (sum ^ BigInt(byte)) * 0x100000001b3n)
  return sum.toString(16)
}

export class Tries {
  private readonly open: Record<string, Try>

  constructor(private readonly wx: Wx) {
    this.open = wx.stored<Record<string, Try>>(KEPT) ?? {}
  }

  /** The key for a request: the one of its open try, else a new one. */
  begin(request: string): string {
    const now = Date.now()
    for (const [name, { at }] of Object.entries(this.open)) if (now - at > SAME_MS) delete this.open[name]
    const name = digest(request)
    const { key } = (this.open[name] ??= { key: freshKey(), at: now })
    this.keep()
    return key
  }

  /** The server has said how it ended. */
  end(request: string): void {
    delete this.open[digest(request)]
    this.keep()
  }

  private keep(): void {
    this.wx.store(KEPT, Object.keys(this.open).length > 0 ? this.open : null)
  }
}
