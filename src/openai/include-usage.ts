// `stream_options.include_usage` (platform.openai.com, API reference of chat completions, read November 2026): a stream says
// its usage only where that is asked for, in one more chunk before `[DONE]`, and then every other chunk has
// `"usage":null`. So it is always asked for, and where the client did not ask, both are taken out again: `choices[0]` of a
// chunk without choices is what many clients fall over. All of it by inserting and cutting bytes: the rest of a request
// and of an answer stays as it was written. Where there is any doubt (a member twice, a name written with escapes, a
// value of another type) a request is left as it is, and its cost is estimated.

import { eachData } from './sse.ts'

const quote = 34
const backslash = 92
const comma = 44
const colon = 58
const open = 123
const lf = 10
const cr = 13

const streamName = Buffer.from('"stream"')
const askedMember = Buffer.from('"include_usage":true')
const optionsMember = Buffer.from('"stream_options":{"include_usage":true},')
const optionsValue = Buffer.from('{"include_usage":true}')
const trueValue = Buffer.from('true')

/** Steps of a walk through a body; a longer one is left as it is. Texts are skipped natively and are one step. */
const stepsMax = 4_000_000

/** Where a member of an object lies: its name without quotes, and its value. */
interface Member {
  readonly name: string
  readonly start: number
  readonly end: number
}

function isSpace(byte: number | undefined): boolean {
  return byte === 32 || byte === lf || byte === cr || byte === 9
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from
  while (isSpace(bytes[at])) at += 1
  return at
}

/** Offset behind the string that begins at `at`, or beyond the end. */
function stringEnd(bytes: Uint8Array, at: number): number {
  for (let end = bytes.indexOf(quote, at + 1); end >= 0; end = bytes.indexOf(quote, end + 1)) {
    let before = end
    while (bytes[before - 1] === backslash) before -= 1
    if ((end - before) % 2 === 0) return end + 1
  }
  return bytes.length + 1
}

/**
 * The members with these names of the object that begins at `start` (its brace). Null where it cannot be told: it does
 * not end, a name is written with escapes, or it is too long to look through.
 */
function membersOf(bytes: Uint8Array, start: number, names: readonly string[]): Member[] | null {
  const found: Member[] = []
  let depth = 0
  let name: string | null = null
  let valueStart = 0
  let at = start
  for (let steps = 0; at < bytes.length && steps < stepsMax; steps++) {
    const byte = bytes[at]!
    if (byte === quote) {
      const end = stringEnd(bytes, at)
      const behind = depth === 1 && name === null ? skipSpace(bytes, end) : -1
      if (behind >= 0 && bytes[behind] === colon) {
        const read: string = Buffer.prototype.latin1Slice.call(bytes, at + 1, end - 1)
        if (read.includes('\\')) return null
        name = read
        valueStart = at = skipSpace(bytes, behind + 1)
      } else at = end
      continue
    }
    if (name !== null && depth === 1 && (byte === comma || byte === 125)) {
      if (names.includes(name)) found.push({ name, start: valueStart, end: trimmed(bytes, valueStart, at) })
      name = null
    }
    if (byte === open || byte === 91) depth += 1
    else if ((byte === 125 || byte === 93) && --depth === 0) return found
    at += 1
  }
  return null
}

function trimmed(bytes: Uint8Array, start: number, end: number): number {
  let at = end
  while (at > start && isSpace(bytes[at - 1])) at -= 1
  return at
}

function textOf(bytes: Uint8Array, { start, end }: Member): string {
  return Buffer.prototype.latin1Slice.call(bytes, start, Math.min(end, start + 8))
}

function replaced(bytes: Uint8Array, at: { start: number; end: number }, by: Uint8Array): Uint8Array {
  const made = new Uint8Array(bytes.length - (at.end - at.start) + by.length)
  made.set(bytes.subarray(0, at.start))
  made.set(by, at.start)
  made.set(bytes.subarray(at.end), at.start + by.length)
  return made
}

/**
 * The body of a request with its stream's usage asked for. Null where nothing is to be changed: no stream, asked for
 * already, or in doubt. Costs one search where no stream is asked for.
 */
export function askForUsage(body: Uint8Array): Uint8Array | null {
  if (Buffer.prototype.indexOf.call(body, streamName) < 0) return null
  const start = skipSpace(body, 0)
  if (body[start] !== open) return null
  const members = membersOf(body, start, ['stream', 'stream_options'])
  if (members === null) return null
  const [stream, ...otherStreams] = members.filter(({ name }) => name === 'stream')
  const [options, ...otherOptions] = members.filter(({ name }) => name === 'stream_options')
  if (stream === undefined || otherStreams.length + otherOptions.length > 0) return null
  if (textOf(body, stream) !== 'true') return null
  if (options === undefined) return replaced(body, { start: start + 1, end: start + 1 }, optionsMember)
  if (textOf(body, options) === 'null') return replaced(body, options, optionsValue)
  return body[options.start] === open ? askWithin(body, options) : null
}

