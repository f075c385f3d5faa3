// Limits of upstream accounts: what is configured (`upstreams[].limits`, and limits per upstream), and what an upstream says
// of itself in `x-ratelimit-…`. Counted for each call, since only then it is known who is asked; routing looks before it
// chooses, so that an account's quota is not run into.

import type { AttemptTarget, Exchange, Reply } from '../../exchange.ts'
import type { Failure } from '../../failure.ts'
import type { Costs, Spent } from './costs.ts'
import type { Group, LimitMemory } from './memory.ts'
import { upstreamPlan } from './plan.ts'
import type { Rule } from './rule.ts'
import { countAll, firstRefusal, refusalOf, Reservation } from './reservation.ts'

/** What routing may ask of an upstream's limits. Both are cheap and change nothing. */
export interface UpstreamQuota {
  /** The share of its tightest limit that is left: 0 = used up, 1 = untouched, or nothing is known. */
  headroom(upstream: string): number
  /** Whether a request would be let through to it now. */
  admits(upstream: string, x: Exchange): boolean
}

/** What an upstream said of one of its own limits. */
interface Told {
  readonly limit: number
  remaining: number
  /** Monotonic: from then on it says nothing any more. */
  readonly untilMs: number
}

type Send<T> = (x: Exchange, target: T) => Promise<Reply>
const unused: Spent = { requests: 1, inputTokens: 0, outputTokens: 0, costNanoUsd: 0 }

export class Quota implements UpstreamQuota {
  readonly #told = new Map<string, Told[]>()

  constructor(
    private readonly parts: {
      readonly groups: readonly Group[]
      readonly costs: Costs
      readonly memory: LimitMemory
    },
  ) {}

  headroom(upstream: string): number {
    const at = this.parts.memory.now()
    let least = 1
    for (const { subjects, tracked } of this.parts.groups) {
      const record = subjects.find(accountOf(tracked[0]!.rule, upstream) ?? noAccount)
      if (record < 0) continue
      for (const each of tracked)
        least = Math.min(least, 1 - each.look(record).used(at) / Math.max(1, each.rule.limit))
    }
    for (const told of this.#told.get(upstream) ?? [])
      if (at.nowMs < told.untilMs && told.limit > 0) least = Math.min(least, told.remaining / told.limit)
    return Math.max(0, least)
  }

  admits(upstream: string, x: Exchange): boolean {
    const at = this.parts.memory.now()
    for (const told of this.#told.get(upstream) ?? [])
      if (at.nowMs < told.untilMs && told.remaining <= 0) return false
    const { groups } = this.parts
    return groups.length === 0 || firstRefusal(upstreamPlan(x, { ...this.parts, upstream }, at), at) === null
  }

  /** `send`, held against the upstream's limits. @throws Failure('rate_limit_exceeded') where one is reached */
  around<T extends AttemptTarget>(send: Send<T>): Send<T> {
    return (x, target) => {
      const refused = this.parts.groups.length > 0 ? this.#reserve(x, target.name) : null
      if (refused !== null) return Promise.reject(refused)
      return send(x, target).then((reply) => {
        this.learn(target.name, reply.headerLines)
        return reply
      })
    }
  }

  /** The refusal where it does not fit. */
  #reserve(x: Exchange, upstream: string): Failure | null {
    const { memory, costs } = this.parts
    const at = memory.now()
    const charges = upstreamPlan(x, { ...this.parts, upstream }, at)
    if (charges.length === 0) return null
    const refused = firstRefusal(charges, at)
    if (refused !== null) return refusalOf(refused)
    countAll(charges, at)
    const held = new Reservation(charges, { costs, memory })
    x.holds.push({
      settle: () => {
        // Only the call that answered used tokens, as far as anybody knows.
        const spent = costs.spent(x)
        held.book(x.upstream === upstream ? { ...spent, requests: 1 } : unused)
      },
    })
    return null
  }

  /** Takes down what the header lines of an answer say of the upstream's own limits. */
  learn(upstream: string, headerLines: string): void {
    if (!/x-ratelimit-remaining-/i.test(headerLines)) return
    const { nowMs } = this.parts.memory.now()
    const found: Told[] = []
    for (const what of ['requests', 'tokens']) {
      const limit = numberIn(headerLines, `limit-${what}`)
      const remaining = numberIn(headerLines, `remaining-${what}`)
      if (limit === null || remaining === null) continue
      const waitMs = resetMs(textIn(headerLines, `reset-${what}`))
      found.push({ limit, remaining, untilMs: nowMs + waitMs })
    }
    if (found.length > 0) this.#told.set(upstream, found)
  }
}

/** No owner's name: those of rules have no such character before their first NUL. */
const noAccount = '\u0001'

/** Who stands for an upstream in a rule that counts nothing but upstreams; null = it tells apart more than that. */
function accountOf({ per, match }: Rule, upstream: string): string | null {
  if (match.upstreams?.includes(upstream) === false) return null
  if (per.length === 0) return match.upstreams === undefined ? null : ''
  return per.length === 1 && per[0] === 'upstream' ? upstream : null
}

function textIn(lines: string, name: string): string {
  return new RegExp(`^x-ratelimit-${name}:[ \\t]*([^\\r\\n]{1,64}?)[ \\t]*\\r?$`, 'im').exec(lines)?.[1] ?? ''
}

function numberIn(lines: string, name: string): number | null {
  const text = textIn(lines, name)
  return /^\d{1,15}$/.test(text) ? Number(text) : null
}

const toldMaxMs = 60_000

/** `6m0s`, `120ms`, `1s`, or plain seconds; a minute at most, since what is told grows old. */
function resetMs(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(Number(text) * 1000, toldMaxMs)
  const unit: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 }
  let ms = 0
  for (const [, number, name] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g))
    ms += Number(number) * unit[name!]!
  return Math.min(ms, toldMaxMs)
}
