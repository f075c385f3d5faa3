// The gateway's own overload. What runs short is its one thread: in each turn of its loop it does what has become ready during
// the turn before, so a long turn makes the next one longer, and work waits as long as turns are. A turn is therefore given
// only so much new work: once two turns in a row have lasted longer than the target, what else the second one finds is
// turned away at once, before anything is done for it. So new work waits no longer than some turns of that length, what
// is under way is never touched, and nearly all of the thread's time goes to work that is finished. Requests in flight
// say nothing of this, since most of them wait for an upstream; a controller of the share that is turned away (PIE, RFC
// 8033) was tried and was too slow where turns grow by themselves. One long pause is no overload: it takes many requests
// in one turn. Who is turned away first is a matter of shares; see fair-share.ts.

import type { Clock } from '../../base/clock.ts'
import { randomSeed } from '../../base/id.ts'
import type { Principal } from '../../exchange.ts'
import { FairShare } from './fair-share.ts'

/** What is held to. */
export interface OverloadOptions {
  /** How long a turn may be given new work, in ms; null = nothing is ever turned away. */
  readonly targetMs: number | null
}

/** A turn with fewer new requests is long for another reason, such as a machine that others use too. */
const requestsMin = 16
/** A turn takes at most some thousand events of the kernel: where it finds more, the rest waits, and turns must be shorter. */
const requestsMax = 800
const budgetShareMin = 1 / 16
/** Time over which shares are counted. */
const intervalMs = 100
/** Who asks for less than its share is turned away only in a turn so much longer than the target. */
const patience = 1.5
const eventEveryMs = 10_000

// By hash: this must not hold a second copy of what callers prove themselves by.
const seed = randomSeed()
const credentialsMax = 20_000

export class Overload {
  readonly #fair = new FairShare()
  readonly #tenants = new Map<number, string>()
  #timer: ReturnType<typeof setTimeout> | null = null
  /** When the turn under way began; -1 = there is none. */
  #turnAtMs = -1
  #turnRequests = 0
  #turnBeforeMs = 0
  /** Part of the target that a turn is given now. */
  #budgetShare = 1
  #intervalEndsAtMs = -Infinity
  #admitted = 0
  #shed = 0
  /** The last interval had to turn requests away. */
  #strained = false
  #untold = 0
  #saidAtMs = -Infinity
  readonly #endTurn = (): void => this.turnEnded()
  targetMs: number | null

  constructor(
    private readonly clock: Clock,
    options: OverloadOptions,
    private readonly say: (text: string) => void,
  ) {
    this.targetMs = options.targetMs
  }

  /** Whether requests were turned away lately. */
  get strained(): boolean {
    return this.#strained
  }

  /** Whether a new request may begin. `credential`: as sent; null = none. */
  admits(credential: string | null): boolean {
    const target = this.targetMs
    if (target === null) return true
    const nowMs = this.clock.nowMs()
    if (this.#turnAtMs < 0) this.#beginTurn(nowMs)
    this.#turnRequests += 1
    const lastedMs = nowMs - this.#turnAtMs
    const budgetMs = target * this.#budgetShare
    const long = lastedMs > budgetMs && this.#turnBeforeMs > budgetMs && this.#turnRequests >= requestsMin
    if (!long && !this.#strained) {
      this.#admitted += 1
      return true
    }
    const fits = this.#fair.admits(this.#tenantOf(credential))
    if (fits && (!long || (this.#strained && lastedMs <= budgetMs * patience))) {
      this.#admitted += 1
      return true
    }
    this.#shed += 1
    return false
  }

  /** Takes down whose a credential is, once that was checked. Costs nothing while there is no overload. */
  knew(credential: string | null, principal: Principal): void {
    if (!this.#strained || credential === null || principal.kind === 'nobody') return
    if (this.#tenants.size >= credentialsMax) this.#tenants.clear()
    const { team, key, user, kind } = principal
    this.#tenants.set(Bun.hash.xxHash32(credential, seed), team ?? key ?? user ?? kind)
  }

  /** Ends the turn: called by a timer, and by tests. */
  turnEnded(): void {
    const nowMs = this.clock.nowMs()
    this.#timer = null
    this.#turnBeforeMs = nowMs - this.#turnAtMs
    this.#turnAtMs = -1
    const share = this.#turnRequests > requestsMax ? this.#budgetShare * 0.9 : this.#budgetShare * 1.05
    this.#budgetShare = Math.min(1, Math.max(budgetShareMin, share))
    if (nowMs >= this.#intervalEndsAtMs) this.#endInterval(nowMs)
  }

  /** Ends what runs beside requests. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#turnAtMs = -1
  }

  #beginTurn(nowMs: number): void {
    this.#turnAtMs = nowMs
    this.#turnRequests = 0
    // Fires when the loop comes round; a millisecond is the least a timer takes.
    this.#timer = setTimeout(this.#endTurn, 0)
  }

  #endInterval(nowMs: number): void {
    const late = nowMs - this.#intervalEndsAtMs > intervalMs * 2
    this.#strained = this.#shed > 0 || (this.#strained && !late && this.#turnBeforeMs > this.targetMs! / 2)
    // As much as was done in this interval can be done in the next one, and a quarter more may be tried.
    this.#fair.next(this.#strained ? Math.max(requestsMin, this.#admitted * 1.25) : Infinity)
    this.#untold += this.#shed
    this.#admitted = 0
    this.#shed = 0
    this.#intervalEndsAtMs = nowMs + intervalMs
    if (this.#untold === 0 || nowMs - this.#saidAtMs < eventEveryMs) return
    this.#saidAtMs = nowMs
    this.say(`overloaded: ${this.#untold} new requests were turned away with 503`)
    this.#untold = 0
  }

  /** Whoever is not known yet shares one place: else a stranger with a thousand wrong keys had a thousand shares. */
  #tenantOf(credential: string | null): string {
    if (credential === null) return ''
    return this.#tenants.get(Bun.hash.xxHash32(credential, seed)) ?? ''
  }
}
