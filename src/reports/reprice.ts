// What other prices would have made of rows that are there. Reads only: a row keeps the price it was booked with. Goes
// through the rows of the period in pages, so its memory does not grow with them.

import { zeroUsage } from '../openai/usage.ts'
import type { LedgerTable } from '../storage/database.ts'
import type { Storage } from '../storage/open.ts'
import type { Prices, PricedUpstream } from '../prices/prices.ts'
import { correctionEndpoint } from './invoice.ts'
import { keptFrom, TooManyLines, linesMax } from './usage.ts'
import type { Zone } from './zone.ts'

/** What is compared. */
export interface RepriceQuery {
  readonly fromMs: number
  readonly toMs: number
  readonly zone: Zone
  readonly prices: Prices
  readonly upstreams: readonly PricedUpstream[]
}

/** One day, team and model. */
export interface RepriceLine {
  readonly day: string
  readonly team: string | null
  readonly model: string | null
  calls: number
  oldNanoUsd: number
  newNanoUsd: number
  /** Rows without a price, before and after. */
  oldUnpriced: number
  newUnpriced: number
}

/** What would change. */
export interface Repriced {
  readonly version: string
  readonly lines: readonly RepriceLine[]
  readonly total: Omit<RepriceLine, 'day' | 'team' | 'model'>
  /** Calls of the period before this moment were let go, so they are not in it; null = all are. */
  readonly keptFrom: string | null
}

const pageRows = 5000

/** Computes every call of the period anew. @throws TooManyLines, or the database's error */
export async function reprice({ db }: Storage, query: RepriceQuery): Promise<Repriced> {
  const lines = new Map<string, RepriceLine>()
  const total = { calls: 0, oldNanoUsd: 0, newNanoUsd: 0, oldUnpriced: 0, newUnpriced: 0 }
  let after = { at_ms: query.fromMs - 1, id: '' }
  for (;;) {
    const rows = await db
      .selectFrom('ledger')
      .selectAll()
      .where('at_ms', '<', query.toMs)
      .where((eb) =>
        eb.or([
          eb('at_ms', '>', after.at_ms),
          eb.and([eb('at_ms', '=', after.at_ms), eb('id', '>', after.id)]),
        ]),
      )
      .where('at_ms', '>=', Math.max(after.at_ms, query.fromMs))
      .orderBy('at_ms')
      .orderBy('id')
      .limit(pageRows)
      .execute()
    for (const row of rows) {
      if (!isPriced(row)) continue
      const day = query.zone.label(row.at_ms, 'day')
      const model = row.upstream_model ?? row.model
      const key = JSON.stringify([day, row.team, model])
      let line = lines.get(key)
      if (line === undefined) {
        lines.set(key, (line = { day, team: row.team, model, ...zeros }))
        if (lines.size > linesMax) throw new TooManyLines()
      }
      const cost = costOf(row, query)
      for (const sums of [line, total]) add(sums, row.cost_nano, cost)
    }
    if (rows.length < pageRows) break
    after = rows.at(-1)!
  }
  const keptFromMs = await keptFrom({ db })
  const kept = keptFromMs > query.fromMs ? new Date(keptFromMs).toISOString() : null
  const sorted = [...lines.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line)
  return { version: query.prices.version, lines: sorted, total, keptFrom: kept }
}

/** Rows of batches and of background answers are no attempts of their own, and have their price all the same. */
function isPriced({ state, cache, endpoint, input, output, units }: LedgerTable): boolean {
  if (state === 'void' || endpoint === correctionEndpoint) return false
  return ['MISS', 'BYPASS', 'EXPIRED'].includes(cache) && (input ?? output ?? units) !== null
}

const zeros = { calls: 0, oldNanoUsd: 0, newNanoUsd: 0, oldUnpriced: 0, newUnpriced: 0 }

function add(sums: Repriced['total'], old: number | null, now: number | null): void {
  sums.calls++
  if (old === null) sums.oldUnpriced++
  if (now === null) sums.newUnpriced++
  sums.oldNanoUsd = Math.min(sums.oldNanoUsd + (old ?? 0), Number.MAX_SAFE_INTEGER)
  sums.newNanoUsd = Math.min(sums.newNanoUsd + (now ?? 0), Number.MAX_SAFE_INTEGER)
}

function costOf(row: LedgerTable, { prices, upstreams }: RepriceQuery): number | null {
  const { input, output } = row
  const usage =
    input === null && output === null
      ? null
      : {
          ...zeroUsage,
          input: input ?? 0,
          cachedInput: row.cached_input ?? 0,
          cacheWrite: row.cache_write ?? 0,
          output: output ?? 0,
          reasoning: row.reasoning ?? 0,
          audioInput: row.audio_input ?? 0,
          audioOutput: row.audio_output ?? 0,
          cachedAudio: row.cached_audio ?? 0,
          imageInput: row.image_input ?? 0,
          imageOutput: row.image_output ?? 0,
          cachedImage: row.cached_image ?? 0,
          total: row.total ?? (input ?? 0) + (output ?? 0),
        }
  const upstream = row.upstream ?? ''
  return prices.price({
    provider: upstreams.find(({ name }) => name === upstream)?.provider ?? '',
    upstream,
    model: row.upstream_model ?? row.model,
    serviceTier: row.service_tier,
    atMs: row.at_ms,
    usage,
    units: row.units === null ? null : (JSON.parse(row.units) as Record<string, number>),
    // A line of a batch is booked when the file of its output is read.
    batch: row.attempt === 0 && row.endpoint.startsWith('files'),
  }).costNanoUsd
}
