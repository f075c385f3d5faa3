// Carries rows from the journal into the database, in small batches beside the requests. A database that is away costs
// nobody anything for a while: rows wait in the journal, and what has waited is tried again until it is in.

import type { Journal } from './journal.ts'
import type { RowSink } from './sink.ts'

/** Rows of a batch: a millisecond of the process with SQLite at most. */
const batchRows = 256
/** A row waits this long for others to come along. */
const gatherMs = 25
const busyMs = 10
const againMs = 500

export interface IngestOptions {
  readonly journal: Journal
  readonly sink: RowSink
  readonly tell: (level: 'warn' | 'error', text: string) => void
}

export class Ingest {
  #timer: ReturnType<typeof setTimeout> | null = null
  #running: Promise<number> | null = null
  #failing = false
  #closed = false

  constructor(private readonly options: IngestOptions) {}

  /** The database takes no rows. */
  get isFailing(): boolean {
    return this.#failing
  }

  /** There is a row. */
  wake(): void {
    if (this.#timer === null && this.#running === null) this.#later(gatherMs)
  }

  /** Resolves when everything that was settled before is in the database, or cannot get there now. */
  async flush(): Promise<boolean> {
    while (!this.#closed) {
      // One that was under way may have begun too early.
      await this.#running
      if ((await this.#run()) === 0) return true
      if (this.#failing) return false
    }
    return false
  }

  /** One last try; what stays is read at the next start. */
  async close(): Promise<boolean> {
    const done = await this.flush()
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#running
    this.options.sink.close()
    return done
  }

  #later(ms: number): void {
    if (this.#closed || this.#timer !== null) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      void this.#run().then((left) => {
        if (left > 0) this.#later(this.#failing ? againMs : left === batchRows ? 0 : busyMs)
      })
    }, ms)
    this.#timer.unref()
  }

  /** One batch at a time: two at once would take the same rows. */
  #run(): Promise<number> {
    if (this.#running !== null) return this.#running
    const running = this.#step()
    this.#running = running
    return running.finally(() => (this.#running = null))
  }

  /** Writes one batch. Gives how many rows it had, 0 = there was none. Never rejects. */
  async #step(): Promise<number> {
    const { journal, sink, tell } = this.options
    const { rows, end } = journal.read(batchRows)
    if (rows.length === 0) {
      journal.advance(end)
      return 0
    }
    try {
      const written = sink.write(rows)
      if (written !== undefined) await written
      journal.advance(end)
      if (this.#failing) tell('warn', 'The database takes rows of the ledger again.')
      this.#failing = false
    } catch (cause) {
      if (!sink.isBusy(cause)) {
        if (!this.#failing)
          tell(
            'error',
            `The database takes no rows of the ledger: ${String(cause)}. They wait in the journal.`,
          )
        this.#failing = true
      } else await Bun.sleep(busyMs)
    }
    return rows.length
  }
}
