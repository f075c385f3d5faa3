// One way a request can go: an account, and the model it is asked for there. Which ways there are depends on the route,
// the model and the caller, and is worked out once for each combination; whether a way is open now is looked at in the
// moment of choosing. A way also learns: what came of each attempt is told to it once, when the attempt is over.

import type { Clock } from '../../base/clock.ts'
import type { Attempt, Exchange, UnderWay } from '../../exchange.ts'
import type { BreakerRules } from './breaker.ts'
import type { AccountHealth, ModelHealth } from './health.ts'

/** An upstream as a route sees it: what there is to choose by. */
export interface Target {
  readonly name: string
  /** Which account of its provider. */
  readonly account: string
  /** Which kind of provider it is. */
  readonly providerName: string
  /** Environment whose callers alone may be sent there; null = all. */
  readonly env: string | null
  /** One key that is refused can be replaced at once. */
  readonly spareKeys: boolean
  /** Stands for the key that the next request goes out with. */
  keyInUse(): unknown
  /** Whether it has a key left that can be used, or needs none. */
  hasKey(): boolean
}

/** What a way is made of. */
export interface ChoiceParts<T extends Target> {
  readonly target: T
  /** What is known of the model there. */
  readonly health: ModelHealth
  /** What the model is called there; null = as the request names it. */
  readonly model: string | null
  /** Above 0. */
  readonly weight: number
  readonly rules: BreakerRules
  readonly clock: Clock
}

/** What an attempt tells of the way it took. `nothing`: such as of one whose client left. */
export type Outcome = 'success' | 'failure' | 'nothing'

export class Choice<T extends Target = Target> implements UnderWay {
  readonly target: T
  readonly account: AccountHealth
  readonly health: ModelHealth
  readonly model: string | null
  readonly weight: number
  /** Spreads hashes: differs between accounts, stays over restarts. */
  readonly seed: number
  readonly #rules: BreakerRules
  readonly #clock: Clock

  constructor({ target, health, model, weight, rules, clock }: ChoiceParts<T>) {
    this.target = target
    this.account = health.account
    this.health = health
    this.model = model
    this.weight = weight
    this.seed = seedOf(target.name)
    this.#rules = rules
    this.#clock = clock
  }

  /** Whether it may be taken now: not drained, not limited, not broken, with a key. Allocates nothing. */
  isOpen(nowMs: number): boolean {
    const { account, health, target } = this
    if (account.draining || account.down || nowMs < account.emptyUntilMs || nowMs < health.limitedUntilMs)
      return false
    return health.allows(nowMs) && target.hasKey()
  }

  /** When it is open again as far as limits go; 0 = they do not keep it shut. */
  limitedUntilMs(nowMs: number): number {
    const untilMs = Math.max(this.account.emptyUntilMs, this.health.limitedUntilMs)
    return untilMs > nowMs ? untilMs : 0
  }

  /** An attempt goes this way. */
  begin(): void {
    this.account.busy++
    this.health.busy++
    this.health.requests++
    const { breaker } = this.health
    if (breaker.opensUntilMs !== 0) breaker.asked(this.#clock.nowMs())
  }

  /** The attempt with which an exchange ended, whatever came of it: told once. */
  over(x: Exchange, attempt: Attempt): void {
    this.end(attempt, outcomeOf(x, attempt))
  }

  /** An attempt is over. Only the first call for each counts. */
  end(attempt: Attempt, outcome: Outcome): void {
    if (attempt.underWay !== this) return
    attempt.underWay = null
    this.account.busy--
    this.health.busy--
    const nowMs = this.#clock.nowMs()
    if (outcome === 'nothing') this.health.breaker.nothing()
    else if (outcome === 'failure') {
      this.health.failures++
      if (this.health.breaker.failed(nowMs, this.#rules)) this.health.breakerMoved()
    } else {
      if (this.health.breaker.succeeded()) this.health.breakerMoved()
      if (attempt.firstByteAtMs > 0)
        this.health.measure(attempt.firstByteAtMs - attempt.startedAtMs, attempt.firstByteAtMs)
    }
  }

  /** Leaves it alone for the cooldown: it answers, but far slower than the others. */
  eject(nowMs: number): void {
    this.health.breaker.openUntil(nowMs + this.#rules.cooldown)
    this.health.forgetLatency()
  }
}

/** What the attempt that answered, or was the last, tells of its upstream. */
function outcomeOf({ gone, failure }: Exchange, attempt: Attempt): Outcome {
  if (gone || failure?.code === 'client_gone') return 'nothing'
  if (attempt.fault !== null)
    return attempt.fault === 'aborted' || attempt.fault === 'too_large' ? 'nothing' : 'failure'
  if (failure?.code === 'upstream_timeout' || failure?.code === 'upstream_unavailable') return 'failure'
  if (attempt.status === 0 || attempt.status === 401 || attempt.status === 429) return 'nothing'
  return attempt.status >= 500 ? 'failure' : 'success'
}

/** Ways of one rank, with what is summed up once. */
export class ChoiceSet<T extends Target = Target> {
  /** Weights summed up to and with each choice. */
  readonly sums: readonly number[]
  readonly total: number
  /** Where the rotation stands; see round-robin.ts. */
  turn = 0

  #byWeight: readonly EqualWeights[] | null = null

  constructor(readonly choices: readonly Choice<T>[]) {
    let total = 0
    this.sums = choices.map(({ weight }) => (total += weight))
    this.total = total
  }

  /** The seeds of all choices; made when first asked for. */
  get byWeight(): readonly EqualWeights[] {
    return (this.#byWeight ??= equalWeights(this.choices))
  }
}

/** Choices of one weight: their seeds, and where they stand. */
export interface EqualWeights {
  readonly weight: number
  readonly seeds: Int32Array
  readonly places: Uint32Array
}

function equalWeights(choices: readonly Choice[]): EqualWeights[] {
  const groups = Map.groupBy(choices.keys(), (at) => choices[at]!.weight)
  return [...groups].map(([weight, places]) => ({
    weight,
    seeds: Int32Array.from(places, (at) => choices[at]!.seed),
    places: Uint32Array.from(places),
  }))
}

/** A number for a name, the same everywhere (FNV-1a, then mixed). */
export function seedOf(name: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  return mix(hash)
}

/** Spreads the bits of a 32-bit number (the finaliser of MurmurHash3). */
export function mix(number: number): number {
  return mixed(number) >>> 0
}

/** The same with a sign. */
export function mixed(number: number): number {
  let hash = number
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
