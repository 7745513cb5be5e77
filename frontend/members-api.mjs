// Writes phone/src/mini/members-api.ts, the types of the members' API, from docs/openapi/miniprogram.json.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

const path = (name) => fileURLToPath(new URL(name, import.meta.url))
const SOURCE = path('../docs/openapi/miniprogram.json')
const TARGET = path('phone/src/mini/members-api.ts')

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split('/').at(-1)
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' | ')
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  switch (schema.type) {
    case 'array':
      return `(${typeOf(schema.items)})[]`
    case 'integer':
    case 'number':
      return 'number'
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type
    case 'object':
      return schema.properties ? fields(schema) : `Record<string, ${typeOf(schema.additionalProperties ?? {})}>`
    default:
      return 'unknown'
  }
}

function fields(schema) {
  const required = new Set(schema.required ?? [])
  const lines = Object.entries(schema.properties ?? {}).map(
    ([name, inner]) => `  ${name}${required.has(name) ? '' : '?'}: ${typeOf(inner)}`,
  )
  return `{\n${lines.join('\n')}\n}`
}

/** Writes the types anew if the document says something else than they do. */
export function writeContract() {
  const { schemas } = JSON.parse(readFileSync(SOURCE, 'utf8')).components
  const parts = Object.entries(schemas).map(([name, schema]) => {
    const comment = schema.description ? `/** ${schema.description.replaceAll('*/', '* /')} */\n` : ''
    const simple = schema.type !== 'object' || !schema.properties
    return comment + (simple ? `export type ${name} = ${typeOf(schema)}` : `export interface ${name} ${fields(schema)}`)
  })
  const text = `// Written by frontend/members-api.mjs from docs/openapi/miniprogram.json; not kept in the repository.\n\n${parts.join('\n\n')}\n`
  let known = ''
  try {
    known = readFileSync(TARGET, 'utf8')
  } catch {
    // not written yet
  }
  if (known !== text) writeFileSync(TARGET, text)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) writeContract()
