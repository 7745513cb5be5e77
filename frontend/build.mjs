// Builds every application (a folder with a vite.config.ts) into ../web/static/<application>/.
// `npm run build` builds all, `npm run build phone` only that one.
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { writeContract } from './members-api.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const isApp = (name) => existsSync(`${here}${name}/vite.config.ts`)

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !isApp(name))
if (unknown.length > 0) {
  console.error(`No such application: ${unknown.join(', ')} (a folder here with a vite.config.ts)`)
  process.exit(1)
}
// The pages' types come from our own documents.
writeContract()
for (const name of asked.length > 0 ? asked : readdirSync(here).filter(isApp)) {
  // Each application finds its own settings: the folder is the root.
  await build({ root: `${here}${name}`, configFile: `${here}${name}/vite.config.ts` })
}
