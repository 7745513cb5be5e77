// Speaks the members' API: tokens, one refresh on 401, one key for one try however often it is sent.
import { ApiError } from '../api'
import type { Problem, SignIn, TokenPair } from './members-api'
import { Tries, freshKey } from './tries'
import type { Wx, WxAnswer, WxRequest } from './wx'

/** A sentence to show. `code` is the problem document's; "network" and "server" are ours, and worth another try. */
export class MiniError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly field: string | null = null,
  ) {
    super(message)
  }

  /** Nobody knows whether it happened: the very same may be tried again, and happens once. */
  get unsure(): boolean {
    return UNKNOWN.has(this.code)
  }
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms))

const AGAIN_MS = 600
const BUSY_TRIES = 5

type Method = WxRequest['method']

/** One session at one mini-program's server. `ended` is called when only signing in again helps. */
export class Client {
  private tokens: TokenPair | null
  private readonly tries: Tries
  private refreshing: Promise<void> | null = null

  constructor(
    private readonly wx: Wx,
    private readonly server: string,
    private readonly ended: (why: string) => void,
  ) {
    this.tokens = wx.stored<TokenPair>('tokens')
    this.tries = new Tries(wx)
  }

  get signedIn(): boolean {
    return this.tokens !== null
  }

  /** `invitedBy` is the code of a friend's card; one that brings nothing hinders nobody. */
  async signIn(invitedBy = ''): Promise<void> {
    const { code } = await this.code()
    const body: SignIn = invitedBy ? { code, invited_by: invitedBy } : { code }
    this.keep(read<TokenPair>(await this.send('POST', '/sign-in', body)))
  }

  /** Ends the session at the server too; this phone forgets it whatever the server says. */
  async signOut(): Promise<void> {
    try {
      // Each session ends once: this is never the repetition of an earlier one.
      await this.authorized('POST', '/sign-out', undefined, freshKey())
    } finally {
      this.keep(null)
    }
  }

  /** Erases the account; with it go all sessions. */
  async deleteAccount(): Promise<void> {
    await this.write('DELETE', '/me')
    this.keep(null)
  }

  get<T>(path: string): Promise<T> {
    return this.authorized<T>('GET', path)
  }

  /** Changes something. While it is unknown how it ended, the very same is the same try (`MiniError.unsure`). */
  async write<T = void>(method: Method, path: string, body?: unknown): Promise<T> {
    const request = JSON.stringify([method, path, body])
    const key = this.tries.begin(request)
    try {
      const answer = await this.finished<T>(method, path, body, key)
      this.tries.end(request)
      return answer
    } catch (error) {
      if (!(error instanceof MiniError && error.unsure)) this.tries.end(request)
      throw error
    }
  }

  /** Waits while an earlier sending is still at work: its answer will be ours too. */
  private async finished<T>(method: Method, path: string, body: unknown, key: string): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.authorized<T>(method, path, body, key)
      } catch (error) {
        if (!(error instanceof MiniError && error.code === 'in_flight') || tries >= BUSY_TRIES) throw error
        await pause(AGAIN_MS)
      }
    }
  }

  private async authorized<T>(method: Method, path: string, body?: unknown, key?: string): Promise<T> {
    const used = this.tokens?.access_token
    let answer = await this.send(method, path, body, key)
    if (answer.status === 401) {
      // Several requests may find the token too old at once: the first renews it for all.
      if (this.tokens?.access_token === used) await this.refresh()
      answer = await this.send(method, path, body, key)
    }
    if (answer.status === 401) this.over()
    return read<T>(answer)
  }

  private refresh(): Promise<void> {
    this.refreshing ??= this.renew().finally(() => (this.refreshing = null))
    return this.refreshing
  }

  private async renew(): Promise<void> {
    // Another window of this browser may have been quicker; a refresh token that comes twice ends the session.
    const stored = this.wx.stored<TokenPair>('tokens')
    if (stored && stored.access_token !== this.tokens?.access_token) {
      this.tokens = stored
      return
    }
    const { refresh_token = '' } = this.tokens ?? {}
    const answer = await this.send('POST', '/refresh', { refresh_token })
    if (answer.status === 401 || answer.status === 422) this.over()
    this.keep(read<TokenPair>(answer))
  }

  private over(): never {
    const why = '登录已失效，请重新登录'
    this.keep(null)
    this.ended(why)
    throw new MiniError(why, 'signed_out')
  }

  private keep(tokens: TokenPair | null): void {
    this.tokens = tokens
    this.wx.store('tokens', tokens)
  }

  private async code(): Promise<{ code: string }> {
    try {
      return await this.wx.login()
    } catch (error) {
      throw fromWx(error)
    }
  }

  /** One request, sent once more when the way to the server broke: writes carry their key, so twice is once. */
  private async send(method: Method, path: string, body?: unknown, key?: string): Promise<WxAnswer> {
    const headers: Record<string, string> = { Accept: 'application/json' }
    if (this.tokens) headers.Authorization = `Bearer ${this.tokens.access_token}`
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    if (key) headers['Idempotency-Key'] = key
    const request: WxRequest = {
      url: `${this.server}/api/mp/${this.wx.appid}${path}`,
      method,
      headers,
      body: body === undefined ? '' : JSON.stringify(body),
    }
    const repeatable = method === 'GET' || key !== undefined
    try {
      return await this.wx.request(request)
    } catch (error) {
      if (!repeatable || !(error instanceof ApiError && error.status === 502)) throw fromWx(error)
    }
    await pause(AGAIN_MS)
    try {
      return await this.wx.request(request)
    } catch (error) {
      throw fromWx(error)
    }
  }
}

// After these nobody knows whether it happened.
const UNKNOWN: ReadonlySet<string> = new Set(['network', 'server', 'in_flight', 'too_many_requests'])

function fromWx(error: unknown): MiniError {
  if (error instanceof MiniError) return error
  return new MiniError(error instanceof Error ? error.message : '网络出错了', 'network')
}

/** Returns what an answer says. Throws MiniError with the problem document's title. */
function read<T>(answer: WxAnswer): T {
  let body: unknown = null
  try {
    body = answer.body ? JSON.parse(answer.body) : null
  } catch {
    // What is no JSON is no answer of ours; the status says enough.
    if (answer.status < 400) throw new MiniError('服务器的回答看不懂', 'server')
  }
  if (answer.status < 400) return body as T
  const problem = body as Partial<Problem> | null
  const unavailable = answer.status >= 500
  throw new MiniError(
    problem?.title ?? `服务暂时不可用（${answer.status}）`,
    unavailable ? 'server' : (problem?.code ?? 'refused'),
    problem?.field ?? null,
  )
}
