// Kysely on bun:sqlite. A query runs at once and takes microseconds; waiting for another process's lock must not, since it
// would stop every request of this one. So SQLite itself waits only briefly, and what finds the file locked, a transaction
// or a statement by itself, is begun again from a timer. Transactions begin `immediate`: one that began as a reader could
// not become a writer once another had written.

import { Database as File } from 'bun:sqlite'
import { closeSync, openSync } from 'node:fs'
import {
  CompiledQuery,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Kysely,
  type QueryResult,
  type SqliteDatabase,
  type SqliteStatement,
} from 'kysely'

import { systemClock } from '../base/clock.ts'
import type { ObjectsTable } from './database.ts'

/** How long a query tries while others write, counted from when it was asked: those that queue behind it do not add up. */
const patienceMs = 5_000
const againMs = 10
/** How long SQLite itself may block the process. */
const blockMs = 5

/** Opens or creates the file, readable by this user alone. @throws the system's or SQLite's error */
export function openSqliteFile(file: string): File {
  // SQLite would make it by the umask; its companions (-wal, -shm) take the mode of the file.
  closeSync(openSync(file, 'a', 0o600))
  const db = new File(file)
  // Long while it is opened, when nothing is served yet: several processes may start at once.
  db.run(`PRAGMA busy_timeout = ${patienceMs}`)
  db.run('PRAGMA journal_mode = WAL')
  db.run('PRAGMA synchronous = NORMAL')
  db.run('PRAGMA foreign_keys = ON')
  db.run(`PRAGMA busy_timeout = ${blockMs}`)
  return db
}

/** The dialect for a file opened above; closing Kysely closes the file. */
export function sqliteDialect(file: File): Dialect {
  const database: SqliteDatabase = {
    close: () => file.close(),
    prepare: (sql) => statement(file, sql),
  }
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new PatientDriver(file, database),
    createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

class PatientDriver extends SqliteDriver {
  #patient: PatientConnection | null = null

  constructor(
    private readonly file: File,
    database: SqliteDatabase,
  ) {
    super({ database })
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const untilMs = systemClock.nowMs() + patienceMs
    const connection = await super.acquireConnection()
    this.#patient ??= new PatientConnection(this.file, connection)
    // There is one, and whoever has it has it alone.
    this.#patient.untilMs = untilMs
    return this.#patient
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }
}

class PatientConnection implements DatabaseConnection {
  untilMs = 0

  constructor(
    private readonly file: File,
    private readonly inner: DatabaseConnection,
  ) {}

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    try {
      return this.inner.executeQuery<R>(query)
    } catch (cause) {
      if (!this.#mayWait(cause)) throw cause
      return this.#again<R>(query)
    }
  }

  streamQuery<R>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    return this.inner.streamQuery<R>(query, chunkSize)
  }

  async #again<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, againMs))
      try {
        return await this.inner.executeQuery<R>(query)
      } catch (cause) {
        if (!this.#mayWait(cause)) throw cause
      }
    }
  }

  /** Not amid a transaction: one half of it may stand on what has changed since. */
  #mayWait(cause: unknown): boolean {
    return isBusy(cause) && !this.file.inTransaction && systemClock.nowMs() < this.untilMs
  }
}

/**
 * Adds objects, at once; gives the ids that had no row. Null where it cannot be done now: a transaction is under way on this
 * connection, whose end is not ours to decide, or another process writes.
 */
export function addObjects(file: File, rows: readonly ObjectsTable[]): string[] | null {
  if (file.inTransaction) return null
  const insert = file.query<unknown, Values>(
    'INSERT INTO objects (id, owner, account, seen_at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const added: string[] = []
  try {
    file.run('BEGIN IMMEDIATE')
  } catch (cause) {
    if (isBusy(cause)) return null
    throw cause
  }
  try {
    for (const { id, owner, account, seen_at_ms } of rows)
      if (insert.run(id, owner, account, seen_at_ms).changes > 0) added.push(id)
    file.run('COMMIT')
    return added
  } catch (cause) {
    if (file.inTransaction) file.run('ROLLBACK')
    throw cause
  }
}

/** Whether another process held the lock for too long. */
export function isBusy(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && String(cause.code).startsWith('SQLITE_BUSY')
}

type Values = (string | number | bigint | null)[]

function statement(file: File, sql: string): SqliteStatement {
  const prepared = file.query<unknown, Values>(sql)
  return {
    reader: prepared.columnNames.length > 0,
    all: (parameters) => prepared.all(...(parameters as Values)),
    run: (parameters) => prepared.run(...(parameters as Values)),
    iterate: (parameters) => prepared.iterate(...(parameters as Values)),
  }
}
