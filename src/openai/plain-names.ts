// A member's name can be written with escapes: `"max\u005ftokens"` is `max_tokens` to every reader of JSON. Who looks for names
// in the bytes would pass over it, so such a body is looked at as a copy in which they are written plainly. Names are
// short, so short strings are rewritten whether they are names or values; a prompt is skipped by a native search. A body
// without such escapes, which is nearly every one, costs one search and is given back as it is.

const quote = 34
const backslash = 92
/** What names are made of (`_`, `a` to `z`) begins like this, and then with 5, 6 or 7. */
const escape = Buffer.from('\\u00')
/** No name that anybody looks for is longer, all of it escaped. */
const nameBytesMax = 256

/** The same JSON text with short strings written without escapes of letters: the same object where there are none. */
export function plainNames(bytes: Uint8Array): Uint8Array {
  let at = Buffer.prototype.indexOf.call(bytes, escape)
  if (at < 0) return bytes
  const pieces: Uint8Array[] = []
  let copied = 0
  while (at >= 0) {
    let next = at + escape.length
    if (isLetter(bytes[next]) && backslashesBefore(bytes, at) % 2 === 0) {
      next = stringEnd(bytes, at)
      const start = stringStart(bytes, at)
      const plain = start < 0 || next - start > nameBytesMax ? null : plainly(bytes, start, next)
      if (plain !== null) {
        pieces.push(bytes.subarray(copied, start), plain)
        copied = next
      }
    }
    at = Buffer.prototype.indexOf.call(bytes, escape, next)
  }
  if (pieces.length === 0) return bytes
  pieces.push(bytes.subarray(copied))
  return Buffer.concat(pieces)
}

function isLetter(digit: number | undefined): boolean {
  return digit === 53 || digit === 54 || digit === 55
}

function backslashesBefore(bytes: Uint8Array, at: number): number {
  let before = at
  while (bytes[before - 1] === backslash) before -= 1
  return at - before
}

/** Offset of the quote that opens the string which `at` lies in; -1 = too far for a name. */
function stringStart(bytes: Uint8Array, at: number): number {
  const least = Math.max(0, at - nameBytesMax)
  for (let index = at - 1; index >= least; index--)
    if (bytes[index] === quote && backslashesBefore(bytes, index) % 2 === 0) return index
  return -1
}

/** Offset behind the string that `at` lies in. */
function stringEnd(bytes: Uint8Array, at: number): number {
  for (let end = bytes.indexOf(quote, at); end >= 0; end = bytes.indexOf(quote, end + 1))
    if (backslashesBefore(bytes, end) % 2 === 0) return end + 1
  return bytes.length
}

/** The string as JSON writes it by itself; null where it is no string. */
function plainly(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  try {
    const text: unknown = JSON.parse(Buffer.prototype.utf8Slice.call(bytes, start, end) as string)
    return Buffer.from(JSON.stringify(text))
  } catch {
    return null
  }
}
