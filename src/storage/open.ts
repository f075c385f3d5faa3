// Opens the store: SQLite in the data directory, or PostgreSQL where several gateways share one. Both are one Kysely
// instance with the same tables, so nothing above this folder knows which it is.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Kysely } from 'kysely'
import type { Clock } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import type { Database, ObjectsTable } from './database.ts'
import { migrate, type StorageKind } from './migrations.ts'
import { addObjects, openSqliteFile, sqliteDialect } from './sqlite.ts'

/** Where the store is. */
export interface StorageSettings {
  /** Data directory, absolute. */
  readonly path: string
  /** Connection string of PostgreSQL; null = SQLite in the data directory. */
  readonly postgres: Secret | null
}

/** The open store. */
export interface Storage {
  readonly kind: StorageKind
  readonly db: Kysely<Database>
  /** Row of an object, at once and in microseconds; null where only a query can tell. @throws where the file cannot be read */
  readonly objectRow: ((id: string) => ObjectsTable | null) | null
  /**
   * Adds objects that have no row yet, all at once and in microseconds; gives the ids of those. Null where it would have to
   * wait: for another writer, or since only a query can do it. @throws what the file's system throws
   */
  addObjects(rows: readonly ObjectsTable[]): readonly string[] | null
  /**
   * A number that differs where another process may have written since; null where only a query can tell.
   * Costs microseconds. @throws where the file cannot be read
   */
  stamp(): number | null
  close(): Promise<void>
}

/** The store cannot be had: one clear line, without a password. */
export class StorageFailure extends Error {}

/** Opens the store and brings its tables up to date. @throws StorageFailure */
export async function openStorage(settings: StorageSettings, clock: Clock): Promise<Storage> {
  const storage =
    settings.postgres === null ? openSqlite(settings.path) : await openPostgres(settings.postgres)
  try {
    await migrate(storage.db, storage.kind, clock.wallMs())
    return storage
  } catch (cause) {
    await storage.close().catch(() => {})
    throw cause instanceof StorageFailure
      ? cause
      : new StorageFailure(`${placeOf(settings)}: ${reason(cause)}`)
  }
}

function openSqlite(path: string): Storage {
  const file = join(path, 'headgate.db')
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const opened = openSqliteFile(file)
    const db = new Kysely<Database>({ dialect: sqliteDialect(opened) })
    const version = opened.query<{ data_version: number }, []>('PRAGMA data_version')
    return {
      kind: 'sqlite',
      db,
      // Prepared when first used: the table is made after the file is opened.
      objectRow: (id) => opened.query<ObjectsTable, [string]>('SELECT * FROM objects WHERE id = ?').get(id),
      addObjects: (rows) => addObjects(opened, rows),
      stamp: () => version.get()!.data_version,
      close: async () => {
        await db.destroy()
        opened.close()
      },
    }
  } catch (cause) {
    throw new StorageFailure(`cannot open the store ${file}: ${reason(cause)}`)
  }
}

async function openPostgres(url: Secret): Promise<Storage> {
  try {
    // Loaded only where it is used.
    const { postgresDialect } = await import('./postgres.ts')
    const db = new Kysely<Database>({ dialect: postgresDialect(url) })
    const none = () => null
    return { kind: 'postgres', db, objectRow: null, addObjects: none, stamp: none, close: () => db.destroy() }
  } catch (cause) {
    throw new StorageFailure(`cannot use storage.postgres: ${reason(cause)}`)
  }
}

function placeOf({ path, postgres }: StorageSettings): string {
  if (postgres === null) return `cannot use the store ${join(path, 'headgate.db')}`
  return `cannot use the store at PostgreSQL ${hostOf(postgres)}`
}

/** Host, port and database of a connection string: never its user or password. */
function hostOf(url: Secret): string {
  const parsed = URL.parse(url.reveal())
  return parsed === null
    ? '(storage.postgres)'
    : `${parsed.host || parsed.searchParams.get('host') || ''}${parsed.pathname}`
}

/** Why the store failed, in one line and without anything secret. */
export function reason(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0) return reason(cause.errors[0])
  if (!(cause instanceof Error)) return String(cause)
  const code = 'code' in cause ? String(cause.code) : ''
  const known: Record<string, string> = {
    SQLITE_NOTADB: 'it is not a database: another file has its name, or it is damaged',
    SQLITE_CORRUPT: 'it is damaged: restore it from a backup',
    SQLITE_READONLY: 'it cannot be written: mend its rights',
    SQLITE_CANTOPEN: 'it cannot be opened: mend its rights',
    SQLITE_FULL: 'the disk is full',
    SQLITE_BUSY: 'another process holds it locked: try again',
    EACCES: 'permission denied: mend its rights',
    EROFS: 'the file system is read-only',
    ENOSPC: 'the disk is full',
    EISDIR: 'a directory has its name',
    ENOTDIR: 'a part of the path is not a directory',
    EEXIST: 'a part of the path is not a directory',
    ECONNREFUSED: 'nothing listens there',
    ENOTFOUND: 'its host name is unknown',
    '28P01': 'the password is wrong',
    '28000': 'the user is not let in',
    '3D000': 'there is no such database',
  }
  const family = code.replace(/^(SQLITE_[A-Z]+)_.*$/, '$1')
  return known[code] ?? known[family] ?? cause.message.split('\n')[0]!
}
