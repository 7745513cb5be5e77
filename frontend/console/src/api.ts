// Calls to the console's API: typed by its document, patient with slow networks, one Chinese sentence per failure.
import { attended } from './attended'
import type { Operations } from './generated/contract'

/** A failure to show to the person; `field` names the input it is about, `code` is stable. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly field: string | null = null,
  ) {
    super(message)
  }
}

export type Operation = keyof Operations
type Defined<T> = { [K in keyof T as T[K] extends undefined ? never : K]: T[K] }
/** What an operation takes: `path`, `query` and `body`, where it has them. */
export type Given<K extends Operation> = Defined<Omit<Operations[K], 'result'>>
export type Result<K extends Operation> = Operations[K]['result']
type Rest<K extends Operation> = keyof Given<K> extends never
  ? [given?: undefined, options?: Options]
  : object extends Given<K>[keyof Given<K>]
    ? [given?: Given<K>, options?: Options]
    : [given: Given<K>, options?: Options]

export interface Options {
  signal?: AbortSignal
  /** Milliseconds until we stop waiting. */
  timeout?: number
  /** The Idempotency-Key of a write that somebody may ask for again later, by `newKey`. */
  key?: string
}

const BASE = '/api/console'
const READ_MS = 10_000
const WRITE_MS = 20_000
// Pauses before a read is tried again, or a write under the same Idempotency-Key: both are harmless.
const PAUSES = [400, 1500]
const PASSING = new Set([502, 503, 504])

let csrf = ''
/** Keeps the token that every write has to carry. */
export function keepCsrf(token: string) {
  csrf = token
}

/** What becomes of everybody's calls: somebody else listens, so that this file knows no pages. */
export const heard: {
  signedOut: () => void
  passwordRequired: () => void
  refresh: () => Promise<unknown>
} = { signedOut: () => {}, passwordRequired: () => {}, refresh: async () => {} }

/** A key for a write. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The address of an operation with its values filled in. */
export function addressOf(path: string, given: { path?: object; query?: object } | undefined): string {
  const values = Object.entries(given?.path ?? {})
  const filled = values.reduce((text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(value)), path)
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(given?.query ?? {})) {
    if (value !== undefined && value !== null && value !== '') query.set(name, String(value))
  }
  const text = query.toString()
  return BASE + filled + (text ? `?${text}` : '')
}

const pause = (ms: number, signal?: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

/** Asks, such as `ask('PUT /staff/{staff_id}', { path: { staff_id: 3 }, body })`. Raises ApiError. */
export async function ask<K extends Operation>(operation: K, ...[given, options]: Rest<K>): Promise<Result<K>> {
  const [method = 'GET', path = ''] = operation.split(' ')
  const taken = given as { path?: object; query?: object; body?: unknown } | undefined
  const address = addressOf(path, taken)
  const init: RequestInit = { method, headers: { accept: 'application/json' } }
  const headers = init.headers as Record<string, string>
  if (taken?.body instanceof Blob) {
    init.body = taken.body
    headers['content-type'] = taken.body.type || 'application/octet-stream'
  } else if (taken?.body !== undefined) {
    init.body = JSON.stringify(taken.body)
    headers['content-type'] = 'application/json'
  }
  if (method !== 'GET') headers['idempotency-key'] = options?.key ?? newKey()
  if (!attended()) headers['x-unattended'] = '1'
  for (let attempt = 0; ; attempt += 1) {
    if (method !== 'GET') headers['x-csrf-token'] = csrf
    try {
      return (await once(address, init, method, options)) as Result<K>
    } catch (error) {
      if (options?.signal?.aborted || !(error instanceof ApiError)) throw error
      if (error.code === 'csrf' && attempt === 0) {
        await heard.refresh()
        continue
      }
      const passing = error.status === 0 || PASSING.has(error.status)
      const wait = PAUSES[attempt]
      // Signing in has no key to be repeated under.
      if (!passing || wait === undefined || path === '/sign-in') throw error
      await pause(wait, options?.signal)
    }
  }
}

async function once(address: string, init: RequestInit, method: string, options?: Options): Promise<unknown> {
  const late = AbortSignal.timeout(options?.timeout ?? (method === 'GET' ? READ_MS : WRITE_MS))
  const signal = options?.signal ? AbortSignal.any([late, options.signal]) : late
  let response: Response
  let body: unknown
  try {
    response = await fetch(address, { ...init, signal, credentials: 'same-origin' })
    const text = await response.text()
    body = text ? JSON.parse(text) : undefined
  } catch (error) {
    if (options?.signal?.aborted) throw error
    if (late.aborted) throw new ApiError('网络太慢，服务器没有及时回应，请重试', 0, 'timeout')
    throw new ApiError('连不上服务器，请检查网络后重试', 0, 'offline')
  }
  if (response.ok) return body
  throw refusal(response.status, body)
}

/** What the server said instead; whoever listens hears of it. */
function refusal(status: number, body: unknown): ApiError {
  const { title, code, field } = (body ?? {}) as { title?: string; code?: string; field?: string }
  if (status === 401 && code !== 'wrong_password') heard.signedOut()
  if (code === 'password_change_required') heard.passwordRequired()
  return new ApiError(title ?? `服务出错了（${status}）`, status, code ?? 'unknown', field ?? null)
}

/** Reads a file, however long that takes once it has begun. Raises ApiError, also for half a file. */
export async function readFile<K extends Operation>(operation: K, given: Given<K>): Promise<{ name: string; file: Blob }> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), WRITE_MS)
  let begun = false
  let response: Response
  let body: unknown
  try {
    response = await fetch(addressOf(operation.replace('GET ', ''), given), { signal: late.signal, credentials: 'same-origin' })
    clearTimeout(timer)
    begun = response.ok
    if (begun) return { name: nameOf(response), file: await response.blob() }
    body = await response.json().catch(() => undefined)
  } catch {
    clearTimeout(timer)
    throw new ApiError(begun ? '文件没有下载完整，请重试' : '连不上服务器，请检查网络后重试', 0, 'offline')
  }
  throw refusal(response.status, body)
}

/** The name that the server gave a file. */
function nameOf(response: Response): string {
  const said = response.headers.get('content-disposition') ?? ''
  const [, encoded] = /filename\*=UTF-8''([^;]+)/i.exec(said) ?? []
  return encoded ? decodeURIComponent(encoded) : (/filename="([^"]+)"/.exec(said)?.[1] ?? 'export')
}
