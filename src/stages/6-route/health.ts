// What is known of the accounts, for as long as the process runs: a reload builds the stages anew and keeps this. Per
// account what concerns all of it (under way, drained, out of quota), per model what differs by model: breaker, rate
// limit, latency. Models come from requests, so how many are told apart has a bound; the rest share one.

import type { Clock } from '../../base/clock.ts'
import { Breaker, type BreakerState } from './breaker.ts'
import { heardMsMax, leaseMs, type BreakerShare, type Sharing, type ShutOff } from './breaker-share.ts'

/** Models of one account that are told apart. */
const modelsMax = 256
/** How soon it is asked again whether the probe is ours, where it was another's. */
const claimEveryMs = 1000

/** Time for the running mean to forget two thirds. */
const decayMs = 10_000
/** Tokens that a request is taken to need, to compare tokens with requests. */
const tokensPerRequest = 1000
/** Answers that the mean is of, about. */
const meanOf = 10

/** One model at one account. */
export class ModelHealth {
  readonly breaker = new Breaker()
  /** The upstream said to come back then; 0 = it did not. */
  limitedUntilMs = 0
  /** What the upstream said is left of its limits, as fractions of the limit or counts; null = not said. */
  remainingRequests: number | null = null
  remainingTokens: number | null = null
  /** When what is said to remain was said; it counts for a minute. */
  remainingAtMs = -Infinity
  /** The same in requests, the lesser of both; Infinity = not said. */
  room = Infinity
  /** Under way now. */
  busy = 0
  requests = 0
  failures = 0
  #latencyMs = 0
  #latencyAtMs = 0
  /** The one probe over all gateways is ours until then. */
  #leasedUntilMs = 0
  #claimAtMs = -Infinity
  /** Answers measured. */
  measured = 0
  /** Mean of the same, in which one that was slow by chance counts little; to compare upstreams by. */
  meanMs = 0

  constructor(
    readonly account: AccountHealth,
    /** '' = requests that name none, and models beyond the bound. */
    readonly model: string,
  ) {}

  /** Time to the first byte: a mean that follows a rise at once and a fall slowly (peak EWMA); 0 = not measured. */
  get latencyMs(): number {
    return this.#latencyMs
  }

  /** The same as it counts now: what was slow long ago, and has not been asked since, may be fast by now. */
  latencyAt(nowMs: number): number {
    return this.#latencyMs * Math.exp(Math.min(0, this.#latencyAtMs - nowMs) / decayMs)
  }

  /** The upstream said what is left of its limits. */
  remains(requests: number | null, tokens: number | null, nowMs: number): void {
    this.remainingRequests = requests
    this.remainingTokens = tokens
    this.remainingAtMs = nowMs
    this.room = Math.min(requests ?? Infinity, (tokens ?? Infinity) / tokensPerRequest)
  }

