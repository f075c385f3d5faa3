// A secret that cannot be printed: every way JavaScript turns a value into text gives a fingerprint instead.
// The text lives in a private field, so spreading, JSON, inspection and string joins never reach it; only
// `reveal()` does, and only the code that writes a credential onto its own wire calls that.

import { createHash } from 'node:crypto'

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** A value that must never reach a log, an error, a metric or a dump. Equal text gives equal fingerprints. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself: for the one place that sends or hashes it, never for a message. */
  reveal(): string {
    return this.#text
  }

  /** First 8 hex digits of SHA-256: enough to tell two secrets apart, useless to anyone else. */
  get fingerprint(): string {
    return createHash('sha256').update(this.#text).digest('hex').slice(0, 8)
  }

  toString(): string {
    return `[secret ${this.fingerprint}]`
  }

  toJSON(): string {
    return this.toString()
  }

  [Symbol.toPrimitive](): string {
    return this.toString()
  }

  [inspect](): string {
    return this.toString()
  }
}
