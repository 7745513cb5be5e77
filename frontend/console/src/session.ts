// Who is signed in, what they may do, and which of their brands they look at.
import { computed, reactive, readonly } from 'vue'
import { ApiError, ask, heard, keepCsrf } from './api'
import type { Me } from './generated/contract'
import { forgetKept, keepFor } from './kept'

const BRAND = 'fensi.console.brand'
// What was chosen here, or last in any tab before this page: a choice in another tab changes nothing under this one.
let wanted = Number(localStorage.getItem(BRAND))
const state = reactive<{ me: Me | null; brand: number | null }>({ me: null, brand: null })

export const session = readonly(state)

/** Whether the role allows it. */
export function may(permission: string | undefined): boolean {
  return permission === undefined || (state.me?.permissions.includes(permission) ?? false)
}

/** The chosen brand for a list's query, undefined for all of mine. */
export const brand = computed(() => state.brand ?? undefined)

export function chooseBrand(id: number | null) {
  state.brand = id
  wanted = id ?? 0
  if (id === null) localStorage.removeItem(BRAND)
  else localStorage.setItem(BRAND, String(id))
}

/** The name of a brand of mine; `null` is what concerns all. */
export function brandName(id: number | null): string {
  if (id === null) return '全部品牌'
  return state.me?.brands.find((one) => one.id === id)?.name ?? `品牌 ${id}`
}

/** What a brand calls growth; of several brands the word that all of them have, else the usual one. */
export function growthWord(id?: number | null): string {
  const brands = state.me?.brands ?? []
  const words = new Set((id ? brands.filter((one) => one.id === id) : brands).map((one) => one.growth_word))
  return words.size === 1 ? [...words][0]! : '成长值'
}

/** Learns who is signed in; null when nobody is, which is no failed request. */
export async function load(): Promise<Me | null> {
  // Where even that cannot be said, the next question says why.
  const { signed_in } = await ask('GET /session').catch(() => ({ signed_in: true }))
  return signed_in ? read() : null
}

async function read(): Promise<Me | null> {
  try {
    const me = await ask('GET /me')
    state.me = me
    keepFor(me.id)
    keepCsrf(me.csrf)
    state.brand = me.brands.some((one) => one.id === wanted) ? wanted : null
    return me
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      state.me = null
      keepFor(null)
      return null
    }
    throw error
  }
}

export async function signIn(login: string, password: string): Promise<Me | null> {
  const { csrf } = await ask('POST /sign-in', { body: { login, password } })
  keepCsrf(csrf)
  return read()
}

/** Signs out by choice: what was kept for this person in this browser goes, too. */
export async function signOut() {
  try {
    await ask('POST /sign-out')
  } finally {
    forgetKept()
    forget()
  }
}

/** Nobody is signed in any more. */
export function forget() {
  state.me = null
  keepFor(null)
  keepCsrf('')
}

heard.refresh = read
