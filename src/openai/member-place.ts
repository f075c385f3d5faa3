// Where a member of a JSON text's outermost object lies, in its bytes: to put another value in its place without writing
// the rest anew. Exact: names are compared as they read (an escaped spelling is the same name), every occurrence is told,
// and only the outermost object counts. Strings are skipped by a native search, so a long prompt costs next to nothing.
// Valid JSON is taken for granted: what is not gives nothing, or places inside the text, never an error.

const quote = 34
const backslash = 92
const comma = 44
const colon = 58

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

/** Offset behind the string that begins at `at`. */
function behindString(bytes: Uint8Array, at: number): number {
  let end = bytes.indexOf(quote, at + 1)
  while (end >= 0) {
    let before = end
    while (before - 1 > at && bytes[before - 1] === backslash) before--
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

/** The start of the first member that has one of these names, and which; null where there is none. */
export function firstMember(
  bytes: Uint8Array,
  names: readonly string[],
): { readonly name: string; readonly start: number } | null {
  let found: { name: string; start: number } | null = null
  eachMember(bytes, (place, value) => {
    const name = nameAt(bytes, place)
    if (!names.includes(name)) return true
    found = { name, start: value }
    return false
  })
  return found
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
