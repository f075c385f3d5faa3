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

/** Answers one exchange, at once where nothing has to be waited for. Never throws nor rejects: whatever goes wrong is a reply. */
export function proxy(x: Exchange, stages: Stages): Reply | Promise<Reply> {
  try {
    const answer = stages.accept.head(x)
    const reply = answer === null ? stepsFrom(0, x, stages) : deliver(x, answer, [])
    return reply instanceof Promise ? reply.catch((cause: unknown) => failed(x, cause, stages)) : reply
  } catch (cause) {
    return failed(x, cause, stages)
  }
}

/** What is done before there is an answer, in order. Each is done at once; a promise only where it has to wait. */
const steps: readonly ((x: Exchange, stages: Stages) => void | Promise<void>)[] = [
  (x, { authenticate }) => authenticate.credential(x),
  (x, { accept }) => accept.body(x),
  (x, { authenticate }) => authenticate.rights(x),
  (x, { limit }) => limit.reserve(x),
  (x, { transform }) => transform.request(x),
]

function stepsFrom(first: number, x: Exchange, stages: Stages): Reply | Promise<Reply> {
  for (let index = first; index < steps.length; index++) {
    const waiting = steps[index]!(x, stages)
    if (waiting !== undefined) return waiting.then(() => stepsFrom(index + 1, x, stages))
  }
  const found = stages.cache.find(x)
  return found === null || found instanceof Promise ? fetched(x, found, stages) : given(x, found, stages)
}

async function fetched(x: Exchange, found: Promise<Reply | null> | null, stages: Stages): Promise<Reply> {
  const { cache, route, upstream } = stages
  const stored = found === null ? null : await found
  return given(x, stored ?? (await cache.fetched(x, route.attempt(x, upstream.send))), stages)
}

/** The answer of an upstream or of the cache, on its way to the client. */
function given(x: Exchange, first: Reply, stages: Stages): Reply | Promise<Reply> {
  if (x.revalidate) void revalidate(x, stages, finish)
  const mended = stages.transform.reply(x, first, stages.ask)
  return mended instanceof Promise
    ? mended.then((reply) => tapped(x, reply, stages))
    : tapped(x, mended, stages)
}

function tapped(x: Exchange, reply: Reply, { transform, cache, meter }: Stages): Reply | Promise<Reply> {
  // What is kept is the upstream's own; whoever is given it again has the rules applied anew.
  const seen = both(meter.tap(x, reply), cache.tap(x, reply))
  const taps = both(both(seen, transform.tap(x, reply)), cache.lastTap(x, reply))
  const delivered = deliver(x, reply, taps)
  return x.durable === null ? delivered : x.durable.then(() => delivered)
}

function failed(x: Exchange, cause: unknown, { log }: Stages): Reply {
  return refuse(x, cause, log.bug)
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
