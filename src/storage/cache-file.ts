// `cache.db`: answers on disk, the purges that all processes of this data directory follow, and the digests that `cache
// simulate` reads. A file of its own, because it may be lost without harm: it is written without waiting for the disk
// (`synchronous = OFF` survives the process's death, not the machine's), every answer carries a checksum, and a file that
// turns out damaged is set aside and begun anew. Whoever sees it in use by somebody else tries again later.
// A look-up is what it is for: an answer's row number is a part of its digest, so that one descent finds it, and all look-ups
// of a few milliseconds share a transaction, since locks and checks of the index cost as much as the search.

import { Database as File, type SQLQueryBindings, type Statement } from 'bun:sqlite'
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { addSeen, seenSince, type SeenRequest } from './cache-seen.ts'

/** Of the tables below; another number is another layout, and begun anew. */
const layout = 4
/** How long look-ups share a transaction: what other processes write meanwhile is seen afterwards. */
const readingMs = 5
/** How long SQLite may block the process for another one's lock. */
const blockMs = 5
const purgesMax = 1_000

/** An answer as it is kept; `body` is opaque. */
export interface KeptAnswer {
  readonly key: Uint8Array
  readonly body: Uint8Array
  readonly endpoint: string
  readonly model: string
  readonly team: string
  readonly tags: readonly string[]
  /** Wall clock. */
  readonly keptUntilMs: number
  readonly askedAtMs: number
  readonly nowMs: number
}

/** A purge, kept so that every process follows it. */
export interface KeptPurge {
  readonly number: number
  readonly by: string
  readonly value: string
  readonly atMs: number
}

const tables = `
create table if not exists answers (
  id integer primary key, bytes integer not null, used_min integer not null, kept_until_ms integer not null, asked_ms integer not null,
  endpoint text not null, model text not null, team text not null, tags text not null, sum integer not null, body blob not null);
create index if not exists answers_used on answers (used_min);
create index if not exists answers_until on answers (kept_until_ms);
create table if not exists totals (answers integer not null);
insert into totals select 0 where not exists (select 1 from totals);
create trigger if not exists answers_added after insert on answers begin update totals set answers = answers + 1; end;
create trigger if not exists answers_removed after delete on answers begin update totals set answers = answers - 1; end;
create table if not exists purges (
  number integer primary key autoincrement, kind text not null, value text not null, at_ms integer not null);
create table if not exists seen (
  number integer primary key autoincrement, at_ms integer not null, key text not null, endpoint text not null,
  model text not null, bytes integer not null, tokens integer not null, cost_nano integer, status text not null,
  weight integer not null, repeats integer not null);`

