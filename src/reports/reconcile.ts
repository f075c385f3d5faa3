// Our books against the provider's, by day and model. Where they differ, a correction row can be booked: the difference in
// what we owe, under an id that follows from what it corrects, so that booking twice books nothing twice. Rows that are
// there are never touched.

import { audit } from '../storage/audit.ts'
import type { LedgerTable } from '../storage/database.ts'
import type { Storage } from '../storage/open.ts'
import { addRows } from './add-rows.ts'
import { correctionEndpoint } from './invoice.ts'
import type { ProviderLine } from './provider-books.ts'
import { usageReport } from './usage.ts'

/** One side's figures. */
export interface Figures {
  readonly requests: number
  readonly input: number
  readonly cachedInput: number
  readonly output: number
  /** Null where the side names no cost. */
  readonly costNanoUsd: number | null
}

/** A day and model. `ours` holds the corrections booked so far. */
export interface Drift {
  readonly day: string
  readonly model: string
  readonly ours: Figures
  readonly theirs: Figures
  /** Of ours, calls whose figures are estimated, or have no price. */
  readonly estimated: number
  readonly unpriced: number
  /** Theirs less ours; null where either is unknown. */
  readonly costDriftNanoUsd: number | null
  /** Greatest drift of tokens or cost as a part of theirs; 1 where theirs is 0 and ours is not. */
  readonly drift: number
  /** Whether the provider names usage and cost of it under one name. */
  readonly bookable: boolean
}

const none: Figures = { requests: 0, input: 0, cachedInput: 0, output: 0, costNanoUsd: null }

type Ours = Figures & { readonly costNanoUsd: number; readonly estimated: number; readonly unpriced: number }

const nothing: Ours = { ...none, costNanoUsd: 0, estimated: 0, unpriced: 0 }

/** Compares what an upstream used on whole UTC days. Sorted by day and model. @throws the database's error */
export async function driftsOf(
  storage: Storage,
  { upstream, fromMs, toMs }: { readonly upstream: string; readonly fromMs: number; readonly toMs: number },
  theirs: readonly ProviderLine[],
): Promise<Drift[]> {
  const by = ['day', 'upstreamModel', 'endpoint'] as const
  const { rows } = await usageReport(storage, { by, fromMs, toMs, zone: 'UTC', filter: { upstream } })
  const ours = new Map<string, Ours>()
  for (const row of rows) {
    const key = JSON.stringify([row.day, row.upstreamModel ?? '(no model)'])
    const before = ours.get(key) ?? nothing
    ours.set(key, {
      requests: before.requests + row.attempts,
      input: before.input + row.input,
      cachedInput: before.cachedInput + row.cachedInput,
      output: before.output + row.output,
      costNanoUsd: before.costNanoUsd + row.costNanoUsd,
      estimated: before.estimated + row.estimated,
      unpriced: before.unpriced + row.unpriced,
    })
  }
  const books = new Map(theirs.map((line) => [JSON.stringify([line.day, line.model]), line]))
  for (const key of [...ours.keys()]) if (!books.has(key)) rename(ours, books, key)
  const keys = [...new Set([...ours.keys(), ...books.keys()])].sort()
  return keys.map((key) => {
    const [day, model] = JSON.parse(key) as [string, string]
    return driftOf({ day, model }, ours.get(key) ?? null, books.get(key) ?? null)
  })
}

/** An answer may name a model without the date under which the books have it. */
function rename(ours: Map<string, Ours>, books: ReadonlyMap<string, ProviderLine>, key: string): void {
  const [day, model] = JSON.parse(key) as [string, string]
  const dated = [...books.values()].filter(
    (line) => line.day === day && line.model.replace(/-\d{4}-\d{2}-\d{2}$/, '') === model,
  )
  if (dated.length !== 1) return
  const target = JSON.stringify([day, dated[0]!.model])
  if (ours.has(target)) return
  ours.set(target, ours.get(key)!)
  ours.delete(key)
}

