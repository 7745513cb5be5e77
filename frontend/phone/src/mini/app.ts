// What the pages of the mini-program share: its pages, where we are, who is signed in, and how reading goes.
import { computed, inject, onBeforeUnmount, reactive, ref, shallowRef, type Component, type InjectionKey } from 'vue'
import type { Account, Fan } from '../contract'
import type { IconName } from '../parts/Icon.vue'
import type { Opened, Params } from '../place'
import { phone } from '../store'
import { Client, MiniError } from './client'
import type { Me } from './members-api'
import type { Assets } from './words'
import { Wx } from './wx'

/** What a page says about itself; a page is one file in pages/ that exports this as `page`. */
export interface Page {
  title: string
  /** A place in the bar at the bottom. */
  tab?: { name: string; icon: IconName; order: number }
  /** A row on 我的. */
  entry?: { name: string; icon: IconName; order: number }
}

interface PageFile {
  default: Component
  page: Page
}

const FILES = import.meta.glob<PageFile>('./pages/*.vue', { eager: true })
/** Every page by the name of its file. */
export const PAGES = new Map(
  Object.entries(FILES).map(([path, file]) => [path.replace(/^.*\/(\w+)\.vue$/, '$1'), file] as const),
)

const ordered = (part: 'tab' | 'entry') =>
  [...PAGES]
    .flatMap(([name, { page }]) => (page[part] ? [{ page: name, ...page[part] }] : []))
    .sort((a, b) => a.order - b.order)
export const TABS = ordered('tab')
export const ENTRIES = ordered('entry')
const FIRST = TABS[0]?.page ?? ''

const CODE_MOST = 64

/** `query` is what the mini-program was opened with. */
export function createMini(account: Account, fan: Fan, query = '') {
  const state = reactive({
    signedIn: false,
    /** Why the person has to sign in again. */
    ended: '',
    /** The code of the friend whose card was opened. */
    invitedBy: '',
    me: null as Me | null,
  })
  // The phone knows where it is, so that Back and a reload find it; pages of an older release are gone.
  const stack = computed({
    get: (): Opened[] => {
      const known = phone.pages.filter(({ page }) => PAGES.has(page))
      return known.length > 0 ? known : [{ page: FIRST, params: {} }]
    },
    set: (pages) => (phone.pages = pages),
  })
  const wx = new Wx(account.appid, fan.id, new URLSearchParams(query))
  const client = new Client(wx, account.server.replace(/\/+$/, ''), (why) => {
    state.signedIn = false
    state.ended = why
  })
  state.signedIn = client.signedIn
  state.invitedBy = (wx.query.get('invited_by') ?? '').slice(0, CODE_MOST)

  /** A slow answer from before must not undo what a later one has said. */
  let asked = 0
  let newest = 0
  const readMe = async (): Promise<Me> => {
    const mine = ++asked
    const me = await client.get<Me>('/me')
    if (mine < newest || !state.signedIn) return state.me ?? me
    newest = mine
    return (state.me = me)
  }

  const home = () => {
    stack.value = []
  }
  const leave = (why = '') => {
    wx.store('phone', null)
    state.signedIn = false
    state.me = null
    state.ended = why
    home()
  }
  return {
    account,
    fan,
    wx,
    client,
    state,
    stack,
    top: computed(() => stack.value.at(-1)!),
    /** Points, and growth as the brand calls it. */
    assets: computed<Assets>(() => ({ points: '积分', growth: state.me?.growth_word ?? '成长值' })),
    open: (page: string, params: Params = {}) => void (stack.value = [...stack.value, { page, params }]),
    /** Replaces the page on top, so that going back does not lead to it. */
    replace: (page: string, params: Params = {}) => void (stack.value = [...stack.value.slice(0, -1), { page, params }]),
    back: () => void (stack.value = stack.value.slice(0, -1)),
    tab: (page: string) => void (stack.value = [{ page, params: {} }]),

    async signIn(): Promise<void> {
      await client.signIn(state.invitedBy)
      state.ended = state.invitedBy = ''
      home()
      state.signedIn = true
    },
    async signOut(): Promise<void> {
      try {
        await client.signOut()
      } finally {
        leave()
      }
    },
    /** Erases the account and goes back to the door; refused (MiniError), everything stays as it is. */
    async deleteAccount(): Promise<void> {
      try {
        await client.deleteAccount()
        leave('账号已注销，您的个人信息已删除')
      } catch (error) {
        // An answer was lost: where the account is gone, so is its session.
        if (error instanceof MiniError && error.code === 'signed_out') leave('登录已失效。若注销已完成，再次登录将是全新会员')
        throw error
      }
    },
    /** Reads points, growth and level; pages that change them read again. */
    readMe,
    /** A picture's address; one without a host is at the mini-program's own server. */
    picture: (path: string) => (path && URL.canParse(path, account.server) ? new URL(path, account.server).href : ''),
  }
}

export type Mini = ReturnType<typeof createMini>
export const MINI: InjectionKey<Mini> = Symbol('mini')

export function useMini(): Mini {
  const mini = inject(MINI)
  if (!mini) throw new Error('used outside a mini-program')
  return mini
}

export const sentence = (error: unknown) => (error instanceof Error ? error.message : '出错了')

const SLOW_MS = 3_000

/** Reads something for a page: at once, and again on `reload`, which keeps what is shown until the new is there. */
export function useReading<T>(read: () => Promise<T>) {
  const data = shallowRef<T | null>(null)
  const error = ref('')
  const loading = ref(false)
  const slow = ref(false)
  let turn = 0
  let timer = 0

  async function reload(): Promise<void> {
    const mine = ++turn
    loading.value = true
    window.clearTimeout(timer)
    timer = window.setTimeout(() => (slow.value = true), SLOW_MS)
    try {
      const found = await read()
      if (mine !== turn) return
      data.value = found
      error.value = ''
    } catch (reason) {
      if (mine === turn) error.value = sentence(reason)
    } finally {
      if (mine === turn) {
        loading.value = slow.value = false
        window.clearTimeout(timer)
      }
    }
  }
  onBeforeUnmount(() => {
    turn++
    window.clearTimeout(timer)
  })
  void reload()
  return reactive({ data, error, loading, slow, reload })
}

/** Reads a list page by page, the newest first. */
export function usePages<T>(read: (before: number | null) => Promise<{ items: T[]; next: number | null }>) {
  const items = shallowRef<T[]>([])
  const next = ref<number | null>(null)
  const begun = ref(false)
  const error = ref('')
  const loading = ref(false)
  let turn = 0

  async function more(): Promise<void> {
    if (loading.value || (begun.value && next.value === null)) return
    const mine = ++turn
    loading.value = true
    error.value = ''
    try {
      const page = await read(begun.value ? next.value : null)
      if (mine !== turn) return
      items.value = [...items.value, ...page.items]
      next.value = page.next
      begun.value = true
    } catch (reason) {
      if (mine === turn) error.value = sentence(reason)
    } finally {
      if (mine === turn) loading.value = false
    }
  }
  /** Begins anew, for another list. */
  function restart(): void {
    turn++
    items.value = []
    next.value = null
    begun.value = loading.value = false
    void more()
  }
  onBeforeUnmount(() => turn++)
  void more()
  return reactive({ items, begun, error, loading, more, restart, ended: computed(() => begun.value && next.value === null) })
}
