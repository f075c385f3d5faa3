// What is known of the accounts, for as long as the process runs: a reload builds the stages anew and keeps this. Per
// account what concerns all of it (under way, drained, out of quota), per model what differs by model: breaker, rate
// limit, latency. Models come from requests, so how many are told apart has a bound; the rest share one.

import type { Clock } from '../../base/clock.ts'
import { Breaker, type BreakerState } from './breaker.ts'

/** Models of one account that are told apart. */
const modelsMax = 256
/** A breaker that opened or closed. `untilMs`: monotonic, when it lets a probe through. */
export interface BreakerChange {
  readonly account: string
  readonly model: string
  readonly change: 'opened' | 'closed'
  readonly untilMs: number
}

/** Time for the running mean to forget two thirds. */
const decayMs = 10_000

/** One model at one account. */
export class ModelHealth {
  readonly breaker = new Breaker()
  /** The upstream said to come back then; 0 = it did not. */
  limitedUntilMs = 0
  /** What the upstream said is left of its limits, as fractions of the limit or counts; null = not said. */
  remainingRequests: number | null = null
  remainingTokens: number | null = null
  /** When what is said to remain was said; it counts for a minute. */
  remainingAtMs = 0
  /** Under way now. */
  busy = 0
  requests = 0
  failures = 0
  #latencyMs = 0
  #latencyAtMs = 0
  /** Answers measured. */
  measured = 0

  constructor(
    readonly account: AccountHealth,
    /** '' = requests that name none, and models beyond the bound. */
    readonly model: string,
  ) {}

  /** Time to the first byte: a mean that follows a rise at once and a fall slowly (peak EWMA); 0 = not measured. */
  get latencyMs(): number {
    return this.#latencyMs
  }

  measure(durationMs: number, nowMs: number): void {
    this.measured++
    if (durationMs >= this.#latencyMs) this.#latencyMs = durationMs
    else {
      const share = Math.exp(-(nowMs - this.#latencyAtMs) / decayMs)
      this.#latencyMs = this.#latencyMs * share + durationMs * (1 - share)
    }
    this.#latencyAtMs = nowMs
  }

  /** Its breaker opened or closed here: other gateways are told. */
  told(change: 'opened' | 'closed', untilMs: number): void {
    this.account.onBreaker?.({ account: this.account.name, model: this.model, change, untilMs })
  }

  /** Nothing measured so far counts any more: after an ejection it gets another chance. */
  forgetLatency(): void {
    this.#latencyMs = 0
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
  /** Told when a breaker opens or closes here; null = nobody wants to know. */
  onBreaker: ((change: BreakerChange) => void) | null = null

  constructor(readonly name: string) {}

  model(name: string): ModelHealth {
    const known = this.models.get(name)
    if (known !== undefined) return known
    const kept = this.models.size < modelsMax ? name : ''
    const made = this.models.get(kept) ?? new ModelHealth(this, kept)
    this.models.set(kept, made)
    return made
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

/** What is heard from others opens no breaker for longer. */
const heardMsMax = 3_600_000

/** How long an upstream's word about what remains counts: OpenAI's limits are for a minute. */
export const remainingMs = 60_000

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}

function least(numbers: readonly (number | null)[]): number | null {
  const known = numbers.filter((each) => each !== null)
  return known.length === 0 ? null : Math.min(...known)
}

/**
 * Shares breakers between gateways, where there is something to share them over. Waits are told as durations, since each
 * machine has its own monotonic clock.
 */
export interface BreakerShare {
  tell(change: { readonly account: string; readonly model: string; readonly openForMs: number }): void
  listen(
    heard: (change: { readonly account: string; readonly model: string; readonly openForMs: number }) => void,
  ): void
}

/** All accounts by name. One that a configuration no longer names is kept: it may come back with the next. */
export class AccountMemory {
  readonly #accounts = new Map<string, AccountHealth>()

  #share: BreakerShare | null = null
  #told: ((change: BreakerChange) => void) | null = null

  of(name: string): AccountHealth {
    let known = this.#accounts.get(name)
    if (known === undefined) this.#accounts.set(name, (known = new AccountHealth(name)))
    known.onBreaker = this.#told
    return known
  }

  /** Breakers that open or close here do so at the other gateways too, and the other way round. Call once, at the start. */
  shareOver(share: BreakerShare, clock: Clock): void {
    if (this.#share !== null) return
    this.#share = share
    this.#told = ({ account, model, change, untilMs }) =>
      share.tell({ account, model, openForMs: change === 'closed' ? 0 : Math.ceil(untilMs - clock.nowMs()) })
    share.listen(({ account, model, openForMs }) => {
      const { breaker } = this.of(account).model(model)
      if (openForMs > 0) breaker.openUntil(clock.nowMs() + Math.min(openForMs, heardMsMax))
      else breaker.succeeded()
    })
  }
}
