// Ids of stored objects (files, responses, threads, …) as requests name them and answers show them. What a request names is
// found as the most lenient reader would; what an answer shows is taken only from places that a server fills, since whoever
// could have an id of their choice recorded as theirs would own another's object.

import { lenientName } from './json-keys.ts'
import { lenient, skipSpace, visitStrings, type StringSearch } from './json-strings.ts'

/** Beginnings of OpenAI's own ids, and of Azure's for files. What is not here is known by the table of ids alone. */
const prefixed =
  /^(?:file|assistant|upload|part|resp|chatcmpl|batch|conv|msg|rs|fc|fco|ws|ci|ig|mcp|mcpl|mcpr|cu|cuo|fs|ls|lsh|lsho|sh|sho|apc|apco|ctc|ctco|cmp|vs|vsfb|asst|thread|run|step|ftjob|ftckpt|cntr|cfile|eval|evalrun|outputitem|video|char|skill|skillver|cthr|cthi|voice|cons|rtc|audio)[-_][a-z0-9][\w-]{5,}$/i

/** What can be an id at all: visible ASCII, and short. */
const idLike = /^[!-~]{1,256}$/

/** Whether a text has the shape of one of OpenAI's ids. */
export function isObjectId(text: string): boolean {
  return text.length <= 256 && (prefixed.test(text) || fineTuned.test(text))
}

/** A model that a fine-tuning job made is what the job's owner owns: `ft:gpt-4o-mini:org::id`. */
const fineTuned = /^ft:[!-~]+$/i
/** Before a value is parsed: text that is one, or hides its beginning. */
const maybeFineTuned = /^"[^!-~]*(?:ft:|f?t?\\)/i

/** Members that hold the id of an object whatever it looks like; without `_` and `-`, as `fileId` is `file_id` to some. */
const certain = new Set(
  `fileid fileids inputfileid outputfileid errorfileid trainingfile validationfile previousresponseid responseid
  conversation conversationid containerid assistantid threadid vectorstoreid vectorstoreids batchid uploadid partid partids
  skillid videoid evalid`.split(/\s+/),
)
const likely = /(?:ids?|conversation|container|files?|video|voice|skills?)$/

/** How sure a member's name makes us that it holds an id: 2 = it does, 1 = it may, 0 = it does not; or it names a model. */
type Weight = 0 | 1 | 2 | 'model'

function weight(name: string): Weight {
  if (/models?$/.test(name)) return 'model'
  if (!likely.test(name)) return 0
  return certain.has(name.replaceAll(/[_-]/g, '')) ? 2 : 1
}

const weights = new Map<string, Weight>()

function knownWeight(name: string): Weight {
  const known = weights.get(name)
  if (known !== undefined) return known
  const found = weight(name)
  if (weights.size < 512 && name.length < 64) weights.set(name, found)
  return found
}

/** Ids that a request names. */
export class NamedIds {
  /** Must be the caller's own. */
  readonly sure = new Set<string>()
  /** May be no ids at all: refused only where they are somebody else's. */
  readonly maybe = new Set<string>()

  /** There were more than are taken in: whoever asks is not working but searching. */
  overflowed = false

  constructor(private readonly max = 10_000) {}

  get size(): number {
    return this.sure.size + this.maybe.size
  }

  /** Takes in all of another's. */
  join(other: NamedIds): void {
    for (const id of other.sure) this.sure.add(id)
    for (const id of other.maybe) this.maybe.add(id)
    this.overflowed ||= other.overflowed
  }

  /** Takes in a value behind a member's (lenient) name. */
  add(name: string, value: string): void {
    const sureness = knownWeight(name)
    if (sureness === 0 || this.overflowed || this.sure.has(value) || this.maybe.has(value)) return
    // A reader may trim what it reads.
    const id = value.length > 1024 ? '' : value.replaceAll(/^[^!-~]+|[^!-~]+$/g, '')
    if (!idLike.test(id)) return
    if (this.size >= this.max) this.overflowed = true
    else if (sureness === 'model') {
      // One that was made for all to use is in nobody's name.
      if (fineTuned.test(id)) this.maybe.add(id)
    } else if (sureness === 2 || isObjectId(id)) this.sure.add(id)
    else if (!id.startsWith('call_')) this.maybe.add(id)
  }
}

const named: StringSearch = {
  wants: (name) => knownWeight(name) !== 0,
  // The client's own data, which nobody acts on.
  skipped: new Set(['metadata']),
}

const colon = ':'
const nul = '\0'
/** A name that is longer, or has an escape or anything beyond ASCII, is not judged by its bytes. */
const nameMax = 64

/**
 * Whether a JSON text could name an object, without parsing it: only what stands before a colon is looked at, and colons are
 * found natively. A false yes costs a walk through the text. The ids of tool calls, which every agent sends, are none.
 */