  measure(durationMs: number, nowMs: number): void {
    this.measured++
    this.meanMs += (durationMs - this.meanMs) / Math.min(this.measured, meanOf)
    if (durationMs >= this.#latencyMs) this.#latencyMs = durationMs
    else {
      const share = Math.exp(-(nowMs - this.#latencyAtMs) / decayMs)
      this.#latencyMs = this.#latencyMs * share + durationMs * (1 - share)
    }
    this.#latencyAtMs = nowMs
  }

  /** Whether its breaker lets a request pass. Where gateways share it, one of them alone probes: see breaker-share.ts. */
  allows(nowMs: number): boolean {
    const { breaker, account } = this
    if (breaker.opensUntilMs === 0) return true
    return breaker.allows(nowMs) && (account.sharing === null || this.#mayProbe(account.sharing, nowMs))
  }

  /** Its breaker opened or closed here: other gateways are told. */
  breakerMoved(): void {
    this.#leasedUntilMs = 0
    const { sharing, name } = this.account
    if (sharing === null) return
    const { opensUntilMs, times } = this.breaker
    const forMs = opensUntilMs === 0 ? 0 : Math.max(1, Math.ceil(opensUntilMs - sharing.clock.nowMs()))
    sharing.share.tell({ what: 'breaker', account: name, model: this.model, forMs, times })
  }

  /** Nobody waits for the answer: the request at hand goes elsewhere, and a later one is the probe. */
  #mayProbe({ share, clock }: Sharing, nowMs: number): boolean {
    if (!share.up || nowMs < this.#leasedUntilMs) return true
    if (nowMs < this.#claimAtMs) return false
    this.#claimAtMs = nowMs + claimEveryMs
    void share.claim(this.account.name, this.model, leaseMs).then((ours) => {
      if (ours) this.#leasedUntilMs = clock.nowMs() + leaseMs - claimEveryMs
    })
    return false
  }

  /** Nothing measured so far counts any more: after an ejection it gets another chance. */
  forgetLatency(): void {
    this.#latencyMs = 0
    this.meanMs = 0
    this.measured = 0
  }
}

/** What operators see of an account. */
export interface AccountReport {
  readonly health: 'healthy' | 'limited' | 'failing' | 'draining'
  readonly breaker: BreakerState
  readonly inFlight: number
  readonly requests: number
  readonly failures: number
  readonly latencyMs: number | null
  readonly remainingRequests: number | null
  readonly remainingTokens: number | null
  /** Milliseconds until it is asked again; 0 = it is asked. */
  readonly limitedForMs: number
  readonly draining: boolean
  readonly models: readonly {
    readonly model: string | null
    readonly breaker: BreakerState
    readonly latencyMs: number | null
    readonly limitedForMs: number
  }[]
}

export class AccountHealth {
  /** Under way now. */
  busy = 0
  /** Takes no new requests. */
  draining = false
  /** Its quota is spent until then; 0 = it is not. */
  emptyUntilMs = 0
  /** An active check found it broken. */
  down = false
  readonly models = new Map<string, ModelHealth>()
  /** Other gateways that are told, and asked who probes; null = there are none. */
  sharing: Sharing | null = null

  constructor(readonly name: string) {}

  model(name: string): ModelHealth {
    const known = this.models.get(name)
    if (known !== undefined) return known
    const kept = this.models.size < modelsMax ? name : ''
    const made = this.models.get(kept) ?? new ModelHealth(this, kept)
    this.models.set(kept, made)
    return made
  }

  /** Its quota is spent until then: other gateways are told, where that is news. */
  empty(untilMs: number, nowMs: number): void {
    const news = untilMs - this.emptyUntilMs > claimEveryMs
    this.emptyUntilMs = untilMs
    const forMs = Math.ceil(untilMs - nowMs)
    if (news && forMs > 0)
      this.sharing?.share.tell({ what: 'quota', account: this.name, model: '', forMs, times: 1 })
  }

  report(nowMs: number): AccountReport {
    const all = [...this.models.values()]
    const measured = all.filter(({ latencyMs }) => latencyMs > 0)
    const limitedForMs = Math.max(0, Math.ceil(this.emptyUntilMs - nowMs))
    const states = all.map(({ breaker }) => breaker.state(nowMs))
    const breaker =
      this.down || states.includes('open') ? 'open' : (states.find((s) => s !== 'closed') ?? 'closed')
    const limited = limitedForMs > 0 || all.some((each) => each.limitedUntilMs > nowMs)
    const said = all.filter((each) => nowMs - each.remainingAtMs < remainingMs)
    return {
      health: this.draining ? 'draining' : breaker !== 'closed' ? 'failing' : limited ? 'limited' : 'healthy',
      breaker,
      inFlight: this.busy,
      requests: sum(all.map(({ requests }) => requests)),
      failures: sum(all.map(({ failures }) => failures)),
      latencyMs:
        measured.length === 0
          ? null
          : Math.round(sum(measured.map((each) => each.latencyMs)) / measured.length),
      remainingRequests: least(said.map(({ remainingRequests }) => remainingRequests)),
      remainingTokens: least(said.map(({ remainingTokens }) => remainingTokens)),
      limitedForMs,
      draining: this.draining,
      models: all.map((each) => ({
        model: each.model === '' ? null : each.model,
        breaker: each.breaker.state(nowMs),
        latencyMs: each.latencyMs === 0 ? null : Math.round(each.latencyMs),
        limitedForMs: Math.max(0, Math.ceil(each.limitedUntilMs - nowMs)),
      })),
    }
  }
}

/** How long an upstream's word about what remains counts: OpenAI's limits are for a minute. */
export const remainingMs = 60_000

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}

function least(numbers: readonly (number | null)[]): number | null {
  const known = numbers.filter((each) => each !== null)
  return known.length === 0 ? null : Math.min(...known)
}

/** All accounts by name. One that a configuration no longer names is kept: it may come back with the next. */
export class AccountMemory {
  readonly #accounts = new Map<string, AccountHealth>()
  #sharing: Sharing | null = null

  of(name: string): AccountHealth {
    let known = this.#accounts.get(name)
    if (known === undefined) {
      this.#accounts.set(name, (known = new AccountHealth(name)))
      known.sharing = this.#sharing
      // What the others know of it was heard before it was ours.
      this.#sharing?.share.learn()
    }
    return known
  }

  /** What is shut off here is so at the other gateways too, and the other way round. Call once, at the start. */
  shareOver(share: BreakerShare, clock: Clock): void {
    if (this.#sharing !== null) return
    this.#sharing = { share, clock }
    for (const account of this.#accounts.values()) account.sharing = this.#sharing
    share.listen((heard) => this.#heard(heard, clock.nowMs()))
  }

  /** Only of accounts that are ours: nobody fills this memory from outside. */
  #heard({ what, account, model, forMs, times }: ShutOff, nowMs: number): void {
    const known = this.#accounts.get(account)
    if (known === undefined) return
    const untilMs = nowMs + Math.min(forMs, heardMsMax)
    if (what === 'quota') known.emptyUntilMs = Math.max(known.emptyUntilMs, untilMs)
    else if (forMs > 0) known.model(model).breaker.openUntil(untilMs, times)
    else known.models.get(model)?.breaker.succeeded()
  }
}
