// Messages that the server has not confirmed: each stays with its conversation, whatever one opens meanwhile.
import { ElMessage } from 'element-plus'
import { computed, reactive, type Ref } from 'vue'
import { ask, newKey } from '../api'
import { keep, kept, whose } from '../kept'
import { asError } from '../use/asking'
import { showAs } from './pictures'

/** A message that the server has not confirmed; its key stays the same however often it is sent. */
export interface Sending {
  key: string
  at: string
  content: Record<string, unknown>
  /** A picture that still has to be uploaded, and what it looks like meanwhile. */
  file?: Blob
  preview?: string
  state: 'sending' | 'failed'
  error: string
}

/** To whom: a conversation and what its fan is called. */
export interface To {
  id: number
  nickname: string
}

const LOST = '没有收到服务器回应，可放心重试，不会重复发送'
// By conversation, for the whole page: the inbox may be left and come back to while something is on its way.
const unsent = reactive(new Map<number, Sending[]>())
let owner = ''

/** Reads what a page before this one did not get confirmed; whether the server has it nobody knows. */
function keptOf(conversation: number): Sending[] {
  const found = JSON.parse(kept(`unsent.${conversation}`) ?? '[]') as Pick<Sending, 'key' | 'at' | 'content'>[]
  return found.map((one) => ({ ...one, state: 'failed', error: LOST }))
}

/** Nothing is kept for whoever has signed in after the one whose messages these are. */
function put(conversation: number, list: Sending[]) {
  unsent.set(conversation, list)
  if (owner !== whose()) return
  // A picture is too large to be kept.
  const texts = list.filter((one) => !one.file).map(({ key, at, content }) => ({ key, at, content }))
  keep(`unsent.${conversation}`, texts.length ? JSON.stringify(texts) : null)
}

/** Sends; `open` is the conversation one looks at, `settled` is told where a message went out or failed. */
export function useSending(open: Ref<number | null>, settled: (conversation: number) => void) {
  if (owner !== whose()) unsent.clear()
  owner = whose()
  const pending = computed(() => (open.value ? (unsent.get(open.value) ?? []) : []))

  /** Finds again what was left unsent in the conversation that is open. */
  function find() {
    const left = open.value && !unsent.has(open.value) ? keptOf(open.value) : []
    if (open.value && left.length) unsent.set(open.value, left)
  }

  /** Shows a message at once and sends it to whom it was meant for, also when another conversation is open by now. */
  function send(to: To, content: Record<string, unknown>, file?: Blob) {
    const one: Sending = { key: newKey(), at: new Date().toISOString(), content, state: 'sending', error: '' }
    if (file) Object.assign(one, { file, preview: URL.createObjectURL(file) })
    put(to.id, [...(unsent.get(to.id) ?? keptOf(to.id)), one])
    void deliver(to, one.key)
  }

  function patch(to: To, key: string, change: Partial<Sending>) {
    put(to.id, (unsent.get(to.id) ?? []).map((one) => (one.key === key ? { ...one, ...change } : one)))
  }

  const drop = (to: To, key: string) => put(to.id, (unsent.get(to.id) ?? []).filter((one) => one.key !== key))

  function failed(to: To, key: string, error: string, anew: boolean) {
    // What is answered is answered for its key: what is tried again is a new message.
    patch(to, key, { state: 'failed', error, ...(anew && { key: newKey() }) })
    if (open.value !== to.id) ElMessage.error(`发给${to.nickname}的消息没有发出，打开该会话可重试`)
  }

  /** Sends, or sends again, under the same key: however often, the fan gets it once. */
  async function deliver(to: To, key: string) {
    const one = unsent.get(to.id)?.find((each) => each.key === key)
    if (!one) return
    patch(to, key, { state: 'sending', error: '' })
    const path = { conversation_id: to.id }
    try {
      const content = one.file ? { type: 'image', media_id: await upload(to, key, one.file, one.preview) } : one.content
      const sent = await ask('POST /inbox/{conversation_id}/messages', { path, body: { content } }, { key })
      if (sent.allowed) drop(to, key)
      else failed(to, key, sent.title || '没有发出', true)
    } catch (failure) {
      const why = asError(failure)
      // What was not answered may still have arrived.
      const lost = why.status === 0 || why.status >= 500
      failed(to, key, lost ? LOST : why.message, why.status >= 400 && why.status < 500)
    }
    settled(to.id)
  }

  return { pending, find, send, deliver, drop }
}

async function upload(to: To, key: string, file: Blob, preview = ''): Promise<string> {
  const given = { path: { conversation_id: to.id }, body: file } as never
  const uploaded = (await ask('POST /inbox/{conversation_id}/images', given, { key: `${key}-up` })) as { media_id: string }
  showAs(uploaded.media_id, preview)
  return uploaded.media_id
}
