// Every string of a JSON text with the name of the member it stands behind, from the text itself: of two members with one
// name JSON.parse keeps the last and other parsers the first, and what only one of them sees must be seen here. Strings in a
// list stand behind the list's name. One pass, no recursion; strings that nobody wants are skipped by a native search.

import { lenientName } from './json-keys.ts'

/** Which strings are wanted. Names are given as `lenientName` makes them. */
export interface StringSearch {
  wants(name: string): boolean
  /** Names, exactly as written, whose objects are not looked into. */
  readonly skipped: ReadonlySet<string>
}

const keptMax = 512
const kept = new Map<string, string>()

/** `lenientName`, of which the common ones are kept. */
export function lenient(name: string): string {
  const known = kept.get(name)
  if (known !== undefined) return known
  const made = lenientName(name)
  if (kept.size < keptMax && name.length < 64) kept.set(name, made)
  return made
}

/** Shows `visit` every wanted string. The text must be valid JSON. */
export function visitStrings(
  text: string,
  search: StringSearch,
  visit: (name: string, value: string) => void,
): void {
  const names: string[] = []
  let name = ''
  let skippedDepth = Infinity
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x7b || code === 0x5b) {
      names.push(name)
      if (code === 0x7b) name = ''
    } else if (code === 0x7d || code === 0x5d) {
      name = names.pop() ?? ''
      if (names.length < skippedDepth) skippedDepth = Infinity
    } else if (code === 0x22) {
      const end = stringEnd(text, at)
      if (names.length < skippedDepth) {
        const value = valueStart(text, end + 1)
        if (value >= 0) {
          const written = stringAt(text, at, end)
          name = lenient(written)
          if (text.charCodeAt(value) === 0x7b && search.skipped.has(written)) skippedDepth = names.length + 1
        } else if (search.wants(name)) visit(name, stringAt(text, at, end))
      }
      at = end
    }
  }
}

/** Offset of the quote that ends the string begun at `start`. */
export function stringEnd(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let before = at
    while (text.charCodeAt(before - 1) === 0x5c) before--
    if ((at - before) % 2 === 0) return at
  }
  return text.length
}

/** Offset of the value behind a name that ends before `from`; -1 where it is no name. */
export function valueStart(text: string, from: number): number {
  const colon = skipSpace(text, from)
  return text.charCodeAt(colon) === 0x3a ? skipSpace(text, colon + 1) : -1
}

/** Offset of what follows the white space at `from`. */
export function skipSpace(text: string, from: number): number {
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at
    at++
  }
}

function stringAt(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end)
  return inner.includes('\\') ? (JSON.parse(`"${inner}"`) as string) : inner
}
