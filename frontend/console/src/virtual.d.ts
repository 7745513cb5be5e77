// What pages.plugin.ts makes of the <page> blocks.
declare module 'virtual:pages' {
  import type { Component } from 'vue'

  export interface Page {
    path: string
    title: string
    /** A word of scrm/staff/permissions.py; without it being signed in is enough. */
    permission?: string
    /** Where it stands in the side menu; without it the page is not in the menu. */
    group?: string
    order?: number
    icon?: Component
    /** Open to whoever is not signed in. */
    public?: boolean
    /** Shown without menu and header. */
    bare?: boolean
    component: () => Promise<unknown>
  }

  export const pages: Page[]
}
