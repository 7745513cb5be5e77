// Writes the types of an API from its OpenAPI document in ../docs/openapi, for the application that speaks it:
// <application>/src/generated/contract.ts, made at every build and check, and not committed.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('.', import.meta.url))
const INDENT = '  '

/** A JSON schema as a TypeScript type. `given`: what we send, where a default makes a property optional. */
function typeOf(schema, given = false) {
  if (schema.$ref) return schema.$ref.split('/').pop()
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return [...new Set(choices.map((one) => typeOf(one, given)))].join(' | ')
  switch (schema.type) {
    case 'integer':
    case 'number':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'string':
      return schema.format === 'binary' ? 'Blob' : 'string'
    case 'null':
      return 'null'
    case 'array':
      return `(${typeOf(schema.items ?? {}, given)})[]`
    case 'object':
      if (schema.properties) return `{ ${properties(schema, given).join('; ')} }`
      return `Record<string, ${schema.additionalProperties ? typeOf(schema.additionalProperties, given) : 'unknown'}>`
    default:
      return 'unknown'
  }
}

function properties(schema, given) {
  const required = new Set(schema.required ?? [])
  return Object.entries(schema.properties ?? {}).map(
    ([name, one]) => `${name}${required.has(name) ? '' : '?'}: ${typeOf(one, given)}`,
  )
}

function operation(prefix, path, method, described) {
  const content = described.requestBody?.content ?? {}
  const body = content['application/json'] ?? content['application/octet-stream']
  const success = Object.entries(described.responses).find(([status]) => status.startsWith('2'))
  const result = success?.[1].content?.['application/json']
  const parameters = (place) =>
    described.parameters
      .filter((one) => one.in === place)
      .map((one) => `${one.name}${one.required ? '' : '?'}: ${typeOf(one.schema, true)}`)
  const shape = (list) => (list.length > 0 ? `{ ${list.join('; ')} }` : 'undefined')
  return [
    `${INDENT}/** ${described.summary} */`,
    `${INDENT}'${method.toUpperCase()} ${path.slice(prefix.length)}': {`,
    `${INDENT}${INDENT}path: ${shape(parameters('path'))}`,
    `${INDENT}${INDENT}query: ${shape(parameters('query'))}`,
    `${INDENT}${INDENT}body: ${body ? typeOf(body.schema, true) : 'undefined'}`,
    `${INDENT}${INDENT}result: ${result ? typeOf(result.schema) : 'undefined'}`,
    `${INDENT}}`,
  ].join('\n')
}

// Each application's document, and what the paths of its operations begin with.
const CONTRACTS = {
  console: { name: 'console', prefix: '/api/console' },
  phone: { name: 'miniprogram', prefix: '/api/mp/{appid}' },
}

/** Writes the types that an application needs; nothing for one without a document. */
export function writeContract(application) {
  if (!CONTRACTS[application]) return
  const { name, prefix } = CONTRACTS[application]
  const document = JSON.parse(readFileSync(`${root}../docs/openapi/${name}.json`, 'utf8'))
  const schemas = Object.entries(document.components.schemas).map(([schema, described]) =>
    [
      `/** ${described.description ?? schema} */`,
      described.properties
        ? `export interface ${schema} {\n${properties(described).map((line) => INDENT + line).join('\n')}\n}`
        : `export type ${schema} = ${typeOf(described)}`,
    ].join('\n'),
  )
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'parameters')
      .map(([method, described]) => operation(prefix, path, method, described)),
  )
  const text = [
    `// Made by frontend/contract.mjs from docs/openapi/${name}.json; changes here are lost.`,
    ...schemas,
    `/** Every operation: what it takes and gives. */\nexport interface Operations {\n${operations.join('\n')}\n}`,
    '',
  ].join('\n\n')
  mkdirSync(`${root}${application}/src/generated`, { recursive: true })
  writeFileSync(`${root}${application}/src/generated/contract.ts`, text)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) Object.keys(CONTRACTS).forEach(writeContract)
