// Lists of texts to embed, item by item: of a hundred texts of which ninety are known only ten are asked for, and the answer
// is put together as if all had been. The vectors are taken as the text they came as, never as numbers: what is written
// again might differ in its last digit. What upstreams tell only of the whole, the count of tokens, is divided by length.

import { isObject, type Json } from '../../openai/canonical-json.ts'
import { zeroUsage } from '../../openai/usage.ts'
import { Entry, type EntryFacts } from './entry.ts'

/** An answer taken apart. */
export interface SplitAnswer {
  /** By the order of the texts: each item as it came, its `index` 0. */
  readonly items: readonly string[]
  /** The other members, as JSON, without `usage`. */
  readonly envelope: string
  readonly tokens: number
}

const decoder = new TextDecoder('utf-8', { fatal: true })
const indexMember = /"index"\s*:\s*\d+/

/** Takes an answer to `count` texts apart; null where it is not one. */
export function splitEmbeddings(body: Uint8Array, count: number): SplitAnswer | null {
  try {
    const text = decoder.decode(body)
    const answer = JSON.parse(text) as Json
    if (!isObject(answer) || !Array.isArray(answer['data']) || answer['data'].length !== count) return null
    const { data, usage, ...rest } = answer
    const tokens = isObject(usage) ? usage['total_tokens'] : null
    if (typeof tokens !== 'number' || !Number.isSafeInteger(tokens) || tokens < 0) return null
    const items: string[] = Array.from({ length: count }, () => '')
    for (const [place, slice] of elementsOf(text, 'data').entries()) {
      const told = data[place]
      const index = isObject(told) ? told['index'] : null
      // Each place once, or two texts would get one vector.
      if (typeof index !== 'number' || items[index] !== '' || !indexMember.test(slice)) return null
      items[index] = slice.replace(indexMember, '"index":0')
    }
    return items.includes('') ? null : { items, envelope: JSON.stringify(rest), tokens }
  } catch {
    return null
  }
}

/** An answer made of its items. */
export function joinEmbeddings(answer: SplitAnswer): Buffer {
  const { items, envelope, tokens } = answer
  const { object = 'list', ...rest } = JSON.parse(envelope) as { [name: string]: Json }
  const data = items.map((item, index) => item.replace(indexMember, `"index":${index}`)).join()
  const more = Object.entries(rest).map(
    ([name, value]) => `,${JSON.stringify(name)}:${JSON.stringify(value)}`,
  )
  const usage = `"usage":{"prompt_tokens":${tokens},"total_tokens":${tokens}}`
  return Buffer.from(`{"object":${JSON.stringify(object)},"data":[${data}]${more.join('')},${usage}}`, 'utf8')
}

/** `tokens` divided among items by the length of their texts; the shares add up to it. */
export function sharesOf(tokens: number, lengths: readonly number[]): number[] {
  const sum = lengths.reduce((total, length) => total + length, 0)
  const exact = lengths.map((length) => (sum === 0 ? tokens / lengths.length : (tokens * length) / sum))
  const shares = exact.map((share) => Math.floor(share))
  let left = tokens - shares.reduce((total, share) => total + share, 0)
  const byRest = exact.map((share, index) => ({ index, rest: share % 1 })).sort((a, b) => b.rest - a.rest)
  for (const { index } of byRest) if (left-- > 0) shares[index]!++
  return shares
}

/** The texts of a request, in order; null where it holds none. */
export function inputsOf(request: Json): Json[] | null {
  if (!isObject(request)) return null
  const { input } = request
  if (typeof input === 'string') return [input]
  if (!Array.isArray(input)) return null
  return input.every((item) => typeof item === 'number') ? [input] : input
}

/** The request for some of the texts. */
export function requestFor(request: { [name: string]: Json }, inputs: readonly Json[]): Buffer {
  return Buffer.from(JSON.stringify({ ...request, input: inputs as Json[] }), 'utf8')
}

/** A list of which some items are known. */
export class KnownItems {
  constructor(
    readonly keys: readonly string[],
    readonly inputs: readonly Json[],
    /** By place; null = to be asked for. */
    readonly known: readonly (Entry | null)[],
  ) {}

  get missing(): number[] {
    return this.known.flatMap((entry, index) => (entry === null ? [index] : []))
  }

  /** The whole answer, given the answer to what was missing (null = nothing was); null where they do not fit together. */
  join(answer: SplitAnswer | null): Buffer | null {
    const whole = this.merge(answer)
    return whole === null ? null : joinEmbeddings(whole)
  }

  /** As `join`, taken apart. */
  merge(answer: SplitAnswer | null): SplitAnswer | null {
    const envelope = answer?.envelope ?? this.known[0]?.facts.envelope
    if (envelope === undefined) return null
    const items: string[] = []
    let tokens = answer?.tokens ?? 0
    let next = 0
    for (const entry of this.known) {
      if (entry === null) items.push(answer?.items[next++] ?? '')
      // Told by another version of the model: the vectors do not belong together.
      else if (entry.facts.envelope !== envelope) return null
      else {
        items.push(Buffer.from(entry.body).toString('utf8'))
        tokens += entry.facts.usage?.total ?? 0
      }
    }
    return items.includes('') ? null : { items, envelope, tokens }
  }
}

/** Entries of the items of an answer. `facts` are those of the whole; `keys` and `inputs` go by place. */
export function itemEntries(
  answer: SplitAnswer,
  what: { keys: readonly string[]; inputs: readonly Json[] },
  facts: EntryFacts,
): Entry[] {
  const lengths = what.inputs.map((input) => (Array.isArray(input) ? input.length : String(input).length))
  const shares = sharesOf(answer.tokens, lengths)
  return what.keys.map((key, index) => {
    const tokens = shares[index]!
    const usage = { ...zeroUsage, input: tokens, total: tokens }
    const own: EntryFacts = { ...facts, usage, envelope: answer.envelope, headerLines: '', pace: null }
    return new Entry(key, own, Buffer.from(answer.items[index]!, 'utf8'))
  })
}

/** The elements of the list `name` of the outermost object, as they stand in a valid JSON text. */
function elementsOf(text: string, name: string): string[] {
  let at = skipSpace(text, 0) + 1
  for (;;) {
    at = skipSpace(text, at)
    if (text[at] !== '"') return []
    const nameEnd = skipValue(text, at)
    const value = skipSpace(text, skipSpace(text, nameEnd) + 1)
    if (JSON.parse(text.slice(at, nameEnd)) === name && text[value] === '[') return listAt(text, value)
    at = skipSpace(text, skipValue(text, value)) + 1
  }
}

function listAt(text: string, start: number): string[] {
  const elements: string[] = []
  let at = skipSpace(text, start + 1)
  while (text[at] !== ']') {
    const end = skipValue(text, at)
    elements.push(text.slice(at, end))
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return elements
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) <= 32) at++
  return at
}

/** Offset behind the value at `start`. */
function skipValue(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      at = text.indexOf('"', at + 1)
      while (isEscaped(text, at)) at = text.indexOf('"', at + 1)
    } else if (code === 0x5b || code === 0x7b) depth++
    else if (code === 0x5d || code === 0x7d) depth--
    else if (depth > 0 || code !== 0x2c) continue
    if (depth < 0 || (depth === 0 && code === 0x2c)) return at
    if (depth === 0) return at + 1
  }
  return text.length
}

function isEscaped(text: string, at: number): boolean {
  let before = at
  while (text.charCodeAt(before - 1) === 0x5c) before--
  return (at - before) % 2 === 1
}
