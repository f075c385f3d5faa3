// Limits of upstream accounts: what is configured (`upstreams[].limits`, and limits per upstream), and what an upstream says
// of itself in `x-ratelimit-…`. Counted for each call, since only then it is known who is asked; routing looks before it
// chooses, so that an account's quota is not run into.

import type { AttemptTarget, Exchange, Reply } from '../../exchange.ts'
import type { Failure } from '../../failure.ts'
import type { Costs, Spent } from './costs.ts'
import type { Group, LimitMemory } from './memory.ts'
import { upstreamPlan, type Charge } from './plan.ts'
import { countAll, firstRefusal, refusalOf, Reservation, type Unfit } from './reservation.ts'
import { Sayings } from './sayings.ts'
import type { Moment, Rule } from './rule.ts'
import type { SharedLimits } from './shared.ts'

/** What routing may ask of an upstream's limits, for a model as the upstream calls it. Cheap, and changes nothing. */
export interface UpstreamQuota {
  /** What is left of its tightest own limit, in requests; Infinity = it has none. */
  room(upstream: string): number
  /** How long until a request would be let through to it, in ms; 0 = now. */
  waitMs(upstream: string, x: Exchange, model: string | null): number
}

/** What a request is taken to need where a limit counts tokens. */
const tokensPerRequest = 1000

/** What the others have used is known anew by then. */
const askedAgainMs = 1000

type Send<T> = (x: Exchange, target: T) => Promise<Reply>
const unused: Spent = { requests: 1, inputTokens: 0, outputTokens: 0, costNanoUsd: 0 }

export class Quota implements UpstreamQuota {
  readonly #said = new Sayings()
  readonly #now = () => this.parts.memory.now()
  #calls = 0

  constructor(
    private readonly parts: {
      readonly groups: readonly Group[]
      readonly costs: Costs
      readonly memory: LimitMemory
      /** Redis; null = every gateway counts for itself. */
      readonly shared: SharedLimits | null
    },
  ) {}

  room(upstream: string): number {
    let least = Infinity
    const { groups, memory } = this.parts
    if (groups.length === 0) return least
    const at = memory.now()
    for (const { subjects, tracked } of groups) {
      const owner = accountOf(tracked[0]!.rule, upstream)
      if (owner === null) continue
      const record = subjects.find(owner)
      for (const each of tracked) {
        const { rule } = each
        const others = this.parts.shared?.othersIn(each, record, at) ?? 0
        const left = rule.limit - others - (record < 0 ? 0 : each.look(record).used(at))
        const unit = rule.quantity === 'requests' || rule.quantity === 'concurrent' ? 1 : tokensPerRequest
        if (rule.enforce) least = Math.min(least, left / unit)
      }
    }
    return Math.max(0, least)
  }

  waitMs(upstream: string, x: Exchange, model: string | null): number {
    const { groups, memory } = this.parts
    if (groups.length === 0 && this.#said.none) return 0
    const at = memory.now()
    const saidMs = this.#said.waitMs(upstream, model, at.nowMs)
    if (groups.length === 0) return saidMs
    const unfit = this.#unfit(upstreamPlan(x, { ...this.parts, upstream }, at), at)
    return Math.max(saidMs, unfit === null ? 0 : unfit.waitMs)
  }

  /** `send`, held against the upstream's limits. @throws Failure('rate_limit_exceeded') where one is reached */
  around<T extends AttemptTarget>(send: Send<T>): Send<T> {
    return (x, target) => {
      const refused = this.parts.groups.length > 0 ? this.#reserve(x, target.name) : null
      if (refused !== null) return Promise.reject(refused)
      const model = x.routedModel ?? x.model
      return send(x, target).then((reply) => {
        if (reply.headerLines.includes('atelimit-'))
          this.#said.note(target.name, model, {
            headerLines: reply.headerLines,
            nowMs: this.parts.memory.now().nowMs,
          })
        return reply
      })
    }
  }

  /** The charge that does not fit, with what the other gateways have used, as they said last. */
  #unfit(charges: readonly Charge[], at: Moment): Unfit | null {
    const { shared } = this.parts
    const here = firstRefusal(charges, at)
    if (here !== null || shared === null) return here
    for (const charge of charges) {
      const { rule } = charge.tracked
      const others = shared.othersOf(charge, at)
      if (others === 0 || !rule.enforce) continue
      const used = charge.look(at).used(at) + others
      if (used + charge.amount <= rule.limit) continue
      shared.refresh(charge, this.#now)
      return { charge, waitMs: askedAgainMs, used }
    }
    return null
  }

  /** The refusal where it does not fit. */
  #reserve(x: Exchange, upstream: string): Failure | null {
    const { memory, costs, shared } = this.parts
    const at = memory.now()
    const charges = upstreamPlan(x, { ...this.parts, upstream }, at)
    if (charges.length === 0) return null
    const refused = this.#unfit(charges, at)
    if (refused !== null) return refusalOf(refused)
    countAll(charges, at)
    const id = `${x.id}-upstream-${this.#calls++}`
    shared?.follow(id, charges, this.#now)
    const also = shared === null ? null : (actual: readonly number[]) => shared.settle(id, actual)
    const held = new Reservation(charges, { costs, memory }, also)
    x.holds.push({
      settle: () => {
        // Only the call that answered used tokens, as far as anybody knows.
        const spent = costs.spent(x)
        held.book(x.upstream === upstream ? { ...spent, requests: 1 } : unused)
      },
    })
    return null
  }
}

/** Who stands for an upstream in a rule that counts nothing but upstreams; null = it tells apart more than that. */
function accountOf({ per, match }: Rule, upstream: string): string | null {
  if (match.upstreams?.includes(upstream) === false) return null
  if (per.length === 0) return match.upstreams === undefined ? null : ''
  return per.length === 1 && per[0] === 'upstream' ? upstream : null
}
