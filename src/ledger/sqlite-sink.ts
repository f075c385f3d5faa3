// Rows into SQLite, on a connection of its own: what others of this process do between two of their queries is none of
// its business. A batch takes some 4 µs a row, so the process is kept for half a millisecond at most. Writing the
// log back into the database waits for the disk, so it is a worker's task, which is started when there is enough of it.

import type { Database as File, Statement } from 'bun:sqlite'
import { statSync } from 'node:fs'
import { isBusy, openSqliteFile } from '../storage/sqlite.ts'
import { dimensionColumns, factColumns, onKnownDimensions } from '../storage/ledger-tables.ts'
import { Checkpointer } from './checkpointer.ts'
import { numberAt, type Entry } from './columns.ts'
import { DimensionReader } from './dimensions.ts'
import { dimensionsCleaned } from './retention.ts'
import { dayMs, sumsOf, type Sum } from './rollup.ts'
import { addSums, sumColumns, type RowSink, type SumsName } from './sink.ts'

/** From this size of the log on it is written back. */
const logBytesMax = 8 * 1024 * 1024
/** The same where there is time. */
const restBytesMax = 512 * 1024
/** Rows of one statement: most of what one costs is its beginning and its end. */
const rowsTogether = 16
/** Rows from one look at the log to the next. */
const looksEvery = 4096
/** Columns of a row, in the order in which `#add` gives them. */
const facts = [...factColumns, 'dimensions']

export class SqliteSink implements RowSink {
  readonly #db: File
  readonly #statements: Readonly<
    Record<
      | 'insert'
      | 'insertMany'
      | 'name'
      | 'known'
      | 'named'
      | 'label'
      | 'labelled'
      | 'cleaned'
      | 'hours'
      | 'days'
      | 'quarters',
      Statement
    >
  >
  readonly #reader = new DimensionReader()
  readonly #checkpointer: Checkpointer
  /** Rows since the log was looked at. */
  #unseen = 0
  /** How often dimensions had been cleaned when those in memory were read. */
  #cleaned: unknown = null

  /** @throws SQLite's error */
  constructor(private readonly file: string) {
    const db = openSqliteFile(file)
    this.#db = db
    db.run('PRAGMA wal_autocheckpoint = 0')
    const adding = (table: SumsName): Statement => db.prepare(addSums(table, values(sumColumns(table).all)))
    const labels = ['list', ...dimensionColumns, 'used_at_ms']
    const insert = `insert into ledger_rows (${facts.join(', ')}) values `
    this.#statements = {
      insert: db.prepare(insert + places(facts)),
      insertMany: db.prepare(insert + Array.from({ length: rowsTogether }, () => places(facts)).join(', ')),
      name: db.prepare('insert into ledger_named (id, at_ms) values (?, ?)'),
      known: db.prepare('select 1 from ledger_rows where at_ms = ? and id = ?'),
      named: db.prepare('select 1 from ledger_named where id = ?'),
      label: db.prepare(
        `insert into ledger_dimensions (${labels.join(', ')}) ${values(labels)} ${onKnownDimensions}`,
      ),
      labelled: db.prepare('select id from ledger_dimensions where list = ?'),
      cleaned: db.prepare(`select value from facts where name = '${dimensionsCleaned}'`),
      hours: adding('ledger_hours'),
      days: adding('ledger_days'),
      quarters: adding('ledger_quarters'),
    }
    this.#checkpointer = new Checkpointer(file)
  }

  write(entries: readonly Entry[]): number {
    let added = entries
    try {
      this.#add(entries)
    } catch (cause) {
      if (!isTwice(cause)) throw cause
      // Rare: after a crash, and for rows with an id of the provider's. One of them is there already.
      added = this.#fresh(entries)
      this.#add(added)
    }
    this.#unseen += entries.length
    if (this.#unseen >= looksEvery) this.#lookAtLog(logBytesMax)
    return added.length
  }

  rest(): void {
    this.#lookAtLog(restBytesMax)
  }

  isBusy(cause: unknown): boolean {
    return isBusy(cause)
  }

  close(): void {
    this.#checkpointer.close()
    for (const statement of Object.values(this.#statements)) statement.finalize()
    try {
      this.#db.run('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // Others use it, or the disk is full: a long log is only slow.
    }
    this.#db.close()
  }

  #add(entries: readonly Entry[]): void {
    const { insert, insertMany, name, hours, days, quarters } = this.#statements
    this.#db.run('begin immediate')
    try {
      this.#forgetCleaned()
      let many: (string | number | null)[] = []
      for (const { id, operationId, numbers, more, dimensions } of entries) {
        if (operationId !== null) name.run(id, numbers[numberAt.at_ms]!)
        many.push(id, operationId, ...numbers, more, this.#numberOf(dimensions, numbers[numberAt.at_ms]!))
        if (many.length < rowsTogether * facts.length) continue
        // One list: the binding takes it as it is, and values by themselves would be gathered into one twice.
        insertMany.run(many)
        many = []
      }
      for (let at = 0; at < many.length; at += facts.length) insert.run(many.slice(at, at + facts.length))
      const sums = sumsOf(entries, this.#reader)
      for (const sum of sums.hours) hours.run(flat(sum))
      for (const sum of sums.days) days.run(flat(sum))
      for (const sum of sums.quarters) quarters.run(flat(sum))
      this.#db.run('commit')
    } catch (cause) {
      this.#reader.clear()
      if (this.#db.inTransaction) this.#db.run('rollback')
      throw cause
    }
  }

  /** Retention cleans dimensions: their numbers then mean nothing, or others. Nobody can while this transaction lasts. */
  #forgetCleaned(): void {
    const cleaned = (this.#statements.cleaned.get() as { value: string } | null)?.value ?? null
    if (cleaned !== this.#cleaned) this.#reader.clear()
    this.#cleaned = cleaned
  }

  /** Dimensions are added when a row has them for the first time, and dated once a day; another process may have done it. */
  #numberOf(list: string, atMs: number): number {
    const read = this.#reader.read(list)
    const day = atMs - (atMs % dayMs)
    if (read.number !== 0 && day <= read.usedAtMs) return read.number
    const { label, labelled } = this.#statements
    label.run(list, ...read.values, day)
    read.usedAtMs = day
    return (read.number = (labelled.get(list) as { id: number }).id)
  }

  #fresh(entries: readonly Entry[]): Entry[] {
    const { known, named } = this.#statements
    const seen = new Set<string>()
    return entries.filter(({ id, operationId, numbers }) => {
      const isNamed = operationId !== null && named.get(id) !== null
      if (seen.has(id) || isNamed || known.get(numbers[numberAt.at_ms]!, id) !== null) return false
      return seen.add(id)
    })
  }

  #lookAtLog(bytesMax: number): void {
    this.#unseen = 0
    const { size } = statSync(`${this.file}-wal`, { throwIfNoEntry: false }) ?? { size: 0 }
    if (size > bytesMax) this.#checkpointer.start()
  }
}

function flat({ atMs, groups, sums }: Sum): (string | number)[] {
  return [atMs, ...groups, ...sums]
}

function isTwice(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && String(cause.code).startsWith('SQLITE_CONSTRAINT')
}

function values(names: readonly string[]): string {
  return `values ${places(names)}`
}

function places(names: readonly string[]): string {
  return `(${names.map(() => '?').join(', ')})`
}
