// After a crash: what the journals of processes that are no more still hold is brought into the database. Final rows go
// in as they are; a reservation without one becomes an estimated row. A process shows that it lives by a lock that the
// system takes back when it dies, however it dies.

import { Database as File } from 'bun:sqlite'
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { randomText } from '../base/id.ts'
import { readEntry, readReservation } from './journal.ts'
import { crashedEntry, type Entry, type ReservationEntry } from './columns.ts'
import { DamagedRecord, kinds, Segment, type RecordAt } from './segment.ts'
import type { RowSink } from './sink.ts'

const batchRows = 500
const lockName = 'lock.db'

/** The folder of one process, held for as long as it lives. */
export interface Run {
  readonly folder: string
  /** Lets go of it; `empty`: there is nothing in it that anybody needs. */
  release(empty: boolean): void
}

/** Makes a folder under `path` and holds it. @throws the system's error */
export function holdRun(path: string): Run {
  const folder = join(path, randomText(12))
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // SQLite would make it by the umask. Only while it is new: closing any file of one's own lets go of its locks.
  closeSync(openSync(join(folder, lockName), 'wx', 0o600))
  const lock = takeLock(folder)
  if (lock === null) throw new Error(`${folder} is held by another process`)
  return {
    folder,
    release(empty) {
      if (empty) rmSync(folder, { recursive: true, force: true })
      lock.close()
    },
  }
}

/** SQLite holds an exclusive transaction by a lock of the system, on every platform. Null where another has it. */
function takeLock(folder: string): File | null {
  const db = new File(join(folder, lockName), { create: true, readwrite: true })
  try {
    db.run('PRAGMA busy_timeout = 0')
    db.run('begin exclusive')
    return db
  } catch {
    db.close()
    return null
  }
}

/** How much was found that was not in the database. */
export interface Recovered {
  readonly rows: number
  /** Calls whose end nobody knows. */
  readonly estimated: number
  /** Where journals with damaged records were put. */
  readonly damaged: readonly string[]
}

/** What is said of it; null = nothing was found. */
export function recoveredText({ rows, estimated, damaged }: Recovered): string | null {
  if (damaged.length > 0)
    return (
      `The journal of a process that died is damaged: ${rows} rows of the ledger were recovered (${estimated} estimated), others may be missing. ` +
      `It is kept in ${damaged.join(', ')}.`
    )
  if (rows === 0) return null
  return `A process ended amid its work: ${rows} rows of the ledger were recovered, ${estimated} of them estimated.`
}

/** Recovers every run under `path` whose process is no more. @throws the database's error; then nothing is lost */
export async function recoverRuns(path: string, sink: RowSink): Promise<Recovered> {
  const total = { rows: 0, estimated: 0, damaged: [] as string[] }
  for (const name of foldersOf(path)) {
    const folder = join(path, name)
    const lock = takeLock(folder)
    if (lock === null) continue
    try {
      const { rows, estimated, damaged } = await recoverRun(folder, sink)
      total.rows += rows
      total.estimated += estimated
      if (damaged) total.damaged.push(putAside(folder))
      else rmSync(folder, { recursive: true, force: true })
    } finally {
      lock.close()
    }
  }
  if (total.rows > 0) sink.rest()
  return total
}

/** Somebody may want to look into it. */
function putAside(folder: string): string {
  const kept = join(dirname(dirname(folder)), 'ledger-damaged')
  mkdirSync(kept, { recursive: true, mode: 0o700 })
  const place = join(kept, basename(folder))
  renameSync(folder, place)
  return place
}

function foldersOf(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
  } catch {
    return []
  }
}

async function recoverRun(folder: string, sink: RowSink) {
  const open = new Map<string, ReservationEntry>()
  const final = new Set<string>()
  let batch: Entry[] = []
  let rows = 0
  const damage = { found: false }
  const write = async (): Promise<void> => {
    if (batch.length === 0) return
    rows += await insist(sink, batch)
    batch = []
  }
  for (const record of recordsOf(folder, damage)) {
    if (record.kind === kinds.reservation) {
      const reservation = readReservation(record)
      // It may have been taken along into a file that is read before the one with its row.
      if (!final.has(reservation.id)) open.set(reservation.id, reservation)
    } else if (record.kind === kinds.row) {
      const entry = readEntry(record)
      final.add(entry.id)
      open.delete(entry.id)
      batch.push(entry)
      if (batch.length >= batchRows) await write()
    }
  }
  for (const reservation of open.values()) batch.push(crashedEntry(reservation))
  await write()
  return { rows, estimated: open.size, damaged: damage.found }
}

async function insist(sink: RowSink, batch: readonly Entry[]): Promise<number> {
  for (let left = 100; ; left--) {
    try {
      return await sink.write(batch)
    } catch (cause) {
      if (left === 0 || !sink.isBusy(cause)) throw cause
      await Bun.sleep(20)
    }
  }
}

/** All whole records, also behind such as are not: then `damage` says so. */
function* recordsOf(folder: string, damage: { found: boolean }): Generator<RecordAt> {
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.journal'))) {
    let segment: Segment
    try {
      segment = Segment.open(join(folder, name))
    } catch {
      // Being made when the process died: nothing was in it.
      continue
    }
    damage.found ||= segment.isForeign
    try {
      let at = segment.start
      for (;;) {
        let record = segment.read(at)
        if (record === null) {
          // Nothing follows the end. Where something does, this is not the end.
          record = segment.search(at + 1)
          if (record === null) break
          damage.found = true
        }
        at = record.next
        if (isReadable(record)) yield record
        else damage.found = true
      }
    } finally {
      segment.close()
    }
  }
}

function isReadable(record: RecordAt): boolean {
  try {
    record.parts()
    return true
  } catch (cause) {
    if (cause instanceof DamagedRecord) return false
    throw cause
  }
}
