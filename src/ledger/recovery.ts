// After a crash: what the journals of processes that are no more still hold is brought into the database. Final rows go
// in as they are; a reservation without one becomes an estimated row. A process shows that it lives by a lock that the
// system takes back when it dies, however it dies.

import { Database as File } from 'bun:sqlite'
import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { randomText } from '../base/id.ts'
import { readEntry, readReservation } from './journal.ts'
import { crashedEntry, type Entry, type ReservationEntry } from './columns.ts'
import { kinds, Segment, type RecordAt } from './segment.ts'
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

/** How much was found. */
export interface Recovered {
  readonly rows: number
  /** Calls whose end nobody knows. */
  readonly estimated: number
}

/** Recovers every run under `path` whose process is no more. @throws the database's error; then nothing is lost */
export async function recoverRuns(path: string, sink: RowSink): Promise<Recovered> {
  const total = { rows: 0, estimated: 0 }
  for (const name of foldersOf(path)) {
    const folder = join(path, name)
    const lock = takeLock(folder)
    if (lock === null) continue
    try {
      const { rows, estimated } = await recoverRun(folder, sink)
      total.rows += rows
      total.estimated += estimated
      rmSync(folder, { recursive: true, force: true })
    } finally {
      lock.close()
    }
  }
  return total
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

async function recoverRun(folder: string, sink: RowSink): Promise<Recovered> {
  const open = new Map<string, ReservationEntry>()
  const final = new Set<string>()
  let batch: Entry[] = []
  let rows = 0
  const write = async (): Promise<void> => {
    if (batch.length === 0) return
    await insist(sink, batch)
    rows += batch.length
    batch = []
  }
  for (const record of recordsOf(folder)) {
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
  return { rows, estimated: open.size }
}

async function insist(sink: RowSink, batch: readonly Entry[]): Promise<void> {
  for (let left = 100; ; left--) {
    try {
      await sink.write(batch)
      return
    } catch (cause) {
      if (left === 0 || !sink.isBusy(cause)) throw cause
      await Bun.sleep(20)
    }
  }
}

function* recordsOf(folder: string): Generator<RecordAt> {
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.journal'))) {
    let segment: Segment
    try {
      segment = Segment.open(join(folder, name))
    } catch {
      // Being made when the process died: nothing was in it.
      continue
    }
    try {
      for (let record = segment.read(segment.start); record !== null; record = segment.read(record.next))
        yield record
    } finally {
      segment.close()
    }
  }
}
