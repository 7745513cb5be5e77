// One conversation that is open: what was said, what is being sent, what is being written.
import { computed, ref, shallowRef, watch } from 'vue'
import { ApiError, ask, newKey } from '../api'
import type { ConversationPage, QuickReplyItem, TranscriptLine } from '../generated/contract'
import type { Happening } from './inbox'

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

const DRAFT = 'fensi.inbox.draft.'
const asError = (error: unknown) => (error instanceof ApiError ? error : new ApiError('页面出错了，请刷新后重试', 0, 'page'))

export function useChat() {
  const id = ref<number | null>(null)
  const page = shallowRef<ConversationPage | null>(null)
  const lines = shallowRef<TranscriptLine[]>([])
  const before = ref<string | null>(null)
  const loading = ref(false)
  const error = ref<ApiError | null>(null)
  const pending = ref<Sending[]>([])
  const typing = ref('')
  const replies = shallowRef<QuickReplyItem[]>([])
  const draft = ref('')
  const latest = computed(() => lines.value[lines.value.length - 1]?.id ?? '')
  // Whatever happens to the page, what was being written is there again.
  watch(draft, keepDraft)
  let typingTimer: ReturnType<typeof setTimeout> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let reading = false
  let again = false

  async function open(conversation: number | null) {
    keepDraft()
    id.value = conversation
    page.value = null
    lines.value = []
    before.value = null
    error.value = null
    pending.value = []
    typing.value = ''
    replies.value = []
    draft.value = conversation ? (localStorage.getItem(DRAFT + conversation) ?? '') : ''
    if (conversation) await read()
  }

  function keepDraft() {
    if (!id.value) return
    if (draft.value.trim()) localStorage.setItem(DRAFT + id.value, draft.value)
    else localStorage.removeItem(DRAFT + id.value)
  }

  /** Reads the newest lines; what was loaded of the past stays. */
  async function read() {
    const asked = id.value
    if (!asked) return
    // A line that is being sent would be shown twice if it came from the server meanwhile.
    if (reading || pending.value.some((one) => one.state === 'sending')) {
      again = true
      return
    }
    reading = loading.value = true
    again = false
    try {
      const path = { conversation_id: asked }
      const [found, said] = await Promise.all([
        ask('GET /inbox/{conversation_id}', { path }),
        ask('GET /inbox/{conversation_id}/transcript', { path, query: { limit: 40 } }),
      ])
      if (id.value !== asked) return
      page.value = found
      const fresh = [...said.items].reverse()
      const known = new Set(fresh.map((line) => line.id))
      const first = fresh[0]
      const older = first ? lines.value.filter((line) => !known.has(line.id) && line.at <= first.at) : []
      if (older.length === 0) before.value = said.next
      lines.value = [...older, ...fresh]
      error.value = null
      if (found.unread > 0 && !document.hidden) void markRead()
    } catch (failure) {
      if (id.value === asked) error.value = asError(failure)
    } finally {
      reading = loading.value = false
      if (again || id.value !== asked) void read()
    }
  }

  async function markRead() {
    if (id.value && page.value?.unread) {
      await ask('POST /inbox/{conversation_id}/read', { path: { conversation_id: id.value } }).catch(() => {})
      if (page.value) page.value = { ...page.value, unread: 0 }
    }
  }

  async function older() {
    const asked = id.value
    if (!asked || !before.value || loading.value) return
    loading.value = true
    try {
      const query = { before: before.value, limit: 40 }
      const said = await ask('GET /inbox/{conversation_id}/transcript', { path: { conversation_id: asked }, query })
      if (id.value !== asked) return
      before.value = said.next
      lines.value = [...[...said.items].reverse(), ...lines.value]
    } catch (failure) {
      if (id.value === asked) error.value = asError(failure)
    } finally {
      loading.value = false
    }
  }

  function happened(one: Happening) {
    if (one.kind === 'typing') {
      typing.value = one.name
      clearTimeout(typingTimer)
      typingTimer = setTimeout(() => (typing.value = ''), 4000)
      return
    }
    if (one.kind === 'read') return
    clearTimeout(timer)
    timer = setTimeout(() => void read(), 60)
  }

  /** Shows a message at once and sends it. */
  function send(content: Record<string, unknown>, file?: Blob) {
    const one: Sending = { key: newKey(), at: new Date().toISOString(), content, state: 'sending', error: '' }
    if (file) Object.assign(one, { file, preview: URL.createObjectURL(file) })
    pending.value = [...pending.value, one]
    void deliver(one.key)
  }

  const patch = (key: string, change: Partial<Sending>) => {
    pending.value = pending.value.map((one) => (one.key === key ? { ...one, ...change } : one))
  }

  /** Sends, or sends again, under the same key: however often, the fan gets it once. */
  async function deliver(key: string) {
    const conversation = id.value
    const one = pending.value.find((each) => each.key === key)
    if (!conversation || !one) return
    patch(key, { state: 'sending', error: '' })
    const path = { conversation_id: conversation }
    try {
      let content = one.content
      if (one.file) {
        const given = { path, body: one.file } as never
        const kept = (await ask('POST /inbox/{conversation_id}/images', given, { key: `${key}-up` })) as { media_id: string }
        content = { type: 'image', media_id: kept.media_id }
        pictures.set(kept.media_id, one.preview ?? '')
      }
      const sent = await ask('POST /inbox/{conversation_id}/messages', { path, body: { content } }, { key })
      if (id.value !== conversation) return
      if (sent.allowed) {
        pending.value = pending.value.filter((each) => each.key !== key)
        again = true
      } else {
        // A refusal is final for this key; what is tried again is a new message.
        patch(key, { state: 'failed', error: sent.title || '没有发出', key: newKey() })
      }
    } catch (failure) {
      const why = asError(failure)
      // What was answered is answered for this key; what was not may still have arrived.
      const lost = why.status === 0 || why.status >= 500
      const told = lost ? '没有收到服务器回应，可放心重试，不会重复发送' : why.message
      patch(key, { state: 'failed', error: told, ...(why.status >= 400 && why.status < 500 && { key: newKey() }) })
    }
    if (id.value === conversation) void read()
  }

  const drop = (key: string) => (pending.value = pending.value.filter((one) => one.key !== key))

  async function loadReplies() {
    if (!id.value) return
    const found = await ask('GET /inbox/{conversation_id}/quick-replies', { path: { conversation_id: id.value } }).catch(() => null)
    if (found) replies.value = found.items
  }

  let told = 0
  /** Tells colleagues that somebody types, now and then. */
  function type() {
    if (!id.value || Date.now() - told < 2500) return
    told = Date.now()
    void ask('POST /inbox/{conversation_id}/typing', { path: { conversation_id: id.value } }).catch(() => {})
  }

  return { id, page, lines, before, loading, error, pending, typing, replies, draft, latest, open, read, older, happened, send, deliver, drop, loadReplies, type, keepDraft, markRead }
}

export type Chat = ReturnType<typeof useChat>

/** Pictures by media id, as addresses that an <img> takes; those we sent ourselves are known already. */
const pictures = new Map<string, string | Promise<string>>()

export function picture(conversation: number, mediaId: string): Promise<string> {
  const known = pictures.get(mediaId)
  if (known !== undefined) return Promise.resolve(known)
  const path = { conversation_id: conversation }
  const asked = ask('GET /inbox/{conversation_id}/media', { path, query: { media_id: mediaId } }).then(
    (found) => `data:${found.content_type};base64,${found.data}`,
  )
  pictures.set(mediaId, asked)
  asked.catch(() => pictures.delete(mediaId))
  return asked
}
