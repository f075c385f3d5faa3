// Answers kept for requests with an Idempotency-Key: one row for each key in use, claimed before the request is executed, so
// that of two processes with the same key one executes. What is kept is sealed before it comes here.

import type { Kysely, Transaction } from 'kysely'
import type { Database } from './database.ts'

/** One key in use. */
export interface AnswerRow {
  /** Digest of tenant, endpoint and key. */
  readonly scope: string
  /** Digest of the request. */
  readonly request: string
  /** Exchange that executes it, or did. */
  readonly owner: string
  readonly state: 'running' | 'done' | 'too large'
  readonly expires_at_ms: number
  /** The answer, sealed, in base64; null unless done. */
  readonly answer: string | null
}

/** Makes the table. */
export async function answerTables(db: Transaction<Database>): Promise<void> {
  await db.schema
    .createTable('answers')
    .addColumn('scope', 'text', (column) => column.primaryKey())
    .addColumn('request', 'text', (column) => column.notNull())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('expires_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('answer', 'text')
    .execute()
  await db.schema.createIndex('answers_expire').on('answers').column('expires_at_ms').execute()
}

/** The table, as the cache stage uses it. Every call may throw what the store throws. */
export class Answers {
  constructor(private readonly db: Kysely<Database>) {}

  /** Claims a key. Null where it is ours from now on, else the row of whoever has it. What has expired by `nowMs` is gone. */
  async claim(row: Omit<AnswerRow, 'state' | 'answer'>, nowMs: number): Promise<AnswerRow | null> {
    for (;;) {
      await this.db.deleteFrom('answers').where('expires_at_ms', '<=', nowMs).execute()
      const inserted = await this.db
        .insertInto('answers')
        .values({ ...row, state: 'running', answer: null })
        .onConflict((conflict) => conflict.column('scope').doNothing())
        .executeTakeFirst()
      if (Number(inserted.numInsertedOrUpdatedRows ?? 0) > 0) return null
      const found = await this.db
        .selectFrom('answers')
        .selectAll()
        .where('scope', '=', row.scope)
        .executeTakeFirst()
      if (found !== undefined) return found
    }
  }

  /** The answer is there, or there is none that could be kept. */
  async end(mine: Pick<AnswerRow, 'scope' | 'owner' | 'state' | 'answer' | 'expires_at_ms'>): Promise<void> {
    const { scope, owner, ...changed } = mine
    await this.db
      .updateTable('answers')
      .set(changed)
      .where('scope', '=', scope)
      .where('owner', '=', owner)
      .execute()
  }

  /** Gives a key back: nothing was executed. */
  async release(mine: Pick<AnswerRow, 'scope' | 'owner'>): Promise<void> {
    const { scope, owner } = mine
    await this.db.deleteFrom('answers').where('scope', '=', scope).where('owner', '=', owner).execute()
  }
}
