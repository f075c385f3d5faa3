// A page of a list, with elements cut out of its bytes: what stays is what the upstream wrote, to the last space. A page that
// cannot be read exactly (no such object, two `data`, not UTF-8) is null, and whoever asked refuses it.

import { skipSpace, stringEnd, valueStart } from './json-strings.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

interface Span {
  readonly start: number
  readonly end: number
}

export class ListPage {
  /** The elements, parsed. */
  readonly items: readonly unknown[]
  /** Whether the upstream has more of them. */
  readonly hasMore: boolean

  private constructor(
    private readonly text: string,
    value: { readonly data?: unknown; readonly has_more?: unknown },
    private readonly spans: { readonly members: ReadonlyMap<string, Span>; readonly items: readonly Span[] },
  ) {
    this.items = value.data as unknown[]
    this.hasMore = value.has_more === true
  }

  /** Reads a page; null where it is none that can be cut. */
  static read(bytes: Uint8Array): ListPage | null {
    let text: string
    let value: { data?: unknown; has_more?: unknown } | null
    try {
      text = decoder.decode(bytes)
      value = JSON.parse(text) as typeof value
    } catch {
      return null
    }
    if (typeof value !== 'object' || value === null || !Array.isArray(value.data)) return null
    const members = membersOf(text)
    const data = members?.get('data')
    if (members === null || data === undefined) return null
    const items = elementsOf(text, data)
    if (items.length !== value.data.length) return null
    return new ListPage(text, value, { members, items })
  }

  /** Whether a text is JSON and holds no elements at all: neither a list nor an object with `data`. */
  static isOther(bytes: Uint8Array): boolean {
    try {
      const value: unknown = JSON.parse(decoder.decode(bytes))
      return !Array.isArray(value) && !(typeof value === 'object' && value !== null && 'data' in value)
    } catch {
      return false
    }
  }

  /** The page with the elements of these places alone, in order, and `first_id` and `last_id` of those. */
  withOnly(places: readonly number[], hasMore = this.hasMore): Uint8Array {
    const { text, spans } = this
    const kept = new Set(places)
    const edits: (Span & { readonly text: string })[] = []
    for (const [index, { start, end }] of spans.items.entries()) {
      if (kept.has(index)) continue
      // With the comma before it, where one that is kept stands before it, else with the one behind it.
      const afterKept = places.length > 0 && places[0]! < index
      const next = spans.items[index + 1]
      if (afterKept) edits.push({ start: spans.items[index - 1]!.end, end, text: '' })
      else edits.push({ start, end: next === undefined ? end : next.start, text: '' })
    }
    const ids = places.map((place) => (this.items[place] as { id?: unknown } | null)?.id ?? null)
    const mend = (name: string, value: unknown): void => {
      const span = spans.members.get(name)
      const json = JSON.stringify(value)
      if (span !== undefined && text.slice(span.start, span.end) !== json) edits.push({ ...span, text: json })
    }
    if (edits.length > 0) {
      mend('first_id', ids[0] ?? null)
      mend('last_id', ids.at(-1) ?? null)
    }
    if (hasMore !== this.hasMore) mend('has_more', hasMore)
    let made = ''
    let at = 0
    for (const edit of edits.toSorted((a, b) => a.start - b.start)) {
      made += text.slice(at, edit.start) + edit.text
      at = edit.end
    }
    return Buffer.from(made + text.slice(at), 'utf8')
  }
}

/** Values of the outermost object's members; null where one stands twice, or it is no object. The text is valid JSON. */
function membersOf(text: string): Map<string, Span> | null {
  const members = new Map<string, Span>()
  let at = skipSpace(text, 0)
  if (text[at] !== '{') return null
  for (;;) {
    at = skipSpace(text, at + 1)
    if (text[at] !== '"') return members
    const end = stringEnd(text, at)
    const name = JSON.parse(text.slice(at, end + 1)) as string
    const start = valueStart(text, end + 1)
    const stop = valueEnd(text, start)
    if (members.has(name)) return null
    members.set(name, { start, end: stop })
    at = skipSpace(text, stop)
  }
}

function elementsOf(text: string, list: Span): Span[] {
  const elements: Span[] = []
  let at = list.start
  for (;;) {
    const start = skipSpace(text, at + 1)
    if (text[start] === ']' || start >= list.end) return elements
    const end = valueEnd(text, start)
    elements.push({ start, end })
    at = skipSpace(text, end)
    if (text[at] !== ',') return elements
  }
}

/** Offset behind the value at `start`. */
function valueEnd(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      at = stringEnd(text, at)
      if (depth === 0) return at + 1
    } else if (code === 0x7b || code === 0x5b) depth++
    else if (code === 0x7d || code === 0x5d) {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (code === 0x2c || code <= 0x20)) return at
  }
  return text.length
}
