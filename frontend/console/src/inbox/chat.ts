// One conversation that is open: what was said, what is being sent, what is being written.
import { computed, ref, shallowRef } from 'vue'
import { ask, type ApiError } from '../api'
import type { ConversationPage, QuickReplyItem, TranscriptLine } from '../generated/contract'
import { asError } from '../use/asking'
import { useDrafts } from './drafts'
import type { Happening } from './inbox'
import { useSending } from './sending'

export function useChat() {
  const id = ref<number | null>(null)
  const page = shallowRef<ConversationPage | null>(null)
  const lines = shallowRef<TranscriptLine[]>([])
  const before = ref<string | null>(null)
  const loading = ref(false)
  const error = ref<ApiError | null>(null)
  const typing = ref('')
  const replies = shallowRef<QuickReplyItem[]>([])
  const latest = computed(() => lines.value[lines.value.length - 1]?.id ?? '')
  const { draft, turn, write, noted } = useDrafts(id)
  const { pending, find, send, deliver, drop } = useSending(id, (conversation) => {
    if (conversation === id.value) void read()
  })
  let typingTimer: ReturnType<typeof setTimeout> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let reading = false
  let again = false

  async function open(conversation: number | null) {
    id.value = conversation
    page.value = null
    lines.value = []
    before.value = null
    error.value = null
    typing.value = ''
    replies.value = []
    turn()
    find()
    if (conversation) await read()
  }

  /** Reads the newest lines; what was loaded of the past stays. */
  async function read() {
    const asked = id.value
    if (!asked) return
    // A line that is being sent would be shown twice if it came from the server meanwhile.
    if (reading || (page.value && pending.value.some((one) => one.state === 'sending'))) {
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

  async function loadReplies() {
    const asked = id.value
    if (!asked) return
    const found = await ask('GET /inbox/{conversation_id}/quick-replies', { path: { conversation_id: asked } }).catch(() => null)
    // Filled in for another fan they are wrong here.
    if (found && id.value === asked) replies.value = found.items
  }

  let told = 0
  /** Tells colleagues that somebody types, now and then. */
  function type() {
    if (!id.value || Date.now() - told < 2500) return
    told = Date.now()
    void ask('POST /inbox/{conversation_id}/typing', { path: { conversation_id: id.value } }).catch(() => {})
  }

  return { id, page, lines, before, loading, error, pending, typing, replies, draft, latest, open, read, older, happened, write, noted, send, deliver, drop, loadReplies, type, markRead }
}

export type Chat = ReturnType<typeof useChat>
