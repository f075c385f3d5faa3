// Members of a JSON answer's outermost object, found without parsing the answer: a megabyte of embeddings costs as
// much as its last hundred bytes. Exact, not a guess: inside a JSON string a quote is escaped, so `"name"` before a
// colon is always a member's name, and counting brackets from there to the nearer end of the text tells how deep it
// lies. A name deeper down (an echoed tool schema, written by the client) is passed over. Valid JSON is taken for
// granted; what is not gives null or a wrong value, never an error. Searching for the first `"usage":` was refused:
// who writes the request could then write the bill.

import { plainNames } from './plain-names.ts'

/** How far from the end (or start) of the text a member is looked for. */
const reachBytes = 64 * 1024
const triesMax = 8
/** A string longer than this is skipped by a native search, which costs as much as this many steps. */
const nearBytes = 48
/** Texts that come again and again, such as models, are kept as read: see `textAt`. */
const keptMax = 64

const quote = 34
const backslash = 92
const comma = 44
const colon = 58

function isSpace(byte: number | undefined): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9
}

function opens(byte: number): boolean {
  return byte === 123 || byte === 91
}

function closes(byte: number): boolean {
  return byte === 125 || byte === 93
}

/** Offset behind the string that begins at `at` (its opening quote). */
function skipString(bytes: Uint8Array, at: number): number {
  let index = at + 1
  const near = Math.min(bytes.length, index + nearBytes)
  while (index < near && bytes[index] !== quote) index += bytes[index] === backslash ? 2 : 1
  return index < near ? index + 1 : skipLongString(bytes, index)
}

/** The same from `from` on, a place between characters: what a model wrote is searched, not walked through. */
function skipLongString(bytes: Uint8Array, from: number): number {
  let at = bytes.indexOf(quote, from)
  while (at >= 0) {
    let before = at
    while (before > from && bytes[before - 1] === backslash) before -= 1
    if ((at - before) % 2 === 0) return at + 1
    at = bytes.indexOf(quote, at + 1)
  }
  return bytes.length + 1
}

/** Offset of the value that follows a name ending before `at`; -1 where no colon follows. */
function valueStart(bytes: Uint8Array, at: number): number {
  let index = at
  while (isSpace(bytes[index])) index += 1
  if (bytes[index] !== colon) return -1
  index += 1
  while (isSpace(bytes[index])) index += 1
  return index
}

/** The value at `start` and how many brackets are closed from its end to the end of the text. */
function readTail(bytes: Uint8Array, start: number): { end: number; depth: number } {
  let depth = 0
  let end = -1
  let index = start
  while (index < bytes.length) {
    const byte = bytes[index]!
    if (byte === quote) {
      index = skipString(bytes, index)
      continue
    }
    if (depth === 0 && end < 0 && (byte === comma || closes(byte))) end = index
    if (opens(byte)) depth += 1
    else if (closes(byte)) depth -= 1
    index += 1
  }
  return { end, depth }
}

function parse(bytes: Uint8Array, start: number, end: number): unknown {
  try {
    return JSON.parse(Buffer.prototype.toString.call(bytes, 'utf8', start, end))
  } catch {
    return undefined
  }
}

/**
 * The outermost object's last member of this name, from the last 64 KB of a JSON text: `bytes` may be the text or only
 * its end. `needle` is the name in quotes, as bytes. Undefined where there is none in reach.
 */
export function lastMember(bytes: Uint8Array, needle: Uint8Array): unknown {
  const tail = bytes.length > reachBytes ? bytes.subarray(bytes.length - reachBytes) : bytes
  let at = Buffer.prototype.lastIndexOf.call(tail, needle)
  for (let tries = 0; at >= 0 && tries < triesMax; tries++) {
    const start = valueStart(tail, at + needle.length)
    if (start >= 0) {
      const { end, depth } = readTail(tail, start)
      if (depth === -1 && end >= 0) return parse(tail, start, end)
    }
    at = at === 0 ? -1 : Buffer.prototype.lastIndexOf.call(tail, needle, at - 1)
  }
  return undefined
}

/** The outermost object's first text of this name, from the first 64 KB of a JSON text; null where there is none in reach. */
export function firstText(bytes: Uint8Array, needle: Uint8Array): string | null {
  const head = bytes.length > reachBytes ? bytes.subarray(0, reachBytes) : bytes
  const found = firstPlainText(head, needle)
  if (found !== null) return found
  const plain = plainNames(head)
  return plain === head ? null : firstPlainText(plain, needle)
}

function firstPlainText(head: Uint8Array, needle: Uint8Array): string | null {
  // No use in counting brackets where the name does not occur at all.
  const first = Buffer.prototype.indexOf.call(head, needle)
  if (first < 0) return null
  let depth = 0
  let index = 0
  while (index < head.length) {
    const byte = head[index]!
    if (byte === quote) {
      const end = skipString(head, index)
      const start =
        depth === 1 && end - index === needle.length && isAt(head, needle, index) ? valueStart(head, end) : -1
      if (start >= 0) return textAt(head, start)
      index = end
      continue
    }
    if (opens(byte)) depth += 1
    else if (closes(byte)) depth -= 1
    index += 1
  }
  return null
}

function isAt(bytes: Uint8Array, needle: Uint8Array, at: number): boolean {
  for (let index = 0; index < needle.length; index++) if (bytes[at + index] !== needle[index]) return false
  return true
}

/** Texts already read, each with its bytes (quotes included), at a place that its bytes say. */
const kept: ({ readonly bytes: Uint8Array; readonly text: string } | undefined)[] = Array.from({
  length: keptMax,
})

// Reading a text is dearer than finding it, and nearly all name one of a few models: the bytes are compared with those
// read before at the same place. That also gives the same string object, which a log line looks up by.
function textAt(bytes: Uint8Array, start: number): string | null {
  if (bytes[start] !== quote) return null
  const end = skipString(bytes, start)
  const length = end - start
  const place = (length * 7 + bytes[start + 1]! * 3 + bytes[end - 2]!) % keptMax
  const known = kept[place]
  if (known !== undefined && known.bytes.length === length && isAt(bytes, known.bytes, start))
    return known.text
  const text = parse(bytes, start, end)
  if (typeof text !== 'string') return null
  if (length <= keptMax) kept[place] = { bytes: Uint8Array.prototype.slice.call(bytes, start, end), text }
  return text
}
