// What a caller sent, checked by the route's schema. The first thing wrong is the answer: one message, with the place as
// `param`. An unknown member is refused with the name that was probably meant: one that is passed over would make a key
// without the bound its maker believes it has.

import type { z } from 'zod'
import { namesDiffer } from '../base/distinct-names.ts'
import { nearestName } from '../config/suggest.ts'
import { ApiProblem } from './problem.ts'
import type { Route } from './route.ts'

/** Longest body. */
export const bodyBytesMax = 64 * 1024

/** @throws ApiProblem */
export function readQuery(route: Route, sent: URLSearchParams): unknown {
  const tree: Record<string, string> = {}
  for (const [name, value] of sent) {
    if (Object.hasOwn(tree, name))
      throw new ApiProblem('bad_request', `${shown(name)} is given twice.`, { param: cut(name) })
    Object.defineProperty(tree, name, { value, enumerable: true })
  }
  if (route.query !== undefined) return checked(route.query, tree, 'query')
  const [name] = Object.keys(tree)
  if (name === undefined) return {}
  throw new ApiProblem('bad_request', `${shown(name)} is unknown: this call takes no query.`, {
    param: cut(name),
  })
}

/** @throws ApiProblem */
export async function readBody(route: Route, request: Request): Promise<unknown> {
  const bytes = await collect(request)
  if (bytes.length === 0 && (route.body === undefined || route.bodyOptional === true))
    return route.body === undefined ? {} : checked(route.body, {}, 'body')
  if (route.body === undefined) throw new ApiProblem('bad_request', 'This call takes no body.')
  const type = (request.headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase()
  if (bytes.length > 0 && type !== 'application/json')
    throw new ApiProblem('unsupported_media_type', 'Send JSON, with Content-Type: application/json.')
  return checked(route.body, parsed(bytes), 'body')
}

async function collect(request: Request): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  const tooLarge = new ApiProblem('request_too_large', 'The body is over 64 KB.')
  if (Number(request.headers.get('content-length') ?? 0) > bodyBytesMax) throw tooLarge
  for await (const part of request.body ?? []) {
    bytes += part.length
    if (bytes > bodyBytesMax) throw tooLarge
    parts.push(part)
  }
  return Buffer.concat(parts, bytes)
}

function parsed(bytes: Uint8Array): unknown {
  let text: string
  let value: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    value = JSON.parse(text)
  } catch {
    throw new ApiProblem('invalid_json', 'The body is not valid JSON.')
  }
  if (namesDiffer(text)) return value
  throw new ApiProblem('bad_request', 'The body names a member twice, or is nested too deeply.')
}

function checked(schema: z.ZodType, tree: unknown, where: 'query' | 'body'): unknown {
  const result = schema.safeParse(tree)
  if (result.success) return result.data
  const { issues } = result.error
  // First, since a name that was mistyped also shows as one that is missing.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!
  if (issue.code === 'unrecognized_keys') throw unknownMember(schema, issue.keys[0]!, issue.path)
  const path = issue.path.map(String).join('.')
  if (path === '') throw new ApiProblem('bad_request', `The ${where} must be a JSON object.`)
  const missing = issue.code === 'invalid_type' && valueAt(tree, issue.path) === undefined
  const what = missing ? 'is required' : plain(issue.message)
  throw new ApiProblem('bad_request', `${shown(path)}: ${what}.`, { param: cut(path) })
}

function unknownMember(schema: z.ZodType, name: string, path: readonly PropertyKey[]): ApiProblem {
  const known = Object.keys((schema as { shape?: object }).shape ?? {})
  const near = path.length === 0 ? nearestName(name, known) : null
  const hint = near === null ? `Known here: ${known.join(', ')}.` : `Did you mean ${near}?`
  return new ApiProblem('bad_request', `${shown(name)} is unknown. ${hint}`, {
    param: cut([...path, name].join('.')),
  })
}

/** zod's own words begin with a capital and may end with a full stop. */
function plain(message: string): string {
  return message.replace(/^Invalid input: /, '').replace(/\.$/, '')
}

/** A name as the caller wrote it, short and without what a terminal acts on. */
function shown(name: string): string {
  return /^[\x21-\x7e]{1,64}$/.test(name) ? `"${name}"` : 'A name that cannot be shown'
}

function cut(text: string): string {
  return text.slice(0, 128)
}

function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  let value = tree
  for (const step of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[step]
  return value
}
