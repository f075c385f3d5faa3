// Reads SQLite from another thread. A sum over a year takes a tenth of a second or more, and SQLite takes it at once: on the
// thread that serves, every request would wait. So those who only read get a Kysely of their own, whose queries run
// beside. The thread is started by the first query and ends after a quiet minute.

import {
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
} from 'kysely'
import type { Database } from './database.ts'

const quietMs = 60_000
const waitingMax = 64

// Text and not a file, so that the single executable has it too.
const program = `
import { Database } from 'bun:sqlite'
let db = null
self.onmessage = ({ data: { id, file, sql, parameters } }) => {
  try {
    if (db === null) {
      db = new Database(file, { readonly: true })
      db.run('PRAGMA busy_timeout = 2000')
    }
    postMessage({ id, rows: db.query(sql).all(...parameters) })
  } catch (cause) {
    postMessage({ id, message: String(cause?.message ?? cause), code: String(cause?.code ?? 'SQLITE_ERROR') })
  }
}`

/** Queries that only read, beside the thread that asks. `file`: a database that exists. */
export function readBeside(file: string): Kysely<Database> {
  return new Kysely<Database>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new ReaderDriver(file),
      createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
}

/** What the database refused, with its code. */
class ReadFailure extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message)
  }
}

interface Answer {
  readonly id: number
  readonly rows?: Record<string, unknown>[]
  readonly message?: string
  readonly code?: string
}

class ReaderDriver implements Driver {
  #worker: Worker | null = null
  #timer: ReturnType<typeof setTimeout> | null = null
  #last = 0
  readonly #waiting = new Map<number, (answer: Answer) => void>()

  constructor(private readonly file: string) {}

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return {
      executeQuery: <Row>(query: CompiledQuery) => this.#ask(query) as Promise<QueryResult<Row>>,
      streamQuery: () => {
        throw new Error('a reader has no streams')
      },
    }
  }

  async beginTransaction(): Promise<void> {
    throw new Error('a reader has no transactions')
  }

  async commitTransaction(): Promise<void> {}

  async rollbackTransaction(): Promise<void> {}

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#fail('the reader was closed')
  }

  async #ask({ sql, parameters }: CompiledQuery): Promise<QueryResult<unknown>> {
    if (this.#waiting.size >= waitingMax) throw new ReadFailure('too many reports at once', 'SQLITE_BUSY')
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#worker ??= this.#open()
    const id = ++this.#last
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve))
    this.#worker.postMessage({ id, file: this.file, sql, parameters })
    const { rows, message, code } = await answered
    this.#rest()
    if (rows === undefined) throw new ReadFailure(message ?? 'the reader failed', code ?? 'SQLITE_ERROR')
    return { rows }
  }

  #open(): Worker {
    const worker = new Worker(URL.createObjectURL(new Blob([program], { type: 'text/javascript' })))
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
      this.#waiting.get(data.id)?.(data)
      this.#waiting.delete(data.id)
    })
    worker.addEventListener('error', (event) => {
      event.preventDefault()
      this.#fail('the reader failed')
    })
    worker.unref()
    return worker
  }

  #rest(): void {
    if (this.#waiting.size > 0) return
    this.#timer = setTimeout(() => this.#fail('the reader was closed'), quietMs)
    this.#timer.unref()
  }

  /** Ends the thread, and tells whoever waits for it. */
  #fail(message: string): void {
    this.#worker?.terminate()
    this.#worker = null
    for (const [id, resolve] of this.#waiting) resolve({ id, message, code: 'SQLITE_ABORT' })
    this.#waiting.clear()
  }
}