function driftOf(
  { day, model }: { day: string; model: string },
  own: Ours | null,
  books: ProviderLine | null,
): Drift {
  const { estimated, unpriced, ...ours } = own ?? nothing
  const theirs: Figures =
    books === null
      ? none
      : {
          requests: books.requests,
          input: books.input,
          cachedInput: books.cachedInput,
          output: books.output,
          costNanoUsd: books.costNanoUsd,
        }
  const cost = theirs.costNanoUsd
  const parts = [part(ours.input, theirs.input), part(ours.output, theirs.output)]
  if (cost !== null) parts.push(part(ours.costNanoUsd, cost))
  return {
    day,
    model,
    ours,
    theirs,
    estimated,
    unpriced,
    costDriftNanoUsd: cost === null ? null : cost - ours.costNanoUsd,
    // What is billed by another name than it is counted by would be booked twice.
    bookable: cost !== null && (theirs.requests > 0 || theirs.input + theirs.output > 0),
    drift: Math.max(...parts),
  }
}

function part(ours: number, theirs: number): number {
  if (ours === theirs) return 0
  return theirs === 0 ? 1 : Math.abs(theirs - ours) / Math.abs(theirs)
}

/** What a booking is about, and who books. */
export interface Booking {
  readonly upstream: string
  readonly by: string
  readonly atMs: number
  readonly drifts: readonly Drift[]
}

/** Adds a correction row for each difference in cost. @returns ids of the rows that were added */
export async function bookCorrections(storage: Storage, booking: Booking): Promise<string[]> {
  const { upstream, drifts } = booking
  const rows: LedgerTable[] = []
  for (const drift of drifts) {
    if (!drift.bookable || drift.costDriftNanoUsd === 0) continue
    const prefix = `correction-${upstream}-${drift.day}-${drift.model}-`
    let number = 1
    // A later change of the provider's books is one more correction of the same day.
    let row = correctionRow(`${prefix}${number}`, upstream, drift)
    while ((await exists(row)) && number < 1000) row = correctionRow(`${prefix}${++number}`, upstream, drift)
    rows.push(row)
  }
  return addRows(storage, rows, async (change, ids) => {
    const added = rows.filter(({ id }) => ids.includes(id))
    const nanoUsd = added.reduce((sum, { cost_nano: cost }) => sum + (cost ?? 0), 0)
    const details = { rows: ids.length, nanoUsd }
    await audit(change, { by: booking.by, action: 'usage.book', target: upstream, details }, booking.atMs)
  })

  async function exists({ id, at_ms }: LedgerTable): Promise<boolean> {
    const known = storage.db.selectFrom('ledger').select('id').where('at_ms', '=', at_ms).where('id', '=', id)
    return (await known.executeTakeFirst()) !== undefined
  }
}

function correctionRow(id: string, upstream: string, drift: Drift): LedgerTable {
  const { ours, theirs } = drift
  const empty = {
    account: null, key_name: null, key_id: null, team: null, app: null, user_name: null, env: null, estimator: null,
    input: null, cached_input: null, cache_write: null, output: null, reasoning: null, audio_input: null,
    audio_output: null, cached_audio: null, image_input: null, image_output: null, cached_image: null, total: null, units: null, service_tier: null, failure: null, first_byte_us: null,
    overhead_us: null, end_user: null,
  } as const // prettier-ignore
  return {
    ...empty,
    id,
    operation_id: id,
    // The last moment of the day it is about.
    at_ms: Date.parse(`${drift.day}T23:59:59.999Z`),
    endpoint: correctionEndpoint,
    method: 'BOOK',
    model: drift.model.slice(0, 256),
    upstream_model: drift.model.slice(0, 256),
    upstream,
    state: 'settled',
    cost_nano: drift.costDriftNanoUsd,
    // Whom to charge for it nobody can tell: it is what the gateway's owner owes.
    billed_nano: 0,
    saved_nano: 0,
    price_version: 'provider',
    cache: 'BYPASS',
    attempt: 0,
    // No operation ends with it.
    is_last: 0,
    status: 200,
    duration_us: 0,
    stream: 0,
    client_gone: 0,
    metadata: JSON.stringify({ ours: JSON.stringify(ours), theirs: JSON.stringify(theirs) }),
    retry_count: 0,
    unmetered: 0,
  }
}