/** The open file. Every method may throw SQLite's error; `isDamage` and `isBusyFile` tell what it means. */
export class CacheFile {
  readonly #db: File
  readonly #statements = new Map<string, Statement<Record<string, unknown>, SQLQueryBindings[]>>()
  readonly #found: Statement<Record<string, unknown>, SQLQueryBindings[]>
  /** A transaction is open for the look-ups of a moment. */
  #reading = false
  readonly #timeIsUp = (): void => {
    try {
      this.#endReading()
    } catch {
      // The next one to use the file finds out.
    }
  }

  private constructor(db: File) {
    this.#db = db
    this.#found = this.#ask('select body, sum, used_min from answers where id = ?')
  }

  /** Opens `cache.db` in a data directory, made where missing. What is damaged or of another layout is set aside. */
  static open(folder: string, tell: (message: string) => void): CacheFile {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, 'cache.db')
    try {
      return CacheFile.#open(path)
    } catch (cause) {
      if (!isDamage(cause)) throw cause
      if (cause instanceof OtherLayout) {
        tell(`${path} was written by another version: the cache begins anew`)
        removeFile(path)
        return CacheFile.#open(path)
      }
      tell(`${path} is damaged: it is set aside as ${setAside(path)}, and the cache begins anew`)
      return CacheFile.#open(path)
    }
  }

  static #open(path: string): CacheFile {
    closeSync(openSync(path, 'a', 0o600))
    const db = new File(path)
    try {
      db.run('PRAGMA busy_timeout = 2000')
      db.run('PRAGMA journal_mode = WAL')
      db.run('PRAGMA synchronous = OFF')
      db.run('PRAGMA cache_size = -32768')
      db.run('PRAGMA journal_size_limit = 16777216')
      const { user_version: version } = db.query<{ user_version: number }, []>('PRAGMA user_version').get()!
      if (version !== 0 && version !== layout) throw new OtherLayout(`layout ${version}`)
      db.run(tables)
      db.run(`PRAGMA user_version = ${layout}`)
      db.run(`PRAGMA busy_timeout = ${blockMs}`)
      return new CacheFile(db)
    } catch (cause) {
      db.close()
      throw cause
    }
  }

  /** Ends the look-ups' transaction: whatever writes needs one of its own. */
  #endReading(): void {
    if (!this.#reading) return
    this.#reading = false
    this.#ask('commit').run()
  }

  /** A statement that reads or writes by itself. */
  #alone(sql: string): Statement<Record<string, unknown>, SQLQueryBindings[]> {
    this.#endReading()
    return this.#ask(sql)
  }

  #ask(sql: string): Statement<Record<string, unknown>, SQLQueryBindings[]> {
    let statement = this.#statements.get(sql)
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement
  }

  /** Runs `work` in one transaction. */
  together(work: () => void): void {
    this.#endReading()
    this.#db.transaction(work).immediate()
  }

  /** The body kept under a key, and the minute it was used last; null where there is none, or what there is was changed. */
  find(key: Uint8Array): { readonly body: Uint8Array; readonly usedMin: number } | null {
    if (!this.#reading) {
      this.#ask('begin').run()
      this.#reading = true
      setTimeout(this.#timeIsUp, readingMs)
    }
    const row = this.#found.get(rowOf(key)) as { body: Uint8Array; sum: number; used_min: number } | null
    if (row === null) return null
    // The whole digest stands before the body: a part of it in common is nothing in common.
    if (row.sum === checksum(row.body) && beginsWith(row.body, key))
      return { body: row.body.subarray(key.length), usedMin: row.used_min }
    this.remove(key)
    return null
  }

  keep(answer: KeptAnswer): void {
    const { key, body, endpoint, model, team, keptUntilMs, askedAtMs, nowMs } = answer
    const tags = answer.tags.length === 0 ? '' : `\n${answer.tags.join('\n')}\n`
    const kept = Buffer.concat([key, body])
    this.#alone(
      `insert into answers (id, bytes, used_min, kept_until_ms, asked_ms, endpoint, model, team, tags, sum, body)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set
       bytes = excluded.bytes, used_min = excluded.used_min, kept_until_ms = excluded.kept_until_ms, asked_ms = excluded.asked_ms,
       endpoint = excluded.endpoint, model = excluded.model, team = excluded.team, tags = excluded.tags,
       sum = excluded.sum, body = excluded.body`,
    ).run(
      rowOf(key),
      body.length,
      minuteOf(nowMs),
      keptUntilMs,
      askedAtMs,
      endpoint,
      model,
      team,
      tags,
      checksum(kept),
      kept,
    )
  }

  used(key: Uint8Array, nowMs: number): void {
    this.#alone('update answers set used_min = ? where id = ?').run(minuteOf(nowMs), rowOf(key))
  }

  remove(key: Uint8Array): number {
    return this.#alone('delete from answers where id = ?').run(rowOf(key)).changes
  }

  /**
   * Removes what a purge is for, and was asked for before it, among `rows` answers behind `fromId`; 0 to begin with. Gives
   * how many, and where to go on: null at the end. A part at a time, since a look at all of a large file takes seconds.
   */
  removeMeant(
    { by, value, atMs }: { by: string; value: string; atMs: number },
    fromId: number,
    rows: number,
  ): { readonly removed: number; readonly nextId: number | null } {
    const found =
      by === 'all'
        ? ['1', []]
        : by === 'tag'
          ? ['instr(tags, ?) > 0', [`\n${value}\n`]]
          : by === 'model'
            ? ['model = ?', [value]]
            : ['team = ?', [value]]
    const [where, values] = found as [string, string[]]
    const last = this.#alone(
      'select max(id) as id from (select id from answers where id > ? order by id limit ?)',
    )
    const { id } = last.get(fromId, rows) as { id: number | null }
    if (id === null) return { removed: 0, nextId: null }
    const removed = this.#alone(
      `delete from answers where id > ? and id <= ? and asked_ms <= ? and ${where}`,
    ).run(fromId, id, atMs, ...values)
    return { removed: removed.changes, nextId: id }
  }

  /** Removes up to `limit` answers that are past their time or were not used since `usedBeforeMs`. */
  removeOld(nowMs: number, usedBeforeMs: number, limit: number): number {
    const past = `delete from answers where id in (select id from answers where kept_until_ms <= ? limit ${limit})`
    const gone = this.#alone(past).run(nowMs).changes
    if (gone >= limit) return gone
    const unused = `delete from answers where id in (select id from answers where used_min < ? limit ${limit - gone})`
    return gone + this.#alone(unused).run(minuteOf(usedBeforeMs)).changes
  }

  /** Removes the `limit` answers that were used longest ago. */
  removeLeastUsed(limit: number): number {
    const sql = `delete from answers where id in (select id from answers order by used_min, id limit ${limit})`
    return this.#alone(sql).run().changes
  }

  /** Bytes in use; costs microseconds. */
  get usedBytes(): number {
    const row = this.#alone(
      `select (c.page_count - f.freelist_count) * s.page_size as bytes
       from pragma_page_count c, pragma_freelist_count f, pragma_page_size s`,
    ).get() as { bytes: number }
    return row.bytes
  }

  /** A number that differs where another process may have written since. */
  stamp(): number {
    return (this.#alone('PRAGMA data_version').get() as { data_version: number }).data_version
  }

  /** Keeps a purge; gives its number. */
  addPurge(mark: { by: string; value: string }, atMs: number): number {
    const { lastInsertRowid } = this.#alone('insert into purges (kind, value, at_ms) values (?, ?, ?)').run(
      mark.by,
      mark.value,
      atMs,
    )
    const number = Number(lastInsertRowid)
    const { count } = this.#alone('select count(*) as count from purges').get() as { count: number }
    if (count > purgesMax) {
      // Too many to look through: what is older than now is gone altogether.
      this.#alone('delete from purges').run()
      return this.addPurge({ by: 'all', value: '' }, atMs)
    }
    return number
  }

  purgesAfter(number: number): KeptPurge[] {
    const rows = this.#alone('select * from purges where number > ? order by number').all(number) as {
      number: number
      kind: string
      value: string
      at_ms: number
    }[]
    return rows.map((row) => ({ number: row.number, by: row.kind, value: row.value, atMs: row.at_ms }))
  }

  /** Keeps what was seen. */
  addSeen(requests: Iterable<SeenRequest>): void {
    addSeen((sql) => this.#alone(sql), requests)
  }

  /** What was seen since a moment, oldest first. */
  seen(fromMs: number): Generator<SeenRequest> {
    return seenSince((sql) => this.#alone(sql), fromMs)
  }

  /** How many answers there are. */
  count(): number {
    return (this.#alone('select answers from totals').get() as { answers: number }).answers
  }

  /** Answers and bytes by endpoint and model, the most first. */
  groups(limit: number): { endpoint: string; model: string; answers: number; bytes: number }[] {
    return this.#alone(
      `select endpoint, model, count(*) as answers, sum(bytes) as bytes from answers
       group by endpoint, model order by bytes desc limit ${limit}`,
    ).all() as { endpoint: string; model: string; answers: number; bytes: number }[]
  }

  close(): void {
    this.#timeIsUp()
    for (const statement of this.#statements.values()) statement.finalize()
    this.#statements.clear()
    this.#db.close()
  }
}

class OtherLayout extends Error {
  readonly code = 'SQLITE_NOTADB'
}

/** Moves a damaged file out of the way; gives its new name. One is kept, for whoever wants to look at it. */
export function setAside(path: string): string {
  const aside = `${path}.damaged`
  if (existsSync(path)) renameSync(path, aside)
  removeFile(path)
  return aside
}

function removeFile(path: string): void {
  for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true })
}

