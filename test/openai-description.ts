// OpenAI's own description of its API, for tests that hold answers against it: test data from elsewhere, which may be absent.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** JSON Schema as far as the description goes. */
export type Schema = Record<string, any>

const folder = process.env['HEADGATE_TEST_DATA'] ?? join(import.meta.dir, '../../shared/data')
const file = join(folder, 'openapi.json')
/** Whether it is there. */
export const present = existsSync(file)
const api: Schema = present ? JSON.parse(readFileSync(file, 'utf8')) : {}

/** What is wrong with a value by a schema: paths and reasons; empty where nothing is. */
export function faults(schema: Schema, value: unknown, at = '$'): string[] {
  if (schema['$ref'] !== undefined) {
    const target = String(schema['$ref'])
      .split('/')
      .slice(1)
      .reduce((node: Schema, step) => node[step], api)
    return faults(target, value, at)
  }
  if (value === null) {
    const types = [schema['type']].flat()
    const union = [...(schema['anyOf'] ?? []), ...(schema['oneOf'] ?? [])] as Schema[]
    const allowed =
      schema['nullable'] === true ||
      types.includes('null') ||
      schema['enum']?.includes(null) ||
      Object.keys(schema).length === 0
    return allowed || union.some((branch) => faults(branch, null, at).length === 0) ? [] : [`${at}: null`]
  }
  const union = (schema['anyOf'] ?? schema['oneOf']) as Schema[] | undefined
  if (union !== undefined) {
    const all = union.map((branch) => faults(branch, value, at)).sort((a, b) => a.length - b.length)
    return all[0]!.length === 0 ? [] : all[0]!.map((fault) => `${fault} (in a union)`)
  }
  const found = ((schema['allOf'] ?? []) as Schema[]).flatMap((part) => faults(part, value, at))
  if (schema['enum'] !== undefined && !schema['enum'].includes(value))
    found.push(`${at}: ${JSON.stringify(value)} is none of ${schema['enum']}`)
  if (schema['const'] !== undefined && schema['const'] !== value) found.push(`${at}: not ${schema['const']}`)
  const types = [schema['type']].flat().filter((type) => type !== undefined)
  const actual = Array.isArray(value) ? 'array' : typeof value
  const fits = (type: string): boolean =>
    type === actual ||
    (actual === 'number' && (type === 'number' || (type === 'integer' && Number.isInteger(value))))
  if (types.length > 0 && !types.some(fits)) return [...found, `${at}: ${actual} is none of ${types}`]
  if (Array.isArray(value) && schema['items'])
    value.forEach((item, i) => found.push(...faults(schema['items'], item, `${at}[${i}]`)))
  if (actual !== 'object') return found
  const object = value as Record<string, unknown>
  for (const name of schema['required'] ?? [])
    if (object[name] === undefined) found.push(`${at}.${name}: missing`)
  for (const [name, member] of Object.entries((schema['properties'] ?? {}) as Record<string, Schema>)) {
    // The real service sends null for many an optional member that the description does not call nullable, and for no `error`.
    const sentAsNothing =
      object[name] === null && (name === 'error' || schema['required']?.includes(name) !== true)
    if (object[name] !== undefined && !sentAsNothing)
      found.push(...faults(member, object[name], `${at}.${name}`))
  }
  return found
}

/** The schema of a path's good answer. */
export function schemaOf(path: string, method: string, type: string): Schema {
  const responses = api['paths'][path][method.toLowerCase()]['responses']
  return (responses['200'] ?? responses['201'])['content'][type]['schema']
}
