// The calls to the simulator; every failure becomes one Chinese sentence.
import type { Account, Fan, PushAnswer, QrCode, ThreadAnswer } from './contract'

/** A sentence to show to the person; `field` names the input it is about. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly field: string | null = null,
    /** The HTTP status; null where there was no answer. */
    readonly status: number | null = null,
  ) {
    super(message)
  }
}

const READ_MS = 10_000
// The platform tries a push three times, five seconds each, before it gives up.
const PUSH_MS = 25_000

export async function ask<T>(path: string, init: RequestInit = {}, ms = READ_MS): Promise<T> {
  let response: Response
  try {
    response = await fetch(`/phone/api${path}`, { ...init, signal: AbortSignal.timeout(ms) })
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError'
    throw new ApiError(late ? '模拟器没有及时回应，请再试一次' : '连不上模拟器，请确认它还在运行')
  }
  const body: unknown = await response.json().catch(() => null)
  if (!response.ok) {
    const { error, field } = (body ?? {}) as { error?: string; field?: string }
    throw new ApiError(error ?? `模拟器出错了（${response.status}）`, field ?? null, response.status)
  }
  return body as T
}

export const json = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

const thread = (appid: string, fanId: string) =>
  `/threads/${encodeURIComponent(appid)}/${encodeURIComponent(fanId)}`

export const streamUrl = (appid: string, fanId: string) => `/phone/api${thread(appid, fanId)}/stream`

export const readState = () => ask<{ accounts: Account[]; fans: Fan[] }>('/state')

export const createFan = (nickname: string) => ask<Fan>('/fans', json({ nickname }))

export const readThread = (appid: string, fanId: string) => ask<ThreadAnswer>(thread(appid, fanId))

export const readQrCodes = (appid: string) => ask<QrCode[]>(`/accounts/${encodeURIComponent(appid)}/qrcodes`)

/** What a fan can do in a chat. */
export type Deed =
  | { kind: 'follow' }
  | { kind: 'unfollow' }
  | { kind: 'scan'; ticket: string }
  | { kind: 'menu'; path: number[] }
  | { kind: 'text'; content: string }
  | { kind: 'image'; file: File }
  | { kind: 'location'; latitude: number; longitude: number; label: string }
  | { kind: 'msgmenu'; message_id: number; item_id: string; content: string }
  | { kind: 'enter' }

/** Does it, and answers when the account's server has (or has not) answered the push. */
export function act(appid: string, fanId: string, deed: Deed): Promise<PushAnswer> {
  const path = `${thread(appid, fanId)}/${deed.kind}`
  if (deed.kind === 'image') {
    const form = new FormData()
    form.append('file', deed.file)
    return ask(path, { method: 'POST', body: form }, PUSH_MS)
  }
  const { kind: _, ...body } = deed
  return ask(path, json(body), PUSH_MS)
}
