// The gateway's own overload. What runs short is its one thread: in each turn of its loop it does what has become ready during
// the turn before, so a long turn makes the next one longer, and work waits as long as turns are. A turn is therefore given
// only so much new work; what else it finds is turned away at once, before anything is done for it. At first that is the
// target, and twice as much where the turn before was short, since one long turn is no overload. Once something had to be
// turned away it is a few milliseconds, until nothing was for a while: so whoever is turned away hears it soon. It is less
// where much is waiting, and more where the thread had time left. A pause of the process counts as little. What is under
// way is never touched. Requests in flight say nothing of this, since most of them wait for an upstream; a controller of the
// share that is turned away (PIE, RFC 8033) was tried and was too slow. Whose turn it is to be refused: see fair-share.ts.

import { occupiedMs, type Clock } from '../../base/clock.ts'
import { randomSeed } from '../../base/id.ts'
import type { Principal } from '../../exchange.ts'
import { FairShare } from './fair-share.ts'

/** What is held to. */
export interface OverloadOptions {
  /** How long a turn may be given new work, in ms; null = nothing is ever turned away. */
  readonly targetMs: number | null
  /** How long the thread has had something to do, in ms; absent = as the machine says. */
  readonly occupiedMs?: () => number
}

/** Who asks. Looked at only where there is too much to do. */
export interface Caller {
  /** The credential as sent; null = none. */
  readonly authorization: string | null
}

/** A turn with fewer new requests is long for another reason, such as a machine that others use too. */
const requestsMin = 16
const requestsMinStrained = 4
/** A turn takes some thousand events of the kernel at most, answers among them: where it finds more, the rest waits there. */
const requestsMax = 400
/** What a turn is given while requests are turned away: few milliseconds, and of a short target half. */
const strainedMs = 4
/** Where the thread had something to do for less than this part of an interval, it turned away more than it had to. */
const busyShare = 0.8
/** Time between two requests of a turn beyond this is a pause, and no work for what lies between them. */
const pauseMs = 50
const budgetShareMin = 1 / 16
/** Time over which shares are counted. */
const intervalMs = 100
/** Who asks for less than its share is turned away only in a turn so much longer than the target. */
const patience = 1.5
/** Part of a turn's budget that is whoever's comes first. */
const openToAll = 1 / 2
/** Turns stay short until so many intervals had nothing to turn away: load that is too much comes and goes in waves. */
const calmIntervals = 10
const eventEveryMs = 10_000

// By hash: this must not hold a second copy of what callers prove themselves by.
const seed = randomSeed()
const credentialsMax = 20_000

export class Overload {
  readonly #fair = new FairShare()
  readonly #tenants = new Map<number, string>()
  #timer: ReturnType<typeof setTimeout> | null = null
  #immediate: NodeJS.Immediate | null = null
  /** When the turn under way began; -1 = there is none. */
  #turnAtMs = -1
  #turnRequests = 0
  /** What the turn has worked so far, up to its last request, and when that was. */
  #turnWorkMs = 0
  #turnLastAtMs = 0
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
  /** What a turn is given now while requests are turned away. */
  #strainedMs = strainedMs
  /** Intervals in a row that turned nothing away. */
  #calm = 0
  #occupiedBeforeMs = Number.NaN
  #intervalAtMs = 0
  readonly #endTurn = (): void => this.turnEnded()
  readonly #occupiedMs: () => number
  targetMs: number | null

  constructor(
    private readonly clock: Clock,
    options: OverloadOptions,
    private readonly say: (text: string) => void,
  ) {
    this.targetMs = options.targetMs
    this.#occupiedMs = options.occupiedMs ?? occupiedMs
  }

  /** Whether requests were turned away lately. */
  get strained(): boolean {
    return this.#strained
  }

