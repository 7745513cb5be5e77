// What WeChat's client does for a mini-program, played by the simulator: codes, requests, storage.
import { ApiError, ask, json } from '../api'
import { forwarding, linkTo } from '../forwarding'
import { noteRequest } from '../doing'

export interface WxAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

export interface WxRequest {
  url: string
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  headers: Record<string, string>
  body: string
}

// Longer than the simulator waits for the mini-program's server, so that its own sentence arrives.
const REQUEST_MS = 15_000

/** One mini-program in one fan's hands. */
export class Wx {
  private readonly path: string

  constructor(
    readonly appid: string,
    readonly fanId: string,
    /** What it was opened with, as wx.getLaunchOptionsSync tells. */
    readonly query: URLSearchParams,
  ) {
    this.path = `/mini/${encodeURIComponent(appid)}/${encodeURIComponent(fanId)}`
  }

  login = () => ask<{ code: string }>(`${this.path}/login`, json({}))
  phoneNumber = () => ask<{ code: string; phone: string }>(`${this.path}/phone-number`, json({}))

  /** Offers a card to be forwarded, as wx.shareAppMessage does; whoever opens it comes with this query. */
  share(title: string, query: Record<string, string>): void {
    forwarding.offered = { appid: this.appid, title, query: String(new URLSearchParams(query)) }
  }

  link = (query: Record<string, string>) => linkTo(this.appid, String(new URLSearchParams(query)))

  /** The picture of a code that leads to the link. */
  codePicture = (query: Record<string, string>) =>
    `/phone/api/mini/${encodeURIComponent(this.appid)}/code?${new URLSearchParams(query)}`

  /** Performs a request and notes it for the panel beside the phone. */
  async request(request: WxRequest): Promise<WxAnswer> {
    const { method, url } = request
    const begun = performance.now()
    const note = (status: number | null) =>
      {
      const ms = Math.round(performance.now() - begun)
      noteRequest({ method, path: new URL(url).pathname, status, ms, appid: this.appid, fanId: this.fanId })
    }
    try {
      const answer = await ask<WxAnswer>(`${this.path}/request`, json(request), REQUEST_MS)
      note(answer.status)
      return answer
    } catch (error) {
      note(null)
      throw error instanceof ApiError ? error : new ApiError('请求没有发出')
    }
  }

  private key = (name: string) => `fensi-mini/${this.appid}/${this.fanId}/${name}`

  stored<T>(name: string): T | null {
    try {
      return JSON.parse(localStorage.getItem(this.key(name)) ?? 'null') as T | null
    } catch {
      return null // a damaged entry or a browser without storage
    }
  }

  /** Keeps a value; null forgets it. Without storage it lasts as long as whoever keeps it in memory. */
  store(name: string, value: unknown): void {
    try {
      if (value === null) localStorage.removeItem(this.key(name))
      else localStorage.setItem(this.key(name), JSON.stringify(value))
    } catch {
      // Private windows may refuse.
    }
  }
}
