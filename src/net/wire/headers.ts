// A strict header block (RFC 9112 section 5), shared by both sides of the wire. Lines are kept as received, so that what
// nobody asked to change goes out with the very same bytes; names are also kept lower-cased for look-ups. Bytes above
// 0x7f are one character each (latin1), and are written back the same way. Refused: obs-fold, bare CR or LF, control
// bytes, a space before the colon, names that are no tokens. One regular expression checks the whole block: its
// character classes do not overlap, so it cannot backtrack, and it is several times faster than a check by line.

const block = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/

/** One message's header fields, in the order received. Immutable. */
export class HeaderBlock {
  private constructor(
    /** Field names, lower-cased. */
    readonly names: readonly string[],
    /** Field lines as received, without CRLF; same index as `names`. */
    readonly lines: readonly string[],
  ) {}

  static readonly empty = new HeaderBlock([], [])

  /**
   * Reads a block: lines each ended by CRLF, as latin1 text, without the empty line at its end.
   * Returns null where any line is malformed; the caller knows which side to blame.
   */
  static parse(text: string): HeaderBlock | null {
    if (!block.test(text)) return null
    const names: string[] = []
    const lines: string[] = []
    let start = 0
    while (start < text.length) {
      const end = text.indexOf('\r\n', start)
      names.push(text.slice(start, text.indexOf(':', start)).toLowerCase())
      lines.push(text.slice(start, end))
      start = end + 2
    }
    return new HeaderBlock(names, lines)
  }

  /** Builds a block from pairs, for kinds of client that give parsed headers (`fetch`). */
  static fromPairs(pairs: Iterable<readonly [string, string]>): HeaderBlock {
    const names: string[] = []
    const lines: string[] = []
    for (const [name, value] of pairs) {
      names.push(name.toLowerCase())
      lines.push(`${name}: ${value}`)
    }
    return new HeaderBlock(names, lines)
  }

  /** Field values without surrounding white space; same index as `names`. Made at each call: most are never read. */
  get values(): readonly string[] {
    return this.names.map((_, index) => this.value(index))
  }

  /** The value of the field at `index`, without surrounding white space. */
  value(index: number): string {
    return trimBlanks(this.lines[index]!, this.names[index]!.length + 1)
  }

  /** The first value of a field, or null. `name` is lower-case. */
  get(name: string): string | null {
    const index = this.names.indexOf(name)
    return index < 0 ? null : this.value(index)
  }

  /** How many lines carry this field: two where one is meant is how requests are smuggled. `name` is lower-case. */
  count(name: string): number {
    let found = 0
    for (const each of this.names) if (each === name) found++
    return found
  }

  /** What `Connection` names: options of this hop, and header fields that must not go further. */
  connection(): readonly string[] {
    const value = this.get('connection')
    if (value === null) return noTokens
    // What nearly every peer sends.
    return value === 'keep-alive' ? keepAlive : this.tokens('connection')
  }

  /** All members of a comma-separated field, lower-cased, over all its lines. `name` is lower-case. */
  tokens(name: string): string[] {
    const found: string[] = []
    for (let index = 0; index < this.names.length; index++) {
      if (this.names[index] !== name) continue
      for (const part of this.value(index).split(',')) {
        const token = part.trim().toLowerCase()
        if (token !== '') found.push(token)
      }
    }
    return found
  }
}

const noTokens: readonly string[] = []
const keepAlive: readonly string[] = ['keep-alive']

/** White space around a value is space and tab only (RFC 9110 section 5.5); `trim()` would also take U+00A0. */
function trimBlanks(line: string, from: number): string {
  let start = from
  let end = line.length
  while (start < end && isBlank(line.charCodeAt(start))) start++
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--
  return line.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/**
 * Content-Length of a block: -1 where absent, null where malformed or given twice. Digits only: `+5`, `5,5` and `0x5`
 * are read differently by different parsers, and that difference is request smuggling.
 */
export function contentLength(headers: HeaderBlock): number | null {
  const value = headers.get('content-length')
  if (value === null) return -1
  if (headers.count('content-length') > 1 || !/^[0-9]{1,15}$/.test(value)) return null
  return Number(value)
}
