// A valid instance of a JSON schema, for structured output and for the arguments of tool calls. It follows from the schema and a few
// words of the prompt (a `location` becomes the place that was named), never from chance. Recursive schemas end because a depth
// limit makes optional members absent, lists empty and unions take the branch that nests least.

import { asList, asNumber, asObject, asText } from './json.ts'
import type { Json, JsonObject } from './json.ts'
import { patternInstance } from './pattern-instance.ts'

const depthMax = 6
const formats: Record<string, string> = {
  'date-time': '2026-01-02T03:04:05Z',
  date: '2026-01-02',
  time: '03:04:05Z',
  duration: 'PT1H',
  email: 'sandbox@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/',
  url: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
}

interface Making {
  readonly root: JsonObject
  /** Words that stand in for texts, in turn. */
  readonly words: readonly string[]
  used: number
}

function resolve(schema: JsonObject, making: Making): JsonObject {
  let at = schema
  for (let hops = 0; hops < 16; hops++) {
    const reference = asText(at['$ref'])
    if (reference === null) return at
    let target: Json | undefined = making.root
    for (const step of reference
      .replace(/^#\/?/, '')
      .split('/')
      .filter((step) => step !== '')) {
      target = asObject(target)?.[decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')]
    }
    at = asObject(target) ?? {}
  }
  return {}
}

function typeOf(schema: JsonObject): string {
  const types = asList(schema['type']) ?? [schema['type'] ?? null]
  const named = types.map((type) => asText(type)).filter((type) => type !== null)
  const first = named.find((type) => type !== 'null') ?? named[0]
  if (first !== undefined) return first
  if (asObject(schema['properties']) !== null) return 'object'
  return asObject(schema['items']) === null ? 'string' : 'array'
}

function textFor(schema: JsonObject, name: string, making: Making): string {
  const pattern = asText(schema['pattern'])
  const format = asText(schema['format'])
  const made =
    (pattern === null ? null : patternInstance(pattern)) ??
    (format === null ? null : formats[format]) ??
    making.words[making.used++ % Math.max(making.words.length, 1)] ??
    name.replaceAll('_', ' ')
  if (pattern !== null || format !== null) return made
  const min = asNumber(schema['minLength']) ?? 0
  const max = asNumber(schema['maxLength']) ?? Infinity
  return made.padEnd(min, '.').slice(0, max)
}

function numberFor(schema: JsonObject, whole: boolean): number {
  const step = asNumber(schema['multipleOf']) ?? (whole ? 1 : 0)
  const above = asNumber(schema['exclusiveMinimum'])
  const below = asNumber(schema['exclusiveMaximum'])
  const min = above === null ? asNumber(schema['minimum']) : above + (step || 0.5)
  const max = below === null ? asNumber(schema['maximum']) : below - (step || 0.5)
  let value = min ?? (max !== null && max < 42 ? max : 42)
  if (max !== null && value > max) value = (value + max) / 2
  if (step === 0) return value
  const up = Math.ceil(value / step - 1e-9) * step
  return max !== null && up > max ? Math.floor(max / step + 1e-9) * step : up
}

function objectFor(schema: JsonObject, depth: number, making: Making): JsonObject {
  const properties = asObject(schema['properties']) ?? {}
  const required = new Set((asList(schema['required']) ?? []).map((name) => asText(name)))
  const made: JsonObject = {}
  for (const [name, member] of Object.entries(properties)) {
    if (depth >= depthMax && !required.has(name)) continue
    made[name] = instance(asObject(member) ?? {}, { name, depth: depth + 1 }, making)
  }
  return made
}

function listFor(schema: JsonObject, at: { name: string; depth: number }, making: Making): Json[] {
  const fixed = asList(schema['prefixItems'])
  if (fixed !== null)
    return fixed.map((item) => instance(asObject(item) ?? {}, { ...at, depth: at.depth + 1 }, making))
  const min = asNumber(schema['minItems']) ?? 0
  const max = asNumber(schema['maxItems']) ?? Infinity
  const length = Math.min(Math.max(min, at.depth >= depthMax ? 0 : 2), max, 100)
  const items = asObject(schema['items']) ?? {}
  return Array.from({ length }, () => instance(items, { name: at.name, depth: at.depth + 1 }, making))
}

/** The branch of a union that nests least where we are deep already, else the first that is not null. */
function branch(choices: readonly Json[], depth: number, making: Making): JsonObject {
  const resolved = choices.map((choice) => resolve(asObject(choice) ?? {}, making))
  const flat = (schema: JsonObject): boolean => !['object', 'array'].includes(typeOf(schema))
  if (depth >= depthMax) return resolved.find(flat) ?? resolved[0] ?? {}
  return resolved.find((schema) => typeOf(schema) !== 'null') ?? resolved[0] ?? {}
}

function joined(parts: readonly JsonObject[]): JsonObject {
  const properties = Object.assign({}, ...parts.map((part) => asObject(part['properties'])))
  const required = parts.flatMap((part) => asList(part['required']) ?? [])
  return { ...Object.assign({}, ...parts), properties, required }
}

function instance(raw: JsonObject, at: { name: string; depth: number }, making: Making): Json {
  const schema = resolve(raw, making)
  if (schema['const'] !== undefined) return schema['const']
  const choices = asList(schema['enum'])
  if (choices !== null) return choices[0] ?? null
  const union = asList(schema['anyOf']) ?? asList(schema['oneOf'])
  if (union !== null) return instance(branch(union, at.depth, making), at, making)
  const all = asList(schema['allOf'])
  if (all !== null) {
    return instance(joined(all.map((part) => resolve(asObject(part) ?? {}, making))), at, making)
  }
  const nullable = asList(schema['type'])?.includes('null') === true
  if (nullable && at.depth >= depthMax) return null
  const type = typeOf(schema)
  if (type === 'object') return objectFor(schema, at.depth, making)
  if (type === 'array') return listFor(schema, at, making)
  if (type === 'integer' || type === 'number') return numberFor(schema, type === 'integer')
  if (type === 'boolean') return true
  return type === 'null' ? null : textFor(schema, at.name, making)
}

/** The names and numbers of a prompt that may stand in for texts: capitalised words inside a sentence, quoted texts. */
export function wordsIn(prompt: string): string[] {
  const quoted = [...prompt.matchAll(/["“]([^"”]{1,80})["”]/g)].map((match) => match[1]!)
  const named = [...prompt.matchAll(/(?<=[\p{Ll}\d,;:] )\p{Lu}[\p{L}'-]+(?: \p{Lu}[\p{L}'-]+)*/gu)].map(
    (match) => match[0],
  )
  return [...quoted, ...named.filter((name) => name !== 'I')].slice(0, 16)
}

/** A valid instance of `schema`; texts are taken from `words` in turn. */
export function schemaInstance(schema: JsonObject, words: readonly string[] = []): Json {
  return instance(schema, { name: 'value', depth: 0 }, { root: schema, words, used: 0 })
}
