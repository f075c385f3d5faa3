// The ledger of one process: its journal, the way of rows into the database, recovery of what others left, and what goes
// away after its time.

import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Storage } from '../storage/open.ts'
import { entryOf, reservationEntry } from './columns.ts'
import { Ingest } from './ingest.ts'
import { Journal } from './journal.ts'
import { LedgerFailure, type Ledger } from './ledger.ts'
import { PostgresSink } from './postgres-sink.ts'
import { holdRun, recoveredText, recoverRuns, type Recovered, type Run } from './recovery.ts'
import { forget } from './retention.ts'
import type { LedgerRow, Reservation } from './row.ts'
import type { RowSink } from './sink.ts'
import { SqliteSink } from './sqlite-sink.ts'

const segmentBytes = 4 * 1024 * 1024
const waitingBytesMax = 512 * 1024 * 1024
/** How often the journals of other processes are looked after, and old rows. */
const choresMs = 60_000

export interface LedgerOptions {
  /** Data directory. */
  readonly path: string
  /** `process`: a row outlives the process; `power`: the machine too. Asked for at each row. */
  readonly durability: () => 'process' | 'power'
  /** How long rows are kept, in ms. */
  readonly retentionMs: () => number
  readonly clock: Clock
  readonly event: (level: 'info' | 'warn' | 'error', text: string) => void
  readonly segmentBytes?: number
  readonly waitingBytesMax?: number
}

/** An open ledger. */
export interface OpenLedger extends Ledger {
  /** What a crash of another process had left. */
  readonly recovered: Recovered
  /** Everything settled so far is in the database: before it is read. False where it cannot get there now. */
  flush(): Promise<boolean>
  /** Calls whose final row has not come. */
  openCalls(): number
  /** Why what is read of the database is not all; null = it is. */
  behind(): string | null
  close(): Promise<void>
}

/** Where rows go. */
export function sinkOf(storage: Storage, path: string): RowSink {
  return storage.kind === 'sqlite' ? new SqliteSink(join(path, 'headgate.db')) : new PostgresSink(storage.db)
}

/** Folder of the journals. */
export function journalsOf(path: string): string {
  return join(path, 'ledger')
}

/** @throws Error where the database or the folder cannot be used */
export async function openLedger(storage: Storage, options: LedgerOptions): Promise<OpenLedger> {
  const { path, event } = options
  const sink = sinkOf(storage, path)
  let run: Run | null = null
  try {
    const recovered = await recoverRuns(journalsOf(path), sink)
    run = holdRun(journalsOf(path))
    const journal = await Journal.create({
      folder: run.folder,
      segmentBytes: options.segmentBytes ?? segmentBytes,
      waitingBytesMax: options.waitingBytesMax ?? waitingBytesMax,
      tell: event,
    })
    const ledger = new JournalLedger({ storage, options, sink, run, journal, recovered })
    tellRecovered(recovered, event)
    return ledger
  } catch (cause) {
    run?.release(true)
    sink.close()
    throw cause
  }
}

function tellRecovered(recovered: Recovered, event: LedgerOptions['event']): void {
  const text = recoveredText(recovered)
  if (text !== null) event(recovered.damaged.length > 0 ? 'error' : 'warn', text)
}

interface Parts {
  readonly storage: Storage
  readonly options: LedgerOptions
  readonly sink: RowSink
  readonly run: Run
  readonly journal: Journal
  readonly recovered: Recovered
}

class JournalLedger implements OpenLedger {
  readonly recovered: Recovered
  readonly #ingest: Ingest
  readonly #chores: ReturnType<typeof setInterval>
  #syncing: Promise<void> | null = null
  #nextSync: Promise<void> | null = null
  #unsynced: string | null = null
  #chore: Promise<void> = Promise.resolve()

  constructor(private readonly parts: Parts) {
    const { journal, sink, options, recovered } = parts
    this.recovered = recovered
    this.#ingest = new Ingest({ journal, sink, tell: options.event })
    this.#chores = setInterval(() => {
      this.#chore = this.#chore.then(() => this.#doChores())
    }, choresMs)
    this.#chores.unref()
  }

  trouble(): string | null {
    return this.#unsynced ?? this.parts.journal.trouble
  }

  reserve(reservation: Reservation): void {
    if (this.#unsynced !== null) throw new LedgerFailure(this.#unsynced)
    this.parts.journal.reserve(reservationEntry(reservation))
  }

  settle(row: LedgerRow): Promise<void> | null {
    this.parts.journal.settle(entryOf(row))
    this.#ingest.wake()
    return this.parts.options.durability() === 'power' ? this.#sync() : null
  }

  flush(): Promise<boolean> {
    return this.#ingest.flush()
  }

  openCalls(): number {
    return this.parts.journal.openCalls
  }

  behind(): string | null {
    return this.#ingest.isFailing
      ? 'ledger: the database takes no rows; they wait in the journal, and usage is behind'
      : null
  }

  async close(): Promise<void> {
    clearInterval(this.#chores)
    await this.#chore
    const { journal, run } = this.parts
    const done = await this.#ingest.close()
    journal.close()
    run.release(done && journal.openCalls === 0)
  }

  /** One write to the disk serves all that came before it began. */
  #sync(): Promise<void> {
    if (this.#syncing === null) return (this.#syncing = this.#syncNow())
    this.#nextSync ??= this.#syncing.then(() => {
      this.#nextSync = null
      return (this.#syncing = this.#syncNow())
    })
    return this.#nextSync
  }

  /** Never rejects: the answer is paid for and goes out, but no new work begins on a disk that does not keep it. */
  async #syncNow(): Promise<void> {
    const { journal, options } = this.parts
    try {
      await journal.sync()
      if (this.#unsynced !== null) options.event('warn', 'The journal reaches the disk again.')
      this.#unsynced = null
    } catch (cause) {
      if (this.#unsynced === null)
        options.event(
          'error',
          `The journal does not reach the disk: ${String(cause)}. New requests are refused.`,
        )
      this.#unsynced = 'the disk does not keep what is written'
      setTimeout(() => void this.#sync(), 1000).unref()
    } finally {
      this.#syncing = null
    }
  }

  async #doChores(): Promise<void> {
    const { storage, sink, options } = this.parts
    try {
      const recovered = await recoverRuns(journalsOf(options.path), sink)
      tellRecovered(recovered, options.event)
      sink.rest()
      await forget(storage, options.clock.wallMs() - options.retentionMs())
    } catch (cause) {
      options.event('warn', `The ledger could not be looked after: ${String(cause)}`)
    }
  }
}
