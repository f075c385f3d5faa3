// The audit table: every change an operator makes, in the transaction of the change itself, so that there is never one
// without the other. Nothing here updates or deletes, and the database refuses it too.

import type { Kysely } from 'kysely'
import type { Database } from './database.ts'

/** A change: who (`cli:ann`, `admin:ops`), what (`key.create`), on what (an id), and what of it is worth knowing. */
export interface AuditEntry {
  readonly by: string
  readonly action: string
  readonly target: string
  /** JSON values; never a secret. */
  readonly details: Readonly<Record<string, unknown>>
}

/** An entry as it was kept. `number` grows with each. */
export interface AuditRecord extends AuditEntry {
  readonly number: number
  readonly atMs: number
}

/** Adds an entry. `db`: the transaction of the change. */
export async function audit(db: Kysely<Database>, entry: AuditEntry, atMs: number): Promise<void> {
  const { by, action, target, details } = entry
  const row = { at_ms: atMs, actor: by, action, target, details: JSON.stringify(details) }
  await db.insertInto('audit').values(row).execute()
}

/** Entries, newest first. `before`: only those with a smaller number; null = from the newest. */
export async function readAudit(
  db: Kysely<Database>,
  page: { readonly limit: number; readonly before: number | null },
): Promise<AuditRecord[]> {
  let query = db.selectFrom('audit').selectAll().orderBy('number', 'desc').limit(page.limit)
  if (page.before !== null) query = query.where('number', '<', page.before)
  const rows = await query.execute()
  return rows.map((row) => ({
    number: row.number,
    atMs: row.at_ms,
    by: row.actor,
    action: row.action,
    target: row.target,
    details: JSON.parse(row.details) as Record<string, unknown>,
  }))
}
