// A strict header block (RFC 9112 section 5), shared by both sides of the wire. The text stays as received, so that what
// nobody asked to change goes out with the very same bytes; fields are marks into it, and strings are made only of what
// is asked for. Bytes above 0x7f are one character each (latin1), and are written back the same way. Refused: obs-fold,
// bare CR or LF, control bytes, a space before the colon, names that are no tokens. One regular expression checks the
// whole block: its character classes do not overlap, so it cannot backtrack.

import type { KnownBytes } from '../../base/known-bytes.ts'
import { fieldId, fieldIdAt, foldHash, knownFieldId } from './field-names.ts'

const block = /(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/y

const connectionId = fieldId('connection')
const contentLengthId = fieldId('content-length')

/** Numbers per field in `marks`: where its line starts, where its colon is, where its line ends. */
const step = 3

/** One message's header fields, in the order received. Immutable. */
export class HeaderBlock {
  #known: KnownBytes | null = null

  private constructor(
    private readonly text: string,
    private readonly marks: readonly number[],
    /** Numbers of the fields' names (field-names.ts), in order. */
    private readonly ids: readonly number[],
  ) {}

  /** The head it stands in where that came before, with what was found out about it; null = it did not. */
  get known(): KnownBytes | null {
    return this.#known
  }

  static readonly empty = new HeaderBlock('', [], [])

  /**
   * Reads the lines of `text` from `start` on, each ended by CRLF, as latin1 text, without the empty line at its end.
   * Returns null where any line is malformed; the caller knows which side to blame.
   */
  static parse(text: string, start = 0, known: KnownBytes | null = null): HeaderBlock | null {
    block.lastIndex = start
    if (!block.test(text)) return null
    const headers = HeaderBlock.#scan(text, start)
    headers.#known = known
    return headers
  }

  /** Builds a block from pairs, for kinds of client that give parsed headers (`fetch`). */
  static fromPairs(pairs: Iterable<readonly [string, string]>): HeaderBlock {
    let text = ''
    for (const [name, value] of pairs) text += `${name}: ${value}\r\n`
    return HeaderBlock.#scan(text, 0)
  }

  static #scan(text: string, start: number): HeaderBlock {
    const marks: number[] = []
    const ids: number[] = []
    let at = start
    while (at < text.length) {
      const lineStart = at
      let hash = 0
      let code = text.charCodeAt(at)
      while (code !== 0x3a) {
        hash = foldHash(hash, code)
        code = text.charCodeAt(++at)
      }
      const lineEnd = text.indexOf('\r\n', at)
      ids.push(fieldIdAt(text, lineStart, at, hash))
      marks.push(lineStart, at, lineEnd)
      at = lineEnd + 2
    }
    return new HeaderBlock(text, marks, ids)
  }

  /** How many fields there are. */
  get size(): number {
    return this.ids.length
  }

  /** Number of the name of the field at `index`; 0 = nobody registered it. */
  id(index: number): number {
    return this.ids[index]!
  }

  /** Name of the field at `index`, lower-cased. */
  name(index: number): string {
    return this.text.slice(this.marks[index * step], this.marks[index * step + 1]).toLowerCase()
  }

  /** Whether the name of the field at `index` begins so; `prefix` is lower-case. */
  nameStartsWith(index: number, prefix: string): boolean {
    const { text } = this
    const start = this.marks[index * step]!
    for (let at = 0; at < prefix.length; at++) {
      const code = text.charCodeAt(start + at)
      if ((code >= 65 && code <= 90 ? code + 32 : code) !== prefix.charCodeAt(at)) return false
    }
    return true
  }

  /** Value of the field at `index`, without surrounding white space. */
  value(index: number): string {
    const { text, marks } = this
    let start = marks[index * step + 1]! + 1
    let end = marks[index * step + 2]!
    // Space and tab only (RFC 9110 section 5.5); `trim()` would also take U+00A0.
    while (start < end && isBlank(text.charCodeAt(start))) start++
    while (end > start && isBlank(text.charCodeAt(end - 1))) end--
    return text.slice(start, end)
  }

  /** Line of the field at `index` as received, without CRLF. */
  line(index: number): string {
    return this.text.slice(this.marks[index * step], this.marks[index * step + 2])
  }

  /** Index of the first field of this name (lower-case), or -1. */
  find(name: string): number {
    return this.findId(knownFieldId(name), name)
  }

  /** As `find`, for a name whose number is known. */
  findId(id: number, name = ''): number {
    const { ids } = this
    for (let index = 0; index < ids.length; index++) {
      if (ids[index] === id && (id !== 0 || this.name(index) === name)) return index
    }
    return -1
  }

  /** The first value of a field, or null. `name` is lower-case. */
  get(name: string): string | null {
    const index = this.find(name)
    return index < 0 ? null : this.value(index)
  }

  /** How many lines carry this field: two where one is meant is how requests are smuggled. `name` is lower-case. */
  count(name: string): number {
    const id = knownFieldId(name)
    let found = 0
    for (let index = 0; index < this.ids.length; index++) {
      if (this.ids[index] === id && (id !== 0 || this.name(index) === name)) found++
    }
    return found
  }

  /** What `Connection` names: options of this hop, and header fields that must not go further. Lower-case. */
  connection(): readonly string[] {
    const index = this.findId(connectionId)
    if (index < 0) return noTokens
    // What nearly every peer sends.
    return this.value(index) === 'keep-alive' && this.count('connection') === 1
      ? keepAlive
      : this.tokens('connection')
  }

  /** Fields that `Connection` says must not go further (RFC 9110 section 7.6.1). Lower-case. */
  nominated(): readonly string[] {
    const tokens = this.connection()
    return tokens === noTokens || tokens === keepAlive ? noTokens : tokens
  }

  /** All members of a comma-separated field, lower-cased, over all its lines. `name` is lower-case. */
  tokens(name: string): string[] {
    const found: string[] = []
    for (let index = this.find(name); index >= 0 && index < this.size; index++) {
      if (this.name(index) !== name) continue
      for (const part of this.value(index).split(',')) {
        const token = part.trim().toLowerCase()
        if (token !== '') found.push(token)
      }
    }
    return found
  }

  /** The lines that `drops` leaves, as received, each ended by CRLF. Neighbours are cut out of the text in one piece. */
  without(drops: (index: number, headers: HeaderBlock) => boolean): string {
    const { text, marks } = this
    let kept = ''
    let from = -1
    for (let index = 0; index < this.ids.length; index++) {
      const start = marks[index * step]!
      if (!drops(index, this)) {
        if (from < 0) from = start
      } else if (from >= 0) {
        kept += text.slice(from, start)
        from = -1
      }
    }
    return from < 0 ? kept : kept + text.slice(from)
  }
}

const noTokens: readonly string[] = []
const keepAlive: readonly string[] = ['keep-alive']

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/**
 * Content-Length of a block: -1 where absent, null where malformed or given twice. Digits only: `+5`, `5,5` and `0x5`
 * are read differently by different parsers, and that difference is request smuggling.
 */
export function contentLength(headers: HeaderBlock): number | null {
  const index = headers.findId(contentLengthId)
  if (index < 0) return -1
  const value = headers.value(index)
  if (value.length === 0 || value.length > 15 || headers.count('content-length') > 1) return null
  let length = 0
  for (let at = 0; at < value.length; at++) {
    const digit = value.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return null
    length = length * 10 + digit
  }
  return length
}
