// The inbox's state: lists, counts, which conversation is open, and what comes live.
import { computed, onBeforeUnmount, onMounted, reactive, ref, shallowRef, watch } from 'vue'
import { ask, type ApiError } from '../api'
import type { InboxDesk, InboxCounts, InboxItem } from '../generated/contract'
import { keep, kept } from '../kept'
import { may, session } from '../session'
import { asError } from '../use/asking'
import { useLive } from '../use/live'

export type View = 'mine' | 'waiting' | 'all'
export interface Happening {
  conversation: number
  kind: string
  state: string
  staff_id: number | null
  name: string
}

// What comes within this is read in one go, ms.
const TOGETHER = 120
// Without a live connection the lists are read so often, ms.
const POLL = 15_000

/** `opened` is told of what happens in the conversation that is open. */
export function useInbox(brandId: number, opened: { id: () => number | null; happened: (one: Happening) => void; anew: () => void; show: (id: number) => void }) {
  const view = ref<View>('mine')
  const filter = reactive({ skill: '', account: 0, snoozed: '' as '' | 'true' | 'false', search: '' })
  const items = shallowRef<InboxItem[]>([])
  const next = ref<string | null>(null)
  const loaded = ref(false)
  const loading = ref(false)
  const error = ref<ApiError | null>(null)
  const counts = shallowRef<InboxCounts>({ mine: 0, waiting: 0, all: null, unread: 0, unanswered: 0 })
  const desk = shallowRef<InboxDesk>({ skills: [], colleagues: [], accounts: [] })
  const away = ref(kept('away') === '1')
  const now = ref(Date.now())
  const supervises = computed(() => may('inbox.supervise'))
  let running: AbortController | null = null
  let skew = 0

  async function read(after: string | null = null) {
    running?.abort()
    const mine = (running = new AbortController())
    loading.value = true
    try {
      const body = {
        brand: brandId,
        view: view.value,
        // What is shown stays shown when something changes in it.
        limit: after ? 50 : Math.min(100, Math.max(50, items.value.length)),
        ...(filter.skill && { skill: filter.skill }),
        ...(filter.account && { account: filter.account }),
        ...(filter.snoozed && { snoozed: filter.snoozed === 'true' }),
        ...(filter.search.trim() && { search: filter.search.trim() }),
        ...(after && { after }),
      }
      const page = await ask('POST /inbox/search', { body }, { signal: mine.signal })
      if (running !== mine) return
      items.value = after ? [...items.value, ...page.items] : page.items
      next.value = page.next
      error.value = null
      loaded.value = true
    } catch (failure) {
      if (running === mine) error.value = asError(failure)
    } finally {
      if (running === mine) loading.value = false
    }
  }

  async function count() {
    counts.value = await ask('GET /inbox/counts', { query: { brand: brandId } }).catch(() => counts.value)
  }

  async function readDesk() {
    desk.value = await ask('GET /inbox/desk', { query: { brand: brandId } }).catch(() => desk.value)
  }

  let timer: ReturnType<typeof setTimeout> | undefined
  function soon() {
    timer ??= setTimeout(() => {
      timer = undefined
      void read()
      void count()
    }, TOGETHER)
  }

  async function notify(one: Happening) {
    const ours = one.state === 'waiting' || one.staff_id === session.me?.id
    if (!ours || !['message', 'handed_over', 'assigned', 'transferred', 'requeued'].includes(one.kind)) return
    if (!document.hidden || !('Notification' in window) || Notification.permission !== 'granted') return
    // Whoever is in another list than the one that is shown has their name there, too.
    const listed = items.value.find((item) => item.id === one.conversation)
    const known = listed ?? (await ask('GET /inbox/{conversation_id}', { path: { conversation_id: one.conversation } }).catch(() => null))
    const title = one.kind === 'message' ? `${known?.nickname ?? '粉丝'} 发来消息` : one.state === 'waiting' ? '有粉丝在等待接待' : '新会话已分配给您'
    const shown = new Notification(title, { tag: `conversation-${one.conversation}`, lang: 'zh-CN' })
    shown.onclick = () => {
      window.focus()
      opened.show(one.conversation)
      shown.close()
    }
  }

  async function present() {
    if (away.value) return
    await ask('POST /inbox/presence', { body: { brand: brandId } }, { timeout: 8_000 }).catch(() => {})
  }

  async function turn(toAway: boolean) {
    away.value = toAway
    keep('away', toAway ? '1' : null)
    await (toAway ? ask('POST /inbox/leave').catch(() => {}) : present())
    void readDesk()
    soon()
  }

  const live = useLive(
    `/live?brand=${brandId}`,
    {
      happened(data) {
        const one = data as Happening
        if (one.conversation === opened.id()) opened.happened(one)
        if (one.kind === 'typing') return
        void notify(one)
        soon()
      },
      resync() {
        soon()
        opened.anew()
      },
      // Timers of a page in the background sleep; what the server says does not.
      beat(data) {
        // The server's time counts: a computer's own clock may be wrong.
        skew = Date.parse((data as { now: string }).now) - Date.now()
        now.value = Date.now() + skew
        void present()
      },
    },
    () => {
      soon()
      opened.anew()
    },
  )

  watch([view, () => ({ ...filter })], () => {
    items.value = []
    loaded.value = false
    void read()
  })

  let ticking: ReturnType<typeof setInterval> | undefined
  let polling: ReturnType<typeof setInterval> | undefined
  onMounted(() => {
    void read()
    void count()
    void readDesk()
    ticking = setInterval(() => (now.value = Date.now() + skew), 1000)
    polling = setInterval(() => {
      if (!live.connected.value) soon()
    }, POLL)
  })
  onBeforeUnmount(() => {
    clearInterval(ticking)
    clearInterval(polling)
    clearTimeout(timer)
    running?.abort()
    document.title = document.title.replace(/^\(\d+\) /, '')
  })
  watch(
    () => counts.value.unread + counts.value.waiting,
    (n) => {
      document.title = (n ? `(${n}) ` : '') + document.title.replace(/^\(\d+\) /, '')
    },
  )

  const more = () => (next.value && !loading.value ? read(next.value) : Promise.resolve())
  return { view, filter, items, next, loaded, loading, error, counts, desk, away, now, supervises, live, read, more, soon, turn, readDesk }
}

export type Inbox = ReturnType<typeof useInbox>