  /** Whether a new request may begin. */
  admits(caller: Caller): boolean {
    const target = this.targetMs
    if (target === null) return true
    const nowMs = this.clock.nowMs()
    if (this.#turnAtMs < 0) this.#beginTurn(nowMs)
    this.#turnRequests += 1
    // While many sockets have something to say, the loop goes round for long before it looks at timers.
    // oxlint-disable-next-line no-restricted-globals -- one at a time: no queue hides behind it
    if (this.#turnRequests === requestsMin) this.#immediate = setImmediate(this.#endTurn)
    const budgetMs = (this.#strained ? Math.min(this.#strainedMs, target / 2) : target) * this.#budgetShare
    const workMs = (this.#turnWorkMs += Math.min(nowMs - this.#turnLastAtMs, pauseMs, target))
    this.#turnLastAtMs = nowMs
    const long = workMs > budgetMs && this.#mayShed(budgetMs)
    if (!long && !this.#strained) {
      this.#admitted += 1
      return true
    }
    const fits = this.#fair.admits(this.#tenantOf(caller.authorization))
    // Shares are of what is scarce: while a turn has done little, nobody is turned away for having had more than others.
    const most = fits ? (this.#strained ? patience : 1) : openToAll
    if (workMs <= budgetMs * most || (fits && !long)) {
      this.#admitted += 1
      return true
    }
    this.#shed += 1
    // From now on turns are short; that is not left to the end of the interval.
    this.#strained = true
    return false
  }

  /** Whether a turn that is over its budget is no exception. */
  #mayShed(budgetMs: number): boolean {
    if (this.#strained) return this.#turnRequests >= requestsMinStrained
    const again = this.#turnBeforeMs > budgetMs || this.#turnWorkMs > 2 * budgetMs
    return again && this.#turnRequests >= requestsMin
  }

  /** Takes down whose a credential is, once that was checked. Costs nothing while there is no overload. */
  knew(caller: Caller, principal: Principal): void {
    if (!this.#strained || principal.kind === 'nobody') return
    const credential = caller.authorization
    if (credential === null) return
    if (this.#tenants.size >= credentialsMax) this.#tenants.clear()
    const { team, key, user, kind } = principal
    this.#tenants.set(Bun.hash.xxHash32(credential, seed), team ?? key ?? user ?? kind)
  }

  /** Ends the turn: called by a timer, and by tests. */
  turnEnded(): void {
    const nowMs = this.clock.nowMs()
    this.#disarm()
    this.#turnBeforeMs = this.#turnWorkMs + Math.min(nowMs - this.#turnLastAtMs, pauseMs)
    this.#turnAtMs = -1
    // Many are waiting, in the kernel too: turning them away comes before new work, or they wait for ever.
    const behind =
      this.#turnRequests > requestsMax || (this.#strained && this.#turnBeforeMs > 3 * this.#strainedMs)
    const share = this.#budgetShare * (behind ? 0.8 : 1.05)
    this.#budgetShare = Math.min(1, Math.max(budgetShareMin, share))
    if (nowMs >= this.#intervalEndsAtMs) this.#endInterval(nowMs)
  }

  /** Ends what runs beside requests. */
  close(): void {
    this.#disarm()
    this.#turnAtMs = -1
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#immediate !== null) clearImmediate(this.#immediate)
    this.#timer = this.#immediate = null
  }

  #beginTurn(nowMs: number): void {
    this.#turnAtMs = nowMs
    this.#turnRequests = 0
    this.#turnWorkMs = 0
    this.#turnLastAtMs = nowMs
    // Fires when the loop comes round; a millisecond is the least a timer takes.
    this.#timer = setTimeout(this.#endTurn, 0)
  }

  #endInterval(nowMs: number): void {
    const late = nowMs - this.#intervalEndsAtMs > intervalMs * 2
    this.#calm = this.#shed > 0 ? 0 : this.#calm + 1
    this.#strained &&= !late && this.#calm < calmIntervals
    // As much as was done in this interval can be done in the next one; more is tried where turns have done little.
    this.#fair.next(this.#strained ? Math.max(requestsMin, this.#admitted) : Infinity)
    this.#fitBudget(nowMs)
    this.#untold += this.#shed
    this.#admitted = 0
    this.#shed = 0
    this.#intervalEndsAtMs = nowMs + intervalMs
    if (this.#untold === 0 || nowMs - this.#saidAtMs < eventEveryMs) return
    this.#saidAtMs = nowMs
    this.say(`overloaded: ${this.#untold} new requests were turned away with 503`)
    this.#untold = 0
  }

  /** Longer turns where the thread had time left all the same: it turned away more than it had to. */
  #fitBudget(nowMs: number): void {
    if (!this.#strained) {
      this.#strainedMs = strainedMs
      this.#occupiedBeforeMs = Number.NaN
      return
    }
    const occupiedNowMs = this.#occupiedMs()
    const busy = (occupiedNowMs - this.#occupiedBeforeMs) / (nowMs - this.#intervalAtMs)
    this.#occupiedBeforeMs = occupiedNowMs
    this.#intervalAtMs = nowMs
    if (busy < busyShare) this.#strainedMs = Math.min(this.targetMs!, this.#strainedMs * 2)
    else if (this.#calm > 0) this.#strainedMs = Math.min(this.targetMs!, this.#strainedMs * 1.25)
    else this.#strainedMs = Math.max(strainedMs, this.#strainedMs * 0.8)
  }

  /** Whoever is not known yet shares one place: else a stranger with a thousand wrong keys had a thousand shares. */
  #tenantOf(credential: string | null): string {
    if (credential === null) return ''
    return this.#tenants.get(Bun.hash.xxHash32(credential, seed)) ?? ''
  }
}
