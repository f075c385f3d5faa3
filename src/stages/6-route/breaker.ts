// The breaker of one model at one account. Closed: everything passes. So many failures within the window open it; after the
// cooldown one request is let through as a probe, and its outcome closes it or opens it again for twice as long, up to
// eight times. Before it opens there is doubt: after each failure others are preferred for a moment, so that an upstream
// that fails every second time costs one attempt and not one in two. A request that asked for something impossible (4xx)
// and a client that left say nothing about an upstream, and are never counted.

/** When it opens, and for how long; milliseconds. */
export interface BreakerRules {
  readonly failures: number
  readonly window: number
  readonly cooldown: number
}

/** The rules where a route says nothing. */
export const usualBreaker: BreakerRules = { failures: 3, window: 30_000, cooldown: 15_000 }

export type BreakerState = 'closed' | 'open' | 'half-open'

/** Failures looked at, at most; more could not open it any more. */
const failuresMax = 100
const longerMax = 8
/** A probe that never came back lets the next one through. */
const probeMs = 60_000
const doubtMs = 1000

export class Breaker {
  #failedAtMs: number[] = []
  /** 0 = closed. */
  #opensUntilMs = 0
  #longer = 1
  #probedAtMs = -Infinity
  #doubtUntilMs = 0

  /** Whether a request may pass; says nothing about who takes the one probe. */
  allows(nowMs: number): boolean {
    if (this.#opensUntilMs === 0) return true
    return nowMs >= this.#opensUntilMs && nowMs - this.#probedAtMs >= probeMs
  }

  /** Whether others are better asked first. */
  doubted(nowMs: number): boolean {
    return nowMs < this.#doubtUntilMs || nowMs < this.#opensUntilMs
  }

  /** A request goes out: where the breaker is not closed, it is the probe. */
  asked(nowMs: number): void {
    if (this.#opensUntilMs !== 0) this.#probedAtMs = nowMs
  }

  /** The request that went out last told nothing, such as one whose client left: another may probe. */
  nothing(): void {
    this.#probedAtMs = -Infinity
  }

  /** @returns whether it was not closed until now */
  succeeded(): boolean {
    if (this.#opensUntilMs === 0) return false
    this.#close()
    return true
  }

  /** @returns whether it opened */
  failed(nowMs: number, rules: BreakerRules): boolean {
    if (this.#opensUntilMs !== 0) {
      const probed = nowMs >= this.#opensUntilMs
      if (probed) this.#open(nowMs, rules)
      return probed
    }
    const kept = this.#failedAtMs.filter((atMs) => nowMs - atMs < rules.window)
    kept.push(nowMs)
    this.#failedAtMs = kept.slice(-failuresMax)
    this.#doubtUntilMs = nowMs + doubtMs * Math.min(16, 4 ** (kept.length - 1))
    if (kept.length < Math.min(rules.failures, failuresMax)) return false
    this.#open(nowMs, rules)
    return true
  }

  /** Opens it whatever was counted: another gateway found the upstream broken, or it is far slower than others. */
  openUntil(untilMs: number, times = this.#longer): void {
    if (untilMs > this.#opensUntilMs) this.#probedAtMs = -Infinity
    this.#opensUntilMs = Math.max(this.#opensUntilMs, untilMs)
    this.#longer = Math.max(this.#longer, Math.min(longerMax, times))
  }

  /** So many cooldowns the next time that it opens. */
  get times(): number {
    return this.#longer
  }

  state(nowMs: number): BreakerState {
    if (this.#opensUntilMs === 0) return 'closed'
    return nowMs < this.#opensUntilMs ? 'open' : 'half-open'
  }

  /** When it lets a probe through; 0 = it is closed. */
  get opensUntilMs(): number {
    return this.#opensUntilMs
  }

  #open(nowMs: number, { cooldown }: BreakerRules): void {
    this.#opensUntilMs = nowMs + cooldown * this.#longer
    this.#longer = Math.min(longerMax, this.#longer * 2)
    this.#probedAtMs = -Infinity
    this.#doubtUntilMs = 0
    this.#failedAtMs = []
  }

  #close(): void {
    this.#opensUntilMs = 0
    this.#longer = 1
    this.#doubtUntilMs = 0
    this.#failedAtMs = []
  }
}
