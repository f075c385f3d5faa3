// What is kept of an answer, and for how long.

import type { Reply } from '../../exchange.ts'
import { Entry } from './entry.ts'
import { keptLines, type Flight } from './flight.ts'
import type { CacheOptions } from './options.ts'
import { formOf, judge } from './storable.ts'
import { jittered, ttlOf } from './ttl.ts'

/** Answers that hold addresses which end to work after an hour. */
const shortLivedMs = 30 * 60_000

/** An entry of a complete answer, and for how long it may be kept: 0 = not at all. */
export function makeEntry(
  { asked, leader, more, pace, worth }: Flight,
  { reply, body }: { readonly reply: Reply; readonly body: Uint8Array },
  options: CacheOptions & { readonly nowMs: number },
): { readonly entry: Entry; readonly ttlMs: number } {
  const judged = body.length > options.store.entry ? null : judge(asked.endpoint, reply, body)
  const { status, contentType } = reply
  const { endpoint, model } = asked
  const { team } = leader.principal
  const { directives, askedAtMs } = more
  let ttlMs = 0
  if (judged !== null && directives.write)
    ttlMs = ttlOf({ endpoint, model, team, status, contentType }, options, directives.ttlMs)
  if (judged?.shortLived === true) ttlMs = Math.min(ttlMs, shortLivedMs)
  if (status === 429) ttlMs = Math.min(ttlMs, retryAfterMs(reply.headerLines))
  const { nowMs, staleIfError, staleWhileRevalidate } = options
  const freshUntilMs = nowMs + jittered(ttlMs, options.jitter, asked.key)
  const staleMs = status === 200 ? Math.max(staleIfError, staleWhileRevalidate) : 0
  const known = worth.facts()
  const facts = {
    ...known,
    serviceTier: known.serviceTier ?? judged?.serviceTier ?? null,
    status,
    contentType,
    headerLines: keptLines(reply.headerLines),
    form: formOf(contentType),
    endpoint,
    model,
    team,
    tags: directives.tags,
    createdAtMs: nowMs,
    freshUntilMs,
    keptUntilMs: freshUntilMs + staleMs,
    askedAtMs,
    pace,
  }
  return { entry: new Entry(asked.key, facts, body), ttlMs }
}

function retryAfterMs(headerLines: string): number {
  const ms = /^retry-after-ms: *(\d{1,9})\r$/im.exec(headerLines)?.[1]
  if (ms !== undefined) return Number(ms)
  const seconds = /^retry-after: *(\d{1,7})\r$/im.exec(headerLines)?.[1]
  return seconds === undefined ? Infinity : Number(seconds) * 1000
}
