// Stage 3, limit: reserves the worst case before an upstream is asked, settles with the truth after. All or nothing: where
// one limit refuses, none has counted. Counters are in this process; where gateways share a Redis, it decides, and what is
// here follows.

import type { Clock } from '../../base/clock.ts'
import type { AttemptTarget, Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { rulesFrom, type LimitOptions } from './compile.ts'
import type { Costs } from './costs.ts'
import { Gate } from './gate.ts'
import { listLimits, type LimitRow } from './listing.ts'
import { groupsOf, LimitMemory, type Tracked } from './memory.ts'
import { OwnBudgets } from './own-budget.ts'
import { Seating } from './places.ts'
import { planOf, type Planning } from './plan.ts'
import { Quota, type UpstreamQuota } from './quota.ts'
import { keyOf } from './rule.ts'
import { SharedLimits, type SharedStore } from './shared.ts'
import { Recollection, type SpendLookup } from './spend.ts'
import { Warnings } from './warnings.ts'

export { plainCosts, type Costs } from './costs.ts'
export { Overload, type OverloadOptions } from './overload.ts'
export { LimitMemory, type LimitRow, type SharedStore, type SpendLookup, type UpstreamQuota }

type Send<T> = (x: Exchange, target: T) => Promise<Reply>

export interface LimitStage {
  /** Undefined where nothing has to be waited for. @throws Failure where a limit is reached; then nothing stays reserved */
  reserve(x: Exchange): void | Promise<void>
  settle(x: Exchange): void
  /** `send`, held against the limits of upstreams. */
  around<T extends AttemptTarget>(send: Send<T>): Send<T>
  /** For routing: what is left of the upstreams' limits. */
  readonly quota: UpstreamQuota
  /** Resolves when what was used before this process began is counted. @throws where the ledger cannot be read */
  ready(): Promise<void>
  /** Who is at what, nearest to the limit first. */
  rows(): Promise<LimitRow[]>
  close(): void
}

/** What stage 3 is built of. */
export interface LimitParts {
  readonly limits: readonly LimitOptions[]
  /** Limits of upstream accounts, by the upstream's name. */
  readonly upstreams: ReadonlyMap<string, Omit<LimitOptions, 'name'>>
  readonly clock: Clock
  readonly memory: LimitMemory
  readonly costs: Costs
  /** Redis; null = every gateway counts for itself. */
  readonly shared: SharedStore | null
  readonly whenRedisDown: 'local' | 'refuse'
  /** The ledger's sums; null = there is no ledger. */
  readonly spend: SpendLookup | null
  readonly warn: (text: string) => void
  /** The name of a key of the store; absent = there is no store. */
  readonly keyName?: (id: string) => string | null
  /** How long what a gateway holds in Redis outlives it; absent = a minute. */
  readonly leaseMs?: number
}

export function createLimit(parts: LimitParts): LimitStage {
  const { memory, costs, spend, keyName = () => null } = parts
  const configured = memory.track([...rulesFrom(parts.limits), ...upstreamRules(parts.upstreams)])
  const aboutUpstreams = configured.tracked.filter(isAboutUpstreams)
  const rules = configured.tracked.filter((tracked) => !isAboutUpstreams(tracked))
  const recollection = new Recollection(spend, memory)
  recollection.add(configured.fresh)
  const own = new OwnBudgets(memory, (fresh) => recollection.add([fresh]))
  const groups = groupsOf(rules)
  const planning: Planning = {
    groups,
    seating: new Seating(groups),
    own: ({ principal }) => own.ruleOf(principal.budget ?? null, keyOf(principal)),
    costs,
    priced: rules.some(({ rule }) => rule.quantity === 'cost'),
    seesModel: rules.some(({ rule }) => rule.per.includes('model') || rule.match.models !== undefined),
  }
  const shared = parts.shared === null ? null : new SharedLimits(parts.shared, parts.leaseMs)
  const quota = new Quota({ groups: groupsOf(aboutUpstreams), costs, memory, shared })
  const gate = new Gate(parts, { shared, warnings: new Warnings(parts.warn) })
  const reserve = (x: Exchange): void | Promise<void> => {
    const at = memory.now()
    const charges = planOf(x, planning, at)
    return charges.length === 0 ? undefined : gate.reserve(x, charges, at)
  }
  return {
    reserve(x) {
      // A budget not met before makes a recollection due. Plans are made after it: it makes accounts, and may drop unused ones.
      const budget = planning.own(x)
      if (rules.length === 0 && budget === null) return
      return recollection.due ? recollection.done().then(() => reserve(x), unreadable) : reserve(x)
    },
    settle(x) {
      x.limitsSettled = true
      if (x.holds.length > 0) for (const hold of x.holds.splice(0)) hold.settle(x)
    },
    around: (send) => quota.around(send),
    quota,
    ready: () => recollection.done(),
    rows: () => listLimits({ rules: configured.tracked, memory, own, keyName }),
    close: () => shared?.close(),
  }
}

function unreadable(cause: unknown): never {
  const detail = `the ledger cannot be read: ${(cause as Error).message}`
  throw new Failure('overloaded', 'Your budget cannot be checked now. Try again later.', { detail })
}

function upstreamRules(upstreams: LimitParts['upstreams']) {
  return [...upstreams].flatMap(([name, limits]) =>
    rulesFrom([{ ...limits, name: `upstream-${name}`, match: { upstreams: [name] } }]),
  )
}

function isAboutUpstreams({ rule }: Tracked): boolean {
  return rule.per.includes('upstream') || rule.match.upstreams !== undefined
}
