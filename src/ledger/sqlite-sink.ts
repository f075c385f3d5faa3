// Rows into SQLite, on a connection of its own: what others of this process do between two of their queries is none of
// its business. A batch takes some 7 µs a row, so the process is kept for half a millisecond at most. Writing the
// log back into the database waits for the disk, so it is a worker's task, which is started when there is enough of it.

import type { Database as File, Statement } from 'bun:sqlite'
import { statSync } from 'node:fs'
import { isBusy, openSqliteFile } from '../storage/sqlite.ts'
import { rollupGroups, rollupSums } from '../storage/ledger-tables.ts'
import { Checkpointer } from './checkpointer.ts'
import { at, columns, type Values } from './columns.ts'
import { sumByDay, sumByHour, type Sum } from './rollup.ts'
import { addSums, type RowSink } from './sink.ts'

/** From this size of the log on it is written back. */
const logBytesMax = 8 * 1024 * 1024
const looksEvery = 64

export class SqliteSink implements RowSink {
  readonly #db: File
  readonly #insert: Statement
  readonly #known: Statement
  readonly #hours: Statement
  readonly #days: Statement
  readonly #checkpointer: Checkpointer
  #batches = 0

  /** @throws SQLite's error */
  constructor(private readonly file: string) {
    this.#db = openSqliteFile(file)
    this.#db.run('PRAGMA wal_autocheckpoint = 0')
    const values = `values (${columns.map(() => '?').join(', ')})`
    this.#insert = this.#db.prepare(`insert into ledger (${columns.join(', ')}) ${values}`)
    this.#known = this.#db.prepare('select 1 from ledger where id = ?')
    const sums = `values (${['at_ms', ...rollupGroups, ...rollupSums].map(() => '?').join(', ')})`
    this.#hours = this.#db.prepare(addSums('ledger_hours', sums))
    this.#days = this.#db.prepare(addSums('ledger_days', sums))
    this.#checkpointer = new Checkpointer(file)
  }

  write(rows: readonly Values[]): void {
    try {
      this.#add(rows)
    } catch (cause) {
      if (!isTwice(cause)) throw cause
      // Rare: after a crash, and for rows with an id of the provider's. One of them is there already.
      this.#add(this.#fresh(rows))
    }
    if (++this.#batches % looksEvery === 0) this.#lookAtLog()
  }

  isBusy(cause: unknown): boolean {
    return isBusy(cause)
  }

  close(): void {
    this.#checkpointer.close()
    for (const statement of [this.#insert, this.#known, this.#hours, this.#days]) statement.finalize()
    this.#db.close()
  }

  #add(rows: readonly Values[]): void {
    this.#db.run('begin immediate')
    try {
      for (const row of rows) this.#insert.run(...row)
      const hours = sumByHour(rows)
      for (const sum of hours) this.#hours.run(...flat(sum))
      for (const sum of sumByDay(hours)) this.#days.run(...flat(sum))
      this.#db.run('commit')
    } catch (cause) {
      if (this.#db.inTransaction) this.#db.run('rollback')
      throw cause
    }
  }

  #fresh(rows: readonly Values[]): Values[] {
    const seen = new Set<string>()
    return rows.filter((row) => {
      const id = row[at.id] as string
      if (seen.has(id) || this.#known.get(id) !== null) return false
      return seen.add(id)
    })
  }

  #lookAtLog(): void {
    const { size } = statSync(`${this.file}-wal`, { throwIfNoEntry: false }) ?? { size: 0 }
    if (size > logBytesMax) this.#checkpointer.start()
  }
}

function flat({ atMs, groups, sums }: Sum): (string | number)[] {
  return [atMs, ...groups, ...sums]
}

function isTwice(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && String(cause.code).startsWith('SQLITE_CONSTRAINT')
}
