// A request's body as the text by which answers are shared: everything that can change the answer is in it, and nothing
// else. Left out are how the answer travels (`stream`, `stream_options`), what the operator says does not matter, and
// defaults spelled out. White space is folded only in what people wrote, never in a tool's schema or a call's arguments.

import { canonicalText, isObject, type Json } from './canonical-json.ts'
import { isDefault } from './request-defaults.ts'

/** What two requests may differ in and still count as the same. */
export interface Normalization {
  /** Fold and trim white space of texts. */
  readonly whitespace: boolean
  /** Messages in any order are the same. */
  readonly sortMessages: boolean
  /** Outermost members that do not matter. */
  readonly ignore: readonly string[]
  /** Members that say no more than their absence are left out. */
  readonly defaults: boolean
}

const asking = new Set(['messages', 'input', 'prompt', 'instructions', 'system'])
const texts = new Set(['content', 'text', 'input', 'prompt', 'instructions', 'system'])

/** The canonical text of a request to `operation`. `leaveOut`: a further member that is compared elsewhere. */
export function canonicalRequest(
  body: { [name: string]: Json },
  operation: string,
  how: Normalization & { readonly leaveOut?: string },
): string {
  const members: string[] = []
  for (const name of Object.keys(body).sort()) {
    const value = body[name]!
    if (name === how.leaveOut || isLeftOut(operation, { name, value }, how)) continue
    members.push(`${JSON.stringify(name)}:${memberText(name, value, how)}`)
  }
  return `{${members.join()}}`
}

/** The members that tell requests to `operation` apart, each as it is compared. */
export function canonicalMembers(
  body: { [name: string]: Json },
  operation: string,
  how: Normalization,
): Map<string, Json> {
  const members = new Map<string, Json>()
  for (const name of Object.keys(body).sort()) {
    const value = body[name]!
    if (!isLeftOut(operation, { name, value }, how))
      members.set(name, JSON.parse(memberText(name, value, how)) as Json)
  }
  return members
}

function isLeftOut(
  operation: string,
  { name, value }: { readonly name: string; readonly value: Json },
  how: Normalization,
): boolean {
  if (name === 'stream' || name === 'stream_options' || how.ignore.includes(name)) return true
  return how.defaults && isDefault(operation, name, value)
}

/** The canonical text of one outermost member. */
export function memberText(name: string, value: Json, how: Normalization): string {
  const folded = how.whitespace && asking.has(name) ? foldTexts(value, true) : value
  if (!how.sortMessages || name !== 'messages' || !Array.isArray(folded)) return canonicalText(folded)
  return `[${folded.map(canonicalText).sort().join()}]`
}

function foldTexts(value: Json, isText: boolean): Json {
  if (typeof value === 'string') return isText ? value.trim().replace(/\s+/g, ' ') : value
  if (Array.isArray(value)) return value.map((item) => foldTexts(item, isText))
  if (!isObject(value)) return value
  const folded: [string, Json][] = Object.keys(value).map((name) => [
    name,
    foldTexts(value[name]!, texts.has(name)),
  ])
  return Object.fromEntries(folded)
}
