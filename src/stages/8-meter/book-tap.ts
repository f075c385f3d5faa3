// Sees to it that the final row is kept before the answer's last byte goes out. Usage that is final comes before the end of
// a stream, so the row is written as it passes; an answer that announced its length gives its last chunk only when its
// row is kept, and a stream whose cost has to be estimated gives its `[DONE]` only then.

import type { Attempt, Exchange, Reply, Tap } from '../../exchange.ts'
import type { Book } from './book.ts'

const doneMark = Buffer.from('[DONE]')
const nothing = new Uint8Array(0)

export class BookTap implements Tap {
  readonly #stream: boolean
  /** Bytes of a known length still to come; -1 = not known. */
  #left: number
  #held: Uint8Array[] = []

  constructor(
    private readonly x: Exchange,
    private readonly first: Attempt,
    private readonly about: { readonly book: Book; readonly reply: Reply; readonly stream: boolean },
  ) {
    this.#stream = about.stream
    this.#left = this.#stream ? -1 : (about.reply.body?.length ?? -1)
  }

  /** Whose bytes these are: another upstream may go on where one broke off. */
  get attempt(): Attempt {
    const newest = this.x.tried.at(-1)
    return newest?.continued === true ? newest : this.first
  }

  chunk(bytes: Uint8Array): Uint8Array {
    const { x, attempt } = this
    if (attempt.state === 'open' && this.#stream && attempt.usageFinal) this.#close()
    if (this.#left >= 0) {
      this.#left -= bytes.length
      if (this.#left <= 0) return this.#hold(bytes)
    }
    if (this.#held.length > 0 || x.durable !== null) return this.#hold(bytes)
    if (this.#stream && attempt.state === 'open' && Buffer.prototype.indexOf.call(bytes, doneMark) >= 0)
      return this.#hold(bytes)
    return bytes
  }

  end(): Uint8Array | null {
    this.#close()
    const held = this.#held
    this.#held = []
    return held.length === 0 ? null : held.length === 1 ? held[0]! : Buffer.concat(held)
  }

  #close(): void {
    const kept = this.about.book.close(this.x, this.attempt, { complete: true, last: true })
    if (kept !== null) this.x.durable = kept
  }

  #hold(bytes: Uint8Array): Uint8Array {
    this.#held.push(bytes)
    return nothing
  }
}
