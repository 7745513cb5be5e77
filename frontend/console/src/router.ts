// Where the pages are, and who is let in.
import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import { pages, type Page } from 'virtual:pages'
import { heard } from './api'
import { forget, load, may, session } from './session'

declare module 'vue-router' {
  interface RouteMeta {
    page: Page
  }
}

const routes = pages.map(
  (page): RouteRecordRaw => ({
    path: page.path,
    component: page.component as () => Promise<{ default: object }>,
    meta: { page },
  }),
)
export const router = createRouter({ history: createWebHistory('/console/'), routes })

/** Where to go after signing in: an address of ours, never somebody else's. */
export function backFrom(asked: unknown): string {
  return typeof asked === 'string' && /^\/(?![/\\])/.test(asked) ? asked : '/'
}

router.beforeEach(async (to) => {
  const page = to.meta.page
  if (!page || page.public) return true
  if (!session.me && !(await load())) return { path: '/sign-in', query: { back: to.fullPath } }
  if (session.me?.must_change_password && to.path !== '/account') return { path: '/account', query: { first: '1' } }
  if (!may(page.permission)) return { path: '/forbidden', query: { page: page.title } }
  return true
})

router.afterEach((to) => {
  const title = to.meta.page?.title
  document.title = title ? `${title} · Fensi 粉丝` : 'Fensi 粉丝 · 工作台'
})

heard.signedOut = () => {
  forget()
  const now = router.currentRoute.value
  if (!now.meta.page?.public && now.matched.length > 0) {
    void router.push({ path: '/sign-in', query: { back: now.fullPath, over: '1' } })
  }
}
heard.passwordRequired = () => void router.push({ path: '/account', query: { first: '1' } })
