// `headgate cache simulate`: what would caching have saved on the requests that were recorded? Needs no bodies: a request is
// its digest, and its answer is as long and as dear as it was. Played through once for each time to live.

import { parseDuration } from '../base/duration.ts'
import { systemClock } from '../base/clock.ts'
import type { SeenRequest } from '../storage/cache-seen.ts'
import { columns, withCacheFile } from './cache-opened.ts'
import type { CacheOptions } from './cache.ts'
import { printError, printed } from './print.ts'

/** Options of `cache simulate`. */
export interface SimulateOptions extends CacheOptions {
  /** Durations with commas. */
  readonly ttl: string
  readonly from?: string
}

/** What a cache with one time to live would have done. */
export interface Simulated {
  readonly ttl: string
  readonly requests: number
  readonly hits: number
  readonly savedTokens: number
  readonly savedNanoUsd: number
  /** Hits whose cost is not known: the savings are larger. */
  readonly unpriced: number
  /** Most bytes that were fresh at a time. */
  readonly bytes: number
}

/** Plays requests, oldest first, through a cache that keeps each answer for `ttlMs`. */
export function simulate(requests: Iterable<SeenRequest>, ttl: string, ttlMs: number): Simulated {
  const stored = new Map<string, SeenRequest>()
  const total = { requests: 0, hits: 0, savedTokens: 0, savedNanoUsd: 0, unpriced: 0, bytes: 0 }
  let held = 0
  for (const request of requests) {
    const { key, atMs, weight, bytes } = request
    // What came again within moments would have been answered whatever its time to live.
    const repeats = request.repeats * weight
    total.requests += weight + repeats
    // In the order in which they were stored, which is that of their ends.
    for (const [old, one] of stored) {
      if (atMs - one.atMs < ttlMs) break
      stored.delete(old)
      held -= one.bytes * one.weight
    }
    const known = stored.get(key)
    if (known === undefined) {
      stored.set(key, request)
      held += bytes * weight
      total.bytes = Math.max(total.bytes, held)
    }
    const answer = known ?? request
    const hits = known === undefined ? repeats : weight + repeats
    total.hits += hits
    total.savedTokens += answer.tokens * hits
    if (answer.costNanoUsd === null) total.unpriced += hits
    else total.savedNanoUsd += answer.costNanoUsd * hits
  }
  return { ttl, ...total }
}

/** `cache simulate`. @returns the exit code */
export async function runCacheSimulate(options: SimulateOptions): Promise<number> {
  const times = options.ttl.split(',').map((text) => ({ text: text.trim(), ms: parseDuration(text.trim()) }))
  const wrong = times.find(({ ms }) => ms === null || ms === 0)
  const fromMs = options.from === undefined ? 0 : momentOf(options.from)
  if (wrong !== undefined || fromMs === null || times.length > 20) {
    const what =
      wrong === undefined && fromMs === null
        ? '--from takes a date such as 2027-01-31, or a duration such as 7d'
        : '--ttl takes up to 20 durations with commas, such as 1h,24h'
    printError(`headgate: ${what}.\n`)
    return 2
  }
  return withCacheFile(options, (file) => {
    const results = times.map(({ text, ms }) => simulate(file.seen(fromMs), text, ms!))
    if (options.format === 'json') return printed(JSON.stringify({ rows: results }, null, 2))
    if (results[0]!.requests === 0) {
      return printed('No requests are recorded. They are while cache.mode is exact, or cache.record is true.')
    }
    const rows = results.map((one) => [
      one.ttl,
      String(one.requests),
      String(one.hits),
      `${((100 * one.hits) / one.requests).toFixed(1)} %`,
      String(one.savedTokens),
      `$${(one.savedNanoUsd / 1e9).toFixed(4)}${one.unpriced > 0 ? ' +' : ''}`,
      `${(one.bytes / 1_048_576).toFixed(1)} MB`,
    ])
    const head = ['TTL', 'REQUESTS', 'HITS', 'RATE', 'TOKENS SAVED', 'MONEY SAVED', 'STORE']
    const note = results.some(({ unpriced }) => unpriced > 0)
      ? '\n+ some hits have no known price: the savings are larger'
      : ''
    return printed(columns([head, ...rows]) + note)
  })
}

function momentOf(text: string): number | null {
  const ms = parseDuration(text)
  if (ms !== null) return systemClock.wallMs() - ms
  const atMs = /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2}))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  return Number.isNaN(atMs) ? null : atMs
}