function askWithin(body: Uint8Array, options: Member): Uint8Array | null {
  const members = membersOf(body, options.start, ['include_usage'])
  if (members === null || members.length > 1) return null
  const [asked] = members
  if (asked !== undefined) {
    const value = textOf(body, asked)
    return value === 'false' || value === 'null' ? replaced(body, asked, trueValue) : null
  }
  const inside = options.start + 1
  const empty = body[skipSpace(body, inside)] === 125
  const member = empty ? askedMember : Buffer.concat([askedMember, Buffer.from(',')])
  return replaced(body, { start: inside, end: inside }, member)
}

const usageName = Buffer.from('"usage"')

function firstUsage(bytes: Uint8Array): number {
  return Buffer.prototype.indexOf.call(bytes, usageName)
}

/** A stretch of bytes that is taken out. */
interface Cut {
  readonly start: number
  readonly end: number
}

/**
 * Whole frames without what asking for usage added: members `"usage":null` of the outermost object, and frames whose
 * chunk has no choices but a usage. The same object where there is none. `from`: where the first `"usage"` lies, where
 * that is known.
 */
export function withoutUsage(bytes: Uint8Array, from = firstUsage(bytes)): Uint8Array {
  const cuts: Cut[] = []
  let kept = bytes.length
  for (let at = from; at >= 0;) {
    const cut = cutAt(bytes, at)
    if (cut !== null && cut.start >= (cuts.at(-1)?.end ?? 0)) {
      cuts.push(cut)
      kept -= cut.end - cut.start
    }
    at = Buffer.prototype.indexOf.call(bytes, usageName, Math.max(cut?.end ?? 0, at + usageName.length))
  }
  if (cuts.length === 0) return bytes
  const made = new Uint8Array(kept)
  let read = 0
  let written = 0
  for (const { start, end } of cuts) {
    made.set(bytes.subarray(read, start), written)
    written += start - read
    read = end
  }
  made.set(bytes.subarray(read), written)
  return made
}

/** What goes for the name at `at`; null = it stays. */
function cutAt(bytes: Uint8Array, at: number): Cut | null {
  const behind = skipSpace(bytes, at + usageName.length)
  if (bytes[behind] !== colon) return null
  const value = skipSpace(bytes, behind + 1)
  if (bytes[value] === open) return usageFrame(bytes, at)
  const isNull = bytes[value] === 110 && bytes[value + 1] === 117 && bytes[value + 3] === 108
  if (!isNull || !endsOutermost(bytes, value + 4)) return null
  let start = at
  while (isSpace(bytes[start - 1])) start -= 1
  if (bytes[start - 1] === comma) return { start: start - 1, end: value + 4 }
  // The first member: its comma follows, or it is the only one.
  const next = skipSpace(bytes, value + 4)
  return { start: at, end: bytes[next] === comma ? skipSpace(bytes, next + 1) : value + 4 }
}

/** Whether one bracket is closed from `from` to the end of the line, and it is the last: then what is before is outermost. */
function endsOutermost(bytes: Uint8Array, from: number): boolean {
  let depth = 0
  let at = from
  while (at < bytes.length) {
    const byte = bytes[at]!
    if (byte === lf || byte === cr) break
    if (byte === quote) {
      at = stringEnd(bytes, at)
      continue
    }
    if (byte === open || byte === 91) depth += 1
    else if (byte === 125 || byte === 93) depth -= 1
    else if (depth === -1 && !isSpace(byte)) return false
    at += 1
  }
  return depth === -1
}

/** The frame around `at` where its chunk is the one that asking for usage added. */
function usageFrame(bytes: Uint8Array, at: number): Cut | null {
  const frame = frameAround(bytes, at)
  let added = false
  const text = bytes.subarray(frame.start, frame.end)
  // The last frame of a stream may lack its blank line; a reader of events would not see it, a lenient one would.
  eachData(frame.ends ? text : Buffer.concat([text, Buffer.from('\n\n')]), (data) => {
    if (data.startsWith('{')) added ||= isUsageChunk(data)
  })
  return added ? frame : null
}

function isUsageChunk(data: string): boolean {
  try {
    const { choices, usage } = JSON.parse(data) as { choices?: unknown; usage?: unknown }
    return Array.isArray(choices) && choices.length === 0 && typeof usage === 'object' && usage !== null
  } catch {
    return false
  }
}

/** The frame that holds `at`, with its blank line; `ends` = it has one. */
function frameAround(bytes: Uint8Array, at: number): Cut & { readonly ends: boolean } {
  let start = at
  while (start > 0 && !endsFrame(bytes, start)) start -= 1
  let end = at + 1
  while (end < bytes.length && !endsFrame(bytes, end)) end += 1
  return { start, end, ends: endsFrame(bytes, end) }
}

/** Whether a blank line ends right before `at`. */
function endsFrame(bytes: Uint8Array, at: number): boolean {
  const last = bytes[at - 1]
  if (last !== lf && last !== cr) return false
  // A CR may be half of what ends the line.
  if (last === cr && bytes[at] === lf) return false
  const before = last === lf && bytes[at - 2] === cr ? bytes[at - 3] : bytes[at - 2]
  return before === lf || before === cr
}
