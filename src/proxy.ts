// The path of one request, top to bottom: the folders under stages/, in their order. Read this first.

import { deliver } from './deliver.ts'
import type { Exchange, Reply, Tap } from './exchange.ts'
import { refuse } from './refuse.ts'
import { revalidate } from './revalidate.ts'
import type { AcceptStage } from './stages/1-accept/accept.ts'
import type { AuthenticateStage } from './stages/2-authenticate/authenticate.ts'
import type { LimitStage, Overload } from './stages/3-limit/limit.ts'
import type { TransformStage } from './stages/4-transform/transform.ts'
import type { CacheStage } from './stages/5-cache/cache.ts'
import type { RouteStage } from './stages/6-route/route.ts'
import type { Account, UpstreamStage } from './stages/7-upstream/upstream.ts'
import type { MeterStage } from './stages/8-meter/meter.ts'
import type { LogStage } from './stages/9-log/log.ts'

export type { Overload }

/** The nine stages, built once from a configuration and swapped whole when it changes. */
export interface Stages {
  readonly accept: AcceptStage
  readonly authenticate: AuthenticateStage
  readonly limit: LimitStage
  readonly transform: TransformStage
  readonly cache: CacheStage
  readonly route: RouteStage<Account>
  /** Its `send` has a row in the ledger for each call: see `meter.around`. */
  readonly upstream: UpstreamStage
  /** `route.attempt` over `upstream.send`, for who has to ask again. Made once: a closure for each request is dear. */
  readonly ask: (x: Exchange) => Promise<Reply>
  readonly meter: MeterStage
  readonly log: LogStage
}

/** Answers one exchange. Never rejects: whatever goes wrong is a reply. */
export async function proxy(x: Exchange, stages: Stages): Promise<Reply> {
  const { accept, authenticate, limit, transform, cache, route, upstream, meter, log } = stages
  try {
    const answer = accept.head(x)
    if (answer !== null) return deliver(x, answer, [])
    const known = authenticate.credential(x)
    if (known !== undefined) await known
    const body = accept.body(x)
    if (body !== undefined) await body
    authenticate.rights(x)
    const reserved = limit.reserve(x)
    if (reserved !== undefined) await reserved
    const changed = transform.request(x)
    if (changed !== undefined) await changed
    const found = cache.find(x)
    const stored = found instanceof Promise ? await found : found
    const first = stored ?? (await cache.fetched(x, route.attempt(x, upstream.send)))
    if (x.revalidate) void revalidate(x, stages, finish)
    const mended = transform.reply(x, first, stages.ask)
    const reply = mended instanceof Promise ? await mended : mended
    // What is kept is the upstream's own; whoever is given it again has the rules applied anew.
    const seen = both(meter.tap(x, reply), cache.tap(x, reply))
    const taps = both(both(seen, transform.tap(x, reply)), cache.lastTap(x, reply))
    const delivered = deliver(x, reply, taps)
    if (x.durable !== null) await x.durable
    return delivered
  } catch (cause) {
    return refuse(x, cause, log.bug)
  }
}

/** Taps in their order; nearly all of these lists are empty. */
function both(first: readonly Tap[], then: readonly Tap[]): readonly Tap[] {
  if (then.length === 0) return first
  return first.length === 0 ? then : [...first, ...then]
}

/** Runs exactly once when an exchange has ended, however it ended. Never throws. */
export function finish(x: Exchange, { limit, cache, route, meter, log }: Stages): void {
  for (const step of [meter.settle, limit.settle, cache.settle, route.learn, log.write]) {
    try {
      step(x)
    } catch (cause) {
      log.bug(cause)
    }
  }
}

/** Ends what stages run beside requests. Exchanges under way end all the same. */
export function closeStages({ authenticate, limit, route, upstream }: Stages): void {
  authenticate.close()
  limit.close()
  route.close()
  upstream.close()
}
