// The sandbox's own accounting: an oracle. Billing tests compare their ledger with it, so it records what was really sent, and
// what a provider would have charged, whether or not the client was told.

import type { Clock } from '../base/clock.ts'

/** Tokens of one request, OpenAI's classes. */
export interface BookUsage {
  readonly input: number
  readonly cachedInput: number
  readonly output: number
  /** Part of `output`. */
  readonly reasoning: number
}

/** Names and numbers of what is charged apart. */
export type BookUnits = Readonly<Record<string, number>>

/** How a request ended, seen from the sandbox. `aborted`: the client left first; `closed`: the sandbox was stopped. */
export type BookEnding = 'open' | 'complete' | 'cut' | 'reset' | 'aborted' | 'closed'

/** One served request. */
export interface BookEntry {
  readonly id: number
  readonly method: string
  readonly path: string
  readonly status: number
  /** As asked; null where the request named none. */
  readonly model: string | null
  /** As answered: the dated snapshot. */
  readonly servedModel: string | null
  readonly stream: boolean
  /** Usage of the whole answer, had it been finished; null where the endpoint counts none or the request was refused. */
  readonly usage: BookUsage | null
  /** What is charged by something else than tokens, such as `{ webSearches: 1 }`; null where nothing is. */
  readonly units: BookUnits | null
  /** Whether the bytes that carry usage went out. */
  readonly usageSent: boolean
  /** SSE frames written; for other bodies 0. */
  readonly framesSent: number
  /** Tokens of output text in the frames written. */
  readonly outputSent: number
  readonly ended: BookEnding
  /** Wall time in milliseconds. */
  readonly startedAtMs: number
  /** Null while open. */
  readonly endedAtMs: number | null
  /** Monotonic milliseconds from the complete request to the end; null while open. */
  readonly durationMs: number | null
}

/** The same row while it is being written. */
export type OpenEntry = { -readonly [Field in keyof BookEntry]: BookEntry[Field] }

/** The rows, a bounded number of them. */
export class Books {
  readonly #rows: OpenEntry[] = []
  #count = 0

  constructor(
    readonly rowsMax: number,
    readonly clock: Clock,
  ) {}

  /** A new row, open; the oldest is dropped where there are too many. */
  open(method: string, path: string): OpenEntry {
    const row: OpenEntry = {
      id: ++this.#count,
      method,
      path,
      status: 0,
      model: null,
      servedModel: null,
      stream: false,
      usage: null,
      units: null,
      usageSent: false,
      framesSent: 0,
      outputSent: 0,
      ended: 'open',
      startedAtMs: this.clock.wallMs(),
      endedAtMs: null,
      durationMs: null,
    }
    this.#rows.push(row)
    if (this.#rows.length > this.rowsMax) this.#rows.shift()
    return row
  }

  /** The rows as they stand, copied. */
  rows(): BookEntry[] {
    return this.#rows.map((row) => ({ ...row }))
  }
}