/** Whether an error says that the file is no sound database. */
export function isDamage(cause: unknown): boolean {
  return /^SQLITE_(?:CORRUPT|NOTADB|IOERR|FORMAT|SCHEMA)|^SQLITE_ERROR$/.test(codeOf(cause))
}

/** Whether an error says that there is no room left. */
export function isDiskFull(cause: unknown): boolean {
  return codeOf(cause).startsWith('SQLITE_FULL')
}

/** Whether an error says that somebody else holds the file. */
export function isBusyFile(cause: unknown): boolean {
  return /^SQLITE_(?:BUSY|LOCKED)/.test(codeOf(cause))
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : ''
}

function minuteOf(ms: number): number {
  return Math.floor(ms / 60_000)
}

/** Over key and body, so that a page that went astray is no answer to anything. */
function checksum(bytes: Uint8Array): number {
  return Number(Bun.hash.xxHash64(bytes) >> 11n)
}

/** The row of a key: its first 52 bits, which no two of a million answers have in common. */
function rowOf(key: Uint8Array): number {
  const high = (key[0]! << 12) | (key[1]! << 4) | (key[2]! >> 4)
  const low = (key[3]! << 24) | (key[4]! << 16) | (key[5]! << 8) | key[6]!
  return high * 2 ** 32 + (low >>> 0)
}

function beginsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  for (let at = 0; at < start.length; at++) if (bytes[at] !== start[at]) return false
  return true
}
