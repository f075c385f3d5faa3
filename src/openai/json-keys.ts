// Finds members of a JSON text by name, in the text itself. JSON.parse silently keeps the last of two equal names, other
// parsers the first, and some take `Model` for `model`: a gate that checks one value while the upstream acts on another
// checks nothing. So every occurrence is shown, and names are compared as the most lenient reader would.

const decoder = new TextDecoder()

/** One member whose name was looked for. */
export interface FoundMember {
  /** Its name as written, escapes resolved. */
  readonly name: string
  /** 1 = of the outermost object. */
  readonly depth: number
  /** Its value where that is a text (one), a flat list of texts (all) or null (none); null where it is anything else. */
  readonly texts: readonly string[] | null
}

/** What to look for, and where not to look. */
export interface MemberSearch {
  /** Names as `lenientName` gives them. */
  readonly names: ReadonlySet<string>
  /** Members whose object is free for the client's own names; compared exactly. */
  readonly skipped: ReadonlySet<string>
}

/** Shows `visit` every such member, at any depth, repeated ones too. The text must be valid JSON. Linear, no recursion. */
export function visitMembers(
  json: Uint8Array,
  search: MemberSearch,
  visit: (member: FoundMember) => void,
): void {
  const text = decoder.decode(json)
  let depth = 0
  let skippedDepth = Infinity
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x7b || code === 0x5b) depth++
    else if (code === 0x7d || code === 0x5d) {
      if (--depth < skippedDepth) skippedDepth = Infinity
    } else if (code === 0x22) {
      const end = stringEnd(text, at)
      const value = depth < skippedDepth ? valueStart(text, end + 1) : -1
      if (value >= 0) {
        const name = textAt(text, at, end)
        if (search.skipped.has(name) && text[value] === '{') skippedDepth = depth + 1
        else if (search.names.has(lenientName(name))) visit({ name, depth, texts: textsAt(text, value) })
      }
      at = end
    }
  }
}

/** A member's name as the most lenient of parsers compares it: without case, and without what is not visible ASCII. */
export function lenientName(name: string): string {
  // Both ways, since U+017F has an upper-case S and U+212A a lower-case k.
  return name
    .toUpperCase()
    .toLowerCase()
    .replace(/[^!-~]/g, '')
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
function valueStart(text: string, from: number): number {
  const colon = skipSpace(text, from)
  return text[colon] === ':' ? skipSpace(text, colon + 1) : -1
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (at < text.length && ' \t\r\n'.includes(text[at]!)) at++
  return at
}

function textAt(text: string, start: number, end: number): string {
  return JSON.parse(text.slice(start, end + 1)) as string
}

// A list is read up to its first member that is no text: read further, lists in lists would cost the square of their length.
function textsAt(text: string, start: number): string[] | null {
  if (text.startsWith('null', start)) return []
  const list = text[start] === '['
  const texts: string[] = []
  let at = list ? skipSpace(text, start + 1) : start
  if (list && text[at] === ']') return texts
  while (text[at] === '"') {
    const end = stringEnd(text, at)
    texts.push(textAt(text, at, end))
    if (!list) return texts
    at = skipSpace(text, end + 1)
    if (text[at] === ']') return texts
    at = skipSpace(text, at + 1)
  }
  return null
}