export function mayNameIds(bytes: Uint8Array): boolean {
  const text = Buffer.prototype.latin1Slice.call(bytes)
  // Valid JSON has none: it would be text in a coding of two bytes.
  if (text.includes(nul)) return true
  for (let at = text.indexOf(colon); at >= 0; at = text.indexOf(colon, at + 1)) {
    const value = skipSpace(text, at + 1)
    const begins = text.charCodeAt(value)
    if ((begins === 0x22 || begins === 0x5b) && isNameOfId(text, at, value)) return true
  }
  return false
}

/** Whether what stands before the colon `at` may be the name of a member with ids in its value. */
function isNameOfId(text: string, at: number, value: number): boolean {
  let end = at - 1
  while (text.charCodeAt(end) <= 0x20) end--
  if (text.charCodeAt(end) !== 0x22) return false
  let before = end
  while (text.charCodeAt(before - 1) === 0x5c) before--
  // An escaped quote ends no name: a string holds JSON.
  if ((end - before) % 2 === 1) return false
  const start = text.lastIndexOf('"', end - 1) + 1
  if (end - start > nameMax) return true
  const sureness = weightInBytes(text, start, end)
  if (sureness === null) return true
  if (sureness === 'model') return text[value] === '[' || maybeFineTuned.test(text.slice(value, value + 16))
  return sureness === 2 || (sureness === 1 && !text.startsWith('"call_', value))
}

/** A name that was judged before. */
interface Judged {
  readonly name: string
  readonly weight: Weight | null
}

/** Places by a hash of the letters; two names that fall on one place take turns. */
const judged: (Judged | undefined)[] = Array.from({ length: 1024 })

/** Weight of the name at `text[start, end)`; null = it is not to be judged by its bytes. No text is made of one known already. */
function weightInBytes(text: string, start: number, end: number): Weight | null {
  let hash = end - start
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0
  const place = (hash ^ (hash >>> 10)) & (judged.length - 1)
  const known = judged[place]
  if (known !== undefined && known.name.length === end - start && text.startsWith(known.name, start))
    return known.weight
  // A copy: a piece of a body would keep the whole of it.
  const name = Buffer.from(text.slice(start, end), 'latin1').toString('latin1')
  const weight = /^[ !#-[\]-~]*$/.test(name) ? knownWeight(lenient(name)) : null
  judged[place] = { name, weight }
  return weight
}

/** Adds the ids that a valid JSON text names to `ids`. */
export function idsNamed(text: string, ids: NamedIds): void {
  visitStrings(text, named, (name, value) => ids.add(name, value))
}

/** Adds what a query names: cursors too, which say whether an object exists. */
export function idsInQuery(query: string, ids: NamedIds): void {
  if (query.length < 2) return
  for (const [name, value] of new URLSearchParams(query)) {
    const lenient = lenientName(name)
    ids.add(/^(?:after|before|starting_after|ending_before)$/.test(lenient) ? 'cursor_id' : lenient, value)
  }
}

/** Members of an answer that hold what a client wrote, or what a program of its choice said. */
const echoed = new Set(
  `metadata attributes variables parameters schema input_schema tools properties item datasource_item sample
  response_format arguments`.split(/\s+/),
)
/** Members that name objects which the server made, whatever their ids look like. */
const made = new Set([
  'output_file_id',
  'error_file_id',
  'result_files',
  'thread_id',
  'fine_tuned_model',
  'fine_tuned_model_checkpoint',
])
const depthMax = 32
const idsMax = 2000

/** Ids in a parsed answer or event, with those of the objects inside it, such as a batch's output file. */
export function idsInAnswer(value: unknown): string[] {
  const ids = new Set<string>()
  collect(value, '', { ids, depth: 0 })
  return [...ids]
}

function collect(value: unknown, name: string, into: { ids: Set<string>; depth: number }): void {
  if (into.ids.size >= idsMax || into.depth > depthMax) return
  if (typeof value === 'string') {
    if (!/(?:^id|_ids?|^conversation|^container|^result_files|^fine_tuned_model(?:_checkpoint)?)$/.test(name))
      return
    if (isObjectId(value) || (made.has(name) && idLike.test(value))) into.ids.add(value)
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, name, into)
  } else if (typeof value === 'object' && value !== null) {
    into.depth++
    for (const [key, inner] of Object.entries(value)) if (!echoed.has(key)) collect(inner, key, into)
    into.depth--
  }
}

/** `id` of a parsed answer that is an object just made, or a response's own in an event; null where it shows none. */
export function idOf(value: unknown): string | null {
  const { id } = (value ?? {}) as { id?: unknown }
  return typeof id === 'string' && idLike.test(id) ? id : null
}
