// Single rows of the ledger, newest first, for an operator who looks into what happened. There may be millions of them and
// no index but that of time, so one page looks at a bounded number of rows: it may hold fewer than asked, or none, and
// still say where to go on.

import { sql } from 'kysely'
import type { LedgerTable } from '../storage/database.ts'
import type { Storage } from '../storage/open.ts'

/** What rows must have; null or absent = whatever it is. */
export interface RequestFilter {
  /** Name or id. */
  readonly key?: string | undefined
  readonly team?: string | undefined
  readonly user?: string | undefined
  /** The one asked for, or the one that answered. */
  readonly model?: string | undefined
  /** A status such as `429`, or a class such as `5xx`. */
  readonly status?: string | undefined
  readonly state?: LedgerTable['state'] | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
}

/** Where a page begins and how long it is. */
export interface RequestPage {
  readonly limit: number
  /** `next` of the page before; null = from the newest. */
  readonly cursor: string | null
}

/** Rows looked at for one page. */
const scannedMax = 20_000

/** A page of rows as the API shows them. `next` is null at the end. @throws the database's error */
export async function requestRows(
  { db }: Pick<Storage, 'db'>,
  filter: RequestFilter,
  page: RequestPage,
): Promise<{ rows: Record<string, unknown>[]; next: string | null }> {
  const place = page.cursor === null ? null : readCursor(page.cursor)
  let within = db
    .selectFrom('ledger')
    .selectAll()
    .orderBy('at_ms', 'desc')
    .orderBy('id', 'desc')
    .limit(scannedMax)
  if (filter.fromMs !== undefined) within = within.where('at_ms', '>=', filter.fromMs)
  if (filter.toMs !== undefined) within = within.where('at_ms', '<', filter.toMs)
  if (place !== null)
    within = within
      .where('at_ms', '<=', place.atMs)
      .where(sql<boolean>`(at_ms, id) < (${place.atMs}, ${place.id})`)
  let query = db
    .selectFrom(within.as('scanned'))
    .selectAll()
    .limit(page.limit + 1)
  const { key, team, user, model, status, state } = filter
  if (key !== undefined)
    query = query.where((eb) => eb.or([eb('key_name', '=', key), eb('key_id', '=', key)]))
  if (team !== undefined) query = query.where('team', '=', team)
  if (user !== undefined) query = query.where('user_name', '=', user)
  if (model !== undefined)
    query = query.where((eb) => eb.or([eb('model', '=', model), eb('upstream_model', '=', model)]))
  if (state !== undefined) query = query.where('state', '=', state)
  if (status !== undefined) {
    const [first, last] = status.endsWith('xx')
      ? [Number(status[0]) * 100, Number(status[0]) * 100 + 99]
      : [Number(status), Number(status)]
    query = query.where('status', '>=', first).where('status', '<=', last)
  }
  const found = await query.orderBy('at_ms', 'desc').orderBy('id', 'desc').execute()
  const rows = found.slice(0, page.limit)
  if (found.length > rows.length) return { rows: rows.map(shown), next: cursorOf(rows.at(-1)!) }
  // What was looked at may have ended before the ledger did.
  const last = await db
    .selectFrom(within.as('scanned'))
    .select(['at_ms', 'id'])
    .limit(1)
    .offset(scannedMax - 1)
    .execute()
  return { rows: rows.map(shown), next: last[0] === undefined ? null : cursorOf(last[0]) }
}

function cursorOf({ at_ms, id }: Pick<LedgerTable, 'at_ms' | 'id'>): string {
  return Buffer.from(`${at_ms}.${id}`).toString('base64url')
}

/** Null where it is none of ours. */
export function readCursor(cursor: string): { atMs: number; id: string } | null {
  const text = Buffer.from(cursor, 'base64url').toString()
  const [, atMs, id] = /^(\d{1,15})\.(.{1,512})$/s.exec(text) ?? []
  return atMs === undefined || id === undefined ? null : { atMs: Number(atMs), id }
}

function shown(row: LedgerTable): Record<string, unknown> {
  const { input, output } = row
  const usage =
    input === null && output === null
      ? null
      : {
          input: input ?? 0,
          cachedInput: row.cached_input ?? 0,
          cacheWrite: row.cache_write ?? 0,
          output: output ?? 0,
          reasoning: row.reasoning ?? 0,
          audioInput: row.audio_input ?? 0,
          audioOutput: row.audio_output ?? 0,
          total: row.total ?? (input ?? 0) + (output ?? 0),
        }
  return {
    id: row.id,
    operationId: row.operation_id,
    at: new Date(row.at_ms).toISOString(),
    endpoint: row.endpoint,
    method: row.method,
    model: row.model,
    upstreamModel: row.upstream_model,
    upstream: row.upstream,
    account: row.account,
    key: row.key_name,
    keyId: row.key_id,
    team: row.team,
    app: row.app,
    user: row.user_name,
    env: row.env,
    state: row.state,
    estimator: row.estimator,
    usage,
    units: parsed(row.units),
    serviceTier: row.service_tier,
    costNanoUsd: row.cost_nano,
    billedNanoUsd: row.billed_nano,
    savedNanoUsd: row.saved_nano,
    priceVersion: row.price_version,
    ...(row.cost_nano === null ? { unpriced: true } : {}),
    cache: row.cache,
    attempts: row.attempt,
    last: row.is_last === 1,
    status: row.status,
    failure: row.failure,
    firstByteMs: row.first_byte_us === null ? null : row.first_byte_us / 1000,
    durationMs: row.duration_us / 1000,
    overheadUs: row.overhead_us,
    stream: row.stream === 1,
    clientGone: row.client_gone === 1,
    endUser: row.end_user,
    metadata: parsed(row.metadata),
    retryCount: row.retry_count,
    unmetered: row.unmetered === 1,
  }
}

function parsed(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text)
  } catch {
    // Metadata that was too long was cut where it is kept.
    return null
  }
}
