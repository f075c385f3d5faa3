// Sees to it that the final row is kept before the answer's last byte goes out. Usage that is final comes before the end of
// a stream, so the row is written as it passes; an answer that announced its length gives its last chunk only when its
// row is kept, and a stream whose cost has to be estimated, or is another's, gives its last event only then.

import type { Attempt, Exchange, Reply, Tap } from '../../exchange.ts'
import type { Book } from './book.ts'

const doneMark = Buffer.from('[DONE]')
const responsesMark = Buffer.from('event: response.')
const lastResponses = ['completed', 'incomplete', 'failed'].map((name) => Buffer.from(`${name}\n`))
const lineFeed = 10
const nothing = new Uint8Array(0)

/** The row of an answer that passes. */
interface PassingRow {
  /** It is not kept yet. */
  readonly open: boolean
  /** All is known that it will say. */
  readonly final: boolean
  /** Keeps it, once. A promise where something has to be waited for. */
  keep(): Promise<void> | null
}

/** That of a call of an upstream. */
export class CallRow implements PassingRow {
  constructor(
    private readonly x: Exchange,
    private readonly first: Attempt,
    private readonly book: Book,
  ) {}

  get open(): boolean {
    return this.#attempt.state === 'open'
  }

  get final(): boolean {
    return this.#attempt.usageFinal
  }

  keep(): Promise<void> | null {
    return this.book.close(this.x, this.#attempt, { complete: true, last: true })
  }

  /** Whose bytes these are: another upstream may go on where one broke off. */
  get #attempt(): Attempt {
    const newest = this.x.tried.at(-1)
    return newest?.continued === true ? newest : this.first
  }
}

/** That of an answer which another exchange fetches at the moment: its worth is known when the other's row is kept. */
export class SharedRow implements PassingRow {
  constructor(
    private readonly x: Exchange,
    private readonly reply: Reply,
    private readonly book: Book,
  ) {}

  get open(): boolean {
    return this.x.ownRow === 'due'
  }

  get final(): boolean {
    return (this.x.cached?.costNanoUsd ?? null) !== null
  }

  keep(): Promise<void> | null {
    return this.book.given(this.x, this.reply.status)
  }
}

export class BookTap implements Tap {
  /** Bytes of a known length still to come; -1 = not known. */
  #left: number
  #held: Uint8Array[] = []

  constructor(
    private readonly x: Exchange,
    private readonly row: PassingRow,
    private readonly about: { readonly reply: Reply; readonly stream: boolean },
  ) {
    this.#left = about.stream ? -1 : (about.reply.body?.length ?? -1)
  }

  chunk(bytes: Uint8Array): Uint8Array {
    const { x, row } = this
    const { stream } = this.about
    if (stream && row.open && row.final) this.#keep()
    if (this.#left >= 0) {
      this.#left -= bytes.length
      if (this.#left <= 0) return this.#hold(bytes)
    }
    if (this.#held.length > 0 || x.durable !== null) return this.#hold(bytes)
    if (stream && row.open && this.#endsIn(bytes)) return this.#hold(bytes)
    return bytes
  }

  end(): Uint8Array | null {
    this.#keep()
    const held = this.#held
    this.#held = []
    return held.length === 0 ? null : held.length === 1 ? held[0]! : Buffer.concat(held)
  }

  /** Whether whole frames hold the one by which clients know that the answer is complete. */
  #endsIn(bytes: Uint8Array): boolean {
    const { indexOf } = Buffer.prototype
    if (this.x.endpoint?.operation !== 'responses') return indexOf.call(bytes, doneMark) >= 0
    for (let at = indexOf.call(bytes, responsesMark); at >= 0; at = indexOf.call(bytes, responsesMark, at)) {
      const isLine = at === 0 || bytes[at - 1] === lineFeed
      at += responsesMark.length
      if (isLine && lastResponses.some((name) => name.equals(bytes.subarray(at, at + name.length))))
        return true
    }
    return false
  }

  #keep(): void {
    const kept = this.row.keep()
    if (kept !== null) this.x.durable = kept
  }

  #hold(bytes: Uint8Array): Uint8Array {
    this.#held.push(bytes)
    return nothing
  }
}
