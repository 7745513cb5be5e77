// Builds every application (a folder with a vite.config.ts) into ../web/static/<application>/.
// `npm run build` builds all, `npm run build phone` only that one. Texts get a compressed twin, which the server
// sends to browsers that take it.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { writeContract } from './contract.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const isApp = (name) => existsSync(`${here}${name}/vite.config.ts`)

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !isApp(name))
if (unknown.length > 0) {
  console.error(`No such application: ${unknown.join(', ')} (a folder here with a vite.config.ts)`)
  process.exit(1)
}
const WORTH_IT = 1024 // bytes

function compress(folder) {
  for (const path of readdirSync(folder, { recursive: true }).map((name) => `${folder}/${name}`)) {
    if (!/\.(js|css|svg|html)$/.test(path) || statSync(path).size < WORTH_IT) continue
    writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }))
  }
}

for (const name of asked.length > 0 ? asked : readdirSync(here).filter(isApp)) {
  writeContract(name)
  // Each application finds its own settings: the folder is the root.
  await build({ root: `${here}${name}`, configFile: `${here}${name}/vite.config.ts` })
  compress(fileURLToPath(new URL(`../web/static/${name}`, import.meta.url)))
}
