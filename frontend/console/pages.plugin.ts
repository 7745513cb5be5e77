// A page is one .vue file in src/pages: its <page> block says where it is found, and by whom.
//
//   <page>
//   { "path": "/audit", "title": "操作日志", "permission": "audit.read", "group": "设置", "order": 90, "icon": "Document" }
//   </page>
//
// The module `virtual:pages` lists them all; the pages themselves are loaded when somebody goes there.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'

const FOLDER = fileURLToPath(new URL('./src/pages/', import.meta.url))
const BLOCK = /<page>([\s\S]*?)<\/page>/
const MODULE = 'virtual:pages'
const RESOLVED = `\0${MODULE}`

function read(file: string): { icon?: string } {
  const block = BLOCK.exec(readFileSync(FOLDER + file, 'utf8'))
  if (!block?.[1]) throw new Error(`src/pages/${file}: no <page> block`)
  try {
    return JSON.parse(block[1])
  } catch (error) {
    throw new Error(`src/pages/${file}: the <page> block is no JSON: ${error}`)
  }
}

export function pages(): Plugin {
  return {
    name: 'pages',
    resolveId: (id) => (id === MODULE ? RESOLVED : null),
    load(id) {
      if (id !== RESOLVED) return null
      const found = readdirSync(FOLDER).filter((name) => name.endsWith('.vue')).map((file) => ({ file, said: read(file) }))
      const icons = [...new Set(found.flatMap(({ said }) => (said.icon ? [said.icon] : [])))]
      const items = found.map(({ file, said }) => {
        const icon = said.icon ? `, icon: ${said.icon}` : ''
        return `{ ...${JSON.stringify(said)}${icon}, component: () => import(${JSON.stringify(FOLDER + file)}) }`
      })
      return `import { ${icons.join(', ')} } from '@element-plus/icons-vue'\nexport const pages = [\n${items.join(',\n')}\n]`
    },
    // The block itself is nothing to run.
    transform: (_code, id) => (id.includes('vue&type=page') ? { code: 'export default () => {}', map: null } : null),
  }
}
