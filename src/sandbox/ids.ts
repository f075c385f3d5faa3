// Identifiers that look like OpenAI's and are the same in every run: a small seeded generator (mulberry32), restarted by `reset()`.
// Also the source of a rule's probability, so that a test with a seed strikes the same calls every time.

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** FNV-1a of a text, 32 bits, unsigned: what turns a prompt into a choice. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i)
    hash = Math.imul(hash, 0x01000193)
  }
  return hash >>> 0
}

/** A seeded sequence of numbers from 0 (included) to 1 (not included). */
export class Sequence {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor(this.next() * below)
  }

  /** `length` base62 characters. */
  text(length: number): string {
    let text = ''
    for (let i = 0; i < length; i++) text += alphabet[this.below(62)]
    return text
  }

  /** `length` lower-case hex digits. */
  hex(length: number): string {
    let text = ''
    for (let i = 0; i < length; i++) text += alphabet[this.below(16)]
    return text
  }

  /** An identifier as OpenAI writes them: `resp_` and the like with 48 hex digits, `chatcmpl-` with 29 base62, others 24 base62. */
  id(prefix: string): string {
    if (/^(?:resp|msg|rs|fc|conv|batch|vs|vsfb|upload|part|cntr|eval|evalrun)_$/.test(prefix))
      return prefix + this.hex(48)
    if (prefix === 'chatcmpl-') return prefix + this.text(29)
    if (prefix === 'req_') return prefix + this.hex(32)
    return prefix + this.text(24)
  }
}
