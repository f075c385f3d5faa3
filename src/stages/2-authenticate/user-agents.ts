// Which user agents may come in. Good against what names itself (scanners, outdated SDKs), worth nothing against what
// lies: no right is ever given by it. Globs are matched in linear time, since both the header and its length are the
// sender's choice. A missing header counts as ''; of several, each must pass, or a second line would hide the first.

import { fieldId } from '../../net/wire/field-names.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'

/** Lists of globs: `*` stands for any characters, case does not count. */
export interface UserAgentLists {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/** Whether a request with these header fields may come in. */
export type AdmitsUserAgent = (headers: HeaderBlock) => boolean

const userAgent = fieldId('user-agent')
/** Verdicts are kept: an application sends the same text each time. */
const keptMax = 1000
const keptLengthMax = 256

/** Null where the lists say nothing. */
export function createUserAgentRules({ allow, deny }: UserAgentLists): AdmitsUserAgent | null {
  if (allow.length === 0 && deny.length === 0) return null
  const allowed = allow.map((glob) => new Glob(glob))
  const denied = deny.map((glob) => new Glob(glob))
  const kept = new Map<string, boolean>()
  const judge = (text: string): boolean => {
    const lower = text.toLowerCase()
    if (denied.some((glob) => glob.matches(lower))) return false
    return allowed.length === 0 || allowed.some((glob) => glob.matches(lower))
  }
  const admits = (text: string): boolean => {
    if (text.length > keptLengthMax) return judge(text)
    let verdict = kept.get(text)
    if (verdict === undefined) {
      if (kept.size >= keptMax) kept.clear()
      kept.set(text, (verdict = judge(text)))
    }
    return verdict
  }
  return (headers) => {
    let seen = false
    for (let index = 0; index < headers.size; index++) {
      if (headers.id(index) !== userAgent) continue
      seen = true
      if (!admits(headers.value(index))) return false
    }
    return seen || admits('')
  }
}

/** A glob, ready to match. */
export class Glob {
  readonly #first: string
  readonly #last: string | null
  readonly #middle: readonly Literal[]

  constructor(glob: string) {
    const [first, ...rest] = glob.toLowerCase().split('*')
    this.#first = first!
    this.#last = rest.pop() ?? null
    this.#middle = rest.filter((part) => part !== '').map((part) => new Literal(part))
  }

  /** `text`: latin1, in lower case. Linear in its length and the glob's. */
  matches(text: string): boolean {
    if (this.#last === null) return text === this.#first
    const end = text.length - this.#last.length
    let at = this.#first.length
    if (end < at || !text.startsWith(this.#first) || !text.endsWith(this.#last)) return false
    if (this.#middle.length === 0) return true
    const bytes = Buffer.from(text, 'latin1')
    for (const part of this.#middle) {
      at = part.behind(bytes, at)
      if (at < 0 || at > end) return false
    }
    return true
  }
}

/** A text to search for without ever going back (Knuth, Morris, Pratt 1977). */
class Literal {
  readonly #bytes: Uint8Array
  /** Of each beginning: how long its longest border is. */
  readonly #borders: Uint16Array

  constructor(text: string) {
    const bytes = (this.#bytes = Buffer.from(text, 'latin1'))
    const borders = (this.#borders = new Uint16Array(bytes.length))
    for (let at = 1, border = 0; at < bytes.length; at++) {
      while (border > 0 && bytes[at] !== bytes[border]) border = borders[border - 1]!
      if (bytes[at] === bytes[border]) border++
      borders[at] = border
    }
  }

  /** Offset behind the first occurrence from `from` on, or -1. */
  behind(text: Uint8Array, from: number): number {
    const wanted = this.#bytes
    const borders = this.#borders
    for (let at = from, same = 0; at < text.length; at++) {
      const byte = text[at]
      while (same > 0 && byte !== wanted[same]) same = borders[same - 1]!
      if (byte === wanted[same]) same++
      if (same === wanted.length) return at + 1
    }
    return -1
  }
}
