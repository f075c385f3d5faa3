// Stage 6, route: chooses an upstream and asks it, and another where that one fails before it has said anything. The
// request is prepared once, before this stage; whatever is tried here sends the same bytes, but for the model's name.

import type { Clock } from '../../base/clock.ts'
import { randomFraction } from '../../base/id.ts'
import type { Exchange, Reply } from '../../exchange.ts'
import type { Sweeper } from '../../net/wire/sweeper.ts'
import { namesObjects, SeenObjects, type AccountLookup } from './affinity.ts'
import { namesOneModel } from './asked.ts'
import { attemptAtOwner, noteMade } from './at-owner.ts'
import { startChecks, type Probe } from './checks.ts'
import type { Target } from './choice.ts'
import { continuing } from './continue.ts'
import { headroom } from './headroom.ts'
import { AccountMemory, type AccountReport } from './health.ts'
import { leastBusy } from './least-busy.ts'
import { leastLatency } from './least-latency.ts'
import { mergedList } from './merged-list.ts'
import { mergedModels } from './merged-models.ts'
import { usualRoute, type PickName, type RouteConfig } from './options.ts'
import { isSimple, only } from './only-way.ts'
import { ejectSlow } from './outlier.ts'
import { routeOf, routesOf, waysOf, type Member } from './plan.ts'
import { prefixAffinity } from './prefix-affinity.ts'
import { priority } from './priority.ts'
import { roundRobin } from './round-robin.ts'
import type { Picker } from './router.ts'
import { Trial } from './trial.ts'
import type { AccountQuota, Send, TrialParts } from './trial-parts.ts'
import { weighted } from './weighted.ts'

export type { BreakerShare } from './breaker-share.ts'
export {
  AccountMemory,
  SeenObjects,
  usualRoute,
  type AccountLookup,
  type AccountReport,
  type Member,
  type RouteConfig,
}

export interface RouteStage<T extends Target = Target> {
  /** The reply of an upstream. @throws Failure */
  attempt(x: Exchange, send: Send<T>): Promise<Reply>
  /** Takes in what the exchange's last attempt came to. */
  learn(x: Exchange): void
  /** What is known of an account. */
  report(name: string): AccountReport
  /** Takes an account out of choosing, or back in; requests under way there end. */
  drain(name: string, draining: boolean): void
  /** Ends the active checks. */
  close(): void
}

export interface RouteOptions<T extends Target> {
  readonly members: readonly Member<T>[]
  /** Routes as configured, and what holds for what none of them matches. */
  readonly routes: readonly RouteConfig[]
  readonly usual: RouteConfig
}

export interface RouteParts<T extends Target> {
  readonly clock: Clock
  readonly sweeper: Sweeper
  /** Outlives this stage. */
  readonly memory: AccountMemory
  readonly probe: Probe<T>
  readonly lookup?: AccountLookup
  readonly quota?: AccountQuota
  readonly random?: () => number
}

const pickers: Record<PickName, Picker> = {
  weighted,
  roundRobin,
  leastBusy,
  leastLatency,
  headroom,
  priority,
  prefixAffinity,
}

export function createRoute<T extends Target>(options: RouteOptions<T>, parts: RouteParts<T>): RouteStage<T> {
  const { clock, memory } = parts
  const routes = routesOf(options.routes, options.usual, options.members)
  const firstTokens = new Map(options.members.map((each) => [each.target, each.firstTokenMs]))
  const lookup = parts.lookup ?? new SeenObjects()
  const several = options.members.length > 1
  const renames = options.members.some(({ models }) => models !== null)
  const aliases = several || renames
  const trial: TrialParts<T> = {
    ...parts,
    random: parts.random ?? randomFraction,
    firstTokenMs: (target) => firstTokens.get(target) ?? Infinity,
    made: (id, target) => void (several && lookup.made(id, target.name)),
    accepted: (x, reply) => void (several && noteMade(x, reply, lookup)),
    pick: (route, rank, ask) => pickers[route.config.pick].pick(rank, ask),
  }
  // Known from the start, so that what other gateways say of them is heard.
  for (const { target } of options.members) memory.of(target.name)
  const closeChecks = startChecks(routes, parts)
  const around = { options, parts: trial, lookup, cursors: new Map() }
  return {
    attempt(x, send) {
      if (renames) namesOneModel(x)
      const route = routeOf(routes, x)
      const ways = waysOf(route, x, trial)
      const simple = isSimple(route, ways, trial)
      if (isModelList(x) && (aliases || x.principal.models !== null))
        return mergedModels({ x, send, route, ways }, around)
      if (simple && !several) return only(x, send, ways)
      if (several && x.endpoint!.ownsIds && x.request.method === 'GET' && ways.all.length > 1) {
        const merged = mergedList({ x, send, route, ways }, around)
        if (merged !== null) return merged
      }
      if (several && namesObjects(x)) return attemptAtOwner({ x, send, route, ways }, around)
      if (route.config.breaker.slowFactor !== null)
        ejectSlow(ways, route.config.breaker.slowFactor, clock.nowMs())
      const made = new Trial(x, send, { route, ways, parts: trial })
      return route.config.continue ? continued(made) : made.run()
    },
    learn(x) {
      for (const attempt of x.tried) attempt.underWay?.over(x, attempt)
    },
    report: (name) => memory.of(name).report(clock.nowMs()),
    drain: (name, draining) => void (memory.of(name).draining = draining),
    close: closeChecks,
  }
}

/** By itself: a function that makes a closure pays for it at every call. */
function continued<T extends Target>(made: Trial<T>): Promise<Reply> {
  return made.run().then((reply) => continuing(made, reply))
}

function isModelList({ request }: Exchange): boolean {
  return request.path === '/v1/models' && request.method === 'GET'
}
