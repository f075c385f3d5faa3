// Where a member of a JSON text's outermost object lies, in its bytes: to put another value in its place without writing
// the rest anew. Exact: names are compared as they read (an escaped spelling is the same name), every occurrence is told,
// and only the outermost object counts. Strings are skipped by a native search, so a long prompt costs next to nothing.
// Valid JSON is taken for granted: what is not gives nothing, or places inside the text, never an error.

const quote = 34
const backslash = 92
const comma = 44
const colon = 58
/** A native search costs as much as this many steps. */
const nearBytes = 32

/** Offsets of a value: its first byte, and the byte behind its last. */
export interface Place {
  readonly start: number
  readonly end: number
}

function isSpace(byte: number | undefined): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9
}

function skipSpace(bytes: Uint8Array, at: number): number {
  let index = at
  while (isSpace(bytes[index])) index++
  return index
}

/** Offset behind the string that begins at `at`. Names are walked through, long texts searched natively. */
function behindString(bytes: Uint8Array, at: number): number {
  let from = at + 1
  const near = Math.min(bytes.length, from + nearBytes)
  while (from < near && bytes[from] !== quote) from += bytes[from] === backslash ? 2 : 1
  if (from < near) return from + 1
  let end = bytes.indexOf(quote, from)
  while (end >= 0) {
    let before = end
    while (before > from && bytes[before - 1] === backslash) before--
    if ((end - before) % 2 === 0) return end + 1
    end = bytes.indexOf(quote, end + 1)
  }
  return bytes.length
}

/** Offset behind the value that begins at `at`. */
function behindValue(bytes: Uint8Array, at: number): number {
  let depth = 0
  let index = at
  while (index < bytes.length) {
    const byte = bytes[index]!
    if (byte === quote) {
      index = behindString(bytes, index)
      if (depth === 0) return index
      continue
    }
    if (byte === 123 || byte === 91) depth++
    else if (byte === 125 || byte === 93) {
      if (depth === 0) return index
      if (--depth === 0) return index + 1
    } else if (depth === 0 && (byte === comma || isSpace(byte))) return index
    index++
  }
  return index
}

/** Shows `visit` each member of the outermost object, in order, until it gives false. */
function eachMember(
  bytes: Uint8Array,
  visit: (name: { readonly start: number; readonly end: number }, value: number) => boolean,
): void {
  let at = skipSpace(bytes, 0)
  if (bytes[at] !== 123) return
  at = skipSpace(bytes, at + 1)
  while (bytes[at] === quote) {
    const end = behindString(bytes, at)
    const sign = skipSpace(bytes, end)
    if (bytes[sign] !== colon) return
    const value = skipSpace(bytes, sign + 1)
    if (!visit({ start: at, end }, value)) return
    at = skipSpace(bytes, behindValue(bytes, value))
    if (bytes[at] !== comma) return
    at = skipSpace(bytes, at + 1)
  }
}

function nameAt(bytes: Uint8Array, place: Place): string {
  const text = Buffer.prototype.latin1Slice.call(bytes, place.start + 1, place.end - 1)
  if (!text.includes('\\')) return text
  try {
    return JSON.parse(`"${text}"`) as string
  } catch {
    return text
  }
}

/** Every place of the outermost object's members of this name (ASCII), in order; none where there is no such object. */
export function memberPlaces(bytes: Uint8Array, name: string): Place[] {
  const places: Place[] = []
  eachMember(bytes, (place, value) => {
    if (nameAt(bytes, place) === name) places.push({ start: value, end: behindValue(bytes, value) })
    return true
  })
  return places
}

/** Names of members, each with its bytes up to the closing quote. */
export type MemberNames = readonly { readonly name: string; readonly bytes: Uint8Array }[]

/** @param names ASCII */
export function memberNames(...names: readonly string[]): MemberNames {
  return names.map((name) => ({ name, bytes: Buffer.from(`${name}"`) }))
}

/** Where the value of the first member begins that has one of these names; -1 where there is none. Cheap. */
export function firstMember(bytes: Uint8Array, names: MemberNames): number {
  let at = skipSpace(bytes, 0)
  if (bytes[at] !== 123) return -1
  at = skipSpace(bytes, at + 1)
  while (bytes[at] === quote) {
    const end = behindString(bytes, at)
    const sign = skipSpace(bytes, end)
    if (bytes[sign] !== colon) return -1
    const value = skipSpace(bytes, sign + 1)
    if (isOneOf(names, bytes, at)) return value
    at = skipSpace(bytes, behindValue(bytes, value))
    if (bytes[at] !== comma) return -1
    at = skipSpace(bytes, at + 1)
  }
  return -1
}

/** Whether the string that begins at `at` is one of the names. */
function isOneOf(names: MemberNames, bytes: Uint8Array, at: number): boolean {
  let first = at + 1
  while (first < bytes.length && bytes[first] !== quote && bytes[first] !== backslash) first++
  if (bytes[first] === backslash) {
    const text = nameAt(bytes, { start: at, end: behindString(bytes, at) })
    return names.some(({ name }) => name === text)
  }
  for (let index = 0; index < names.length; index++) {
    const wanted = names[index]!.bytes
    let same = 0
    while (same < wanted.length && bytes[at + 1 + same] === wanted[same]) same++
    if (same === wanted.length) return true
  }
  return false
}

/** The end of a list's first `count` items: the list begins at `start`. For anything else the end of the value. */
export function endOfItems(bytes: Uint8Array, start: number, count: number): number {
  if (bytes[start] !== 91) return behindValue(bytes, start)
  let at = skipSpace(bytes, start + 1)
  for (let item = 0; item < count && at < bytes.length && bytes[at] !== 93; item++) {
    const end = behindValue(bytes, at)
    const next = skipSpace(bytes, end)
    if (bytes[next] !== comma || item + 1 === count) return end
    at = skipSpace(bytes, next + 1)
  }
  return at
}

/** The text with other bytes at a place. */
export function withValue(bytes: Uint8Array, place: Place, value: Uint8Array): Uint8Array {
  const changed = new Uint8Array(bytes.length - (place.end - place.start) + value.length)
  changed.set(bytes.subarray(0, place.start))
  changed.set(value, place.start)
  changed.set(bytes.subarray(place.end), place.start + value.length)
  return changed
}
