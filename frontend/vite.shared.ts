// The settings all applications share; phone/vite.config.ts shows how one uses them.
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig, type Plugin } from 'vite'

/** Vant's icon font carries a fallback on a public CDN; our pages ask nobody but their own server. */
const onlyOwnServer: Plugin = {
  name: 'only-own-server',
  enforce: 'pre',
  transform(code, id) {
    if (!id.split('?')[0]?.endsWith('.css')) return null
    return { code: code.replace(/,\s*url\(["']?(?:https?:)?\/\/[^)]*\)\s*format\([^)]*\)/g, ''), map: null }
  },
}

/**
 * Settings of the application in folder `name`, served at `/<name>/`.
 * `proxied` are the path prefixes that `vite dev` hands to the real server (FENSI_DEV_SERVER, else `dev`).
 */
export function application(name: string, proxied: string[], more: { plugins?: Plugin[]; dev?: string } = {}) {
  const target = process.env.FENSI_DEV_SERVER ?? more.dev ?? 'http://127.0.0.1:8900'
  return defineConfig({
    base: `/${name}/`,
    plugins: [vue(), onlyOwnServer, ...(more.plugins ?? [])],
    build: {
      outDir: fileURLToPath(new URL(`../web/static/${name}`, import.meta.url)),
      emptyOutDir: true,
      target: 'es2022',
    },
    server: { proxy: Object.fromEntries(proxied.map((prefix) => [prefix, { target }])) },
  })
}
