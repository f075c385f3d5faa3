// The gateway's own overload. What runs short is its one thread, and what comes while it is busy would wait in the kernel,
// where nobody can tell how long, nor turn it away. So reading comes before working: in each turn of its loop the thread
// begins new work for a few milliseconds only, and whatever else it reads waits here. Then it is known how long work waits,
// how long whoever comes would have to, and those for whom that is too long are told so as soon as they are read. What is
// under way is never touched: answers of upstreams are passed on as they come. Requests in flight say nothing of all this,
// since most of them wait for an upstream. While the thread has time, nothing waits, and this costs two looks at the clock.
// Tenants wait in lines of their own, which take turns: so none can starve another, and it is the one with the long line
// that is turned away (fair queueing, Nagle 1987, RFC 970). Turning a share of all away (PIE, RFC 8033) was tried and was
// too slow; so was cutting turns short without a queue, which turned work away after every pause of the process.

import { occupiedMs, type Clock } from '../../base/clock.ts'
import { randomSeed } from '../../base/id.ts'
import type { Principal } from '../../exchange.ts'
import { Lines } from './lines.ts'

/** What is held to. */
export interface OverloadOptions {
  /** How long a request may wait for its turn, in ms; null = nothing ever waits here. */
  readonly targetMs: number | null
  /** How long the thread has had something to do, in ms; absent = as the machine says. */
  readonly occupiedMs?: () => number
}

/** A request that is read. */
export interface Caller {
  /** The credential as sent; null = none. */
  readonly authorization: string | null
  /** Nobody waits for its answer any more. */
  readonly hasLeft: boolean
}

/** New work of a turn. */
const turnMsMax = 3
/** The same while requests are turned away: who is to be turned away is read in the next turn, and is to hear it soon. */
const strainedTurnMs = 0.5
/** Between two requests without a turn: nothing else was to be done, or a long piece of other work is over. */
const apartMs = 1
/** Beyond this many nothing waits, whatever the target: each holds its connection and what has come of its body. */
const waitingMax = 10_000
/** How much longer than the target anybody may have waited before all are turned away: the thread has become slower. */
const patience = 2
/** So many may wait however slow the thread is: just started, it is many times slower than a moment later. */
const waitingMin = 100
/** How fast work is begun is measured over such times. */
const measuredMs = 100
/** How much the last of them counts. */
const newest = 0.2
/** Where the thread had nothing to do for a part of that time, it can do more: so much more is assumed each time. */
const busyShare = 0.85
const more = 1.15
/**
 * For so long after a request was turned away, work is begun at an even pace: else all that the thread can do is begun while
 * no answers come, and all answers come at once, over and over. The pace is a little more than what was kept up so far.
 */
const strainedForMs = 1000
const evenFactor = 1.1
/** What may be made up for at once. */
const evenMs = 10
/** Part of its time that the thread may give to new work whatever the pace: who asks again at once can keep it busy for ever. */
const workShare = 0.25
/** For that, a turn may be so long, where all else took longer than this. */
const longTurnMs = 6
const shortOtherMs = 4
const eventEveryMs = 10_000
const eventAfterMs = 100

// By hash: this must not hold a second copy of what callers prove themselves by.
const seed = randomSeed()
const credentialsMax = 20_000
/** Without strain one request in so many is taken down. */
const knownEvery = 4

export class Overload<T extends Caller = Caller> {
  readonly #lines = new Lines<T>()
  readonly #tenants = new Map<number, string>()
  #begin: (request: T, readAtMs: number) => void = () => {}
  #immediate: NodeJS.Immediate | null = null
  #pause: ReturnType<typeof setTimeout> | null = null
  #turnAtMs = -Infinity
  #workedAtMs = -Infinity
  /** When the last turn ended that left some waiting; Infinity = it left nobody. */
  #turnEndedAtMs = Infinity
  /** Requests begun a ms, all else included that is done, while some wait; 0 = not known. */
  #perMs = 0
  /** When the measuring under way began; -1 = there is none. */
  #measuredFromMs = -1
  #occupiedFromMs = 0
  #begun = 0
  /** Time that went to beginning them. */
  #workMs = 0
  readonly #occupiedMs: () => number
  /** Requests that may be begun at an even pace, and at what time that was so. */
  #tokens = 0
  #tokensAtMs = 0
  #strainedUntilMs = -Infinity
  /** Requests, to take every so manyth of them down. */
  #finished = 0
  #untold = 0
  #saidAtMs = -Infinity
  #timer: ReturnType<typeof setTimeout> | null = null
  readonly #turn = (): void => this.turn()
  targetMs: number | null

  constructor(
    private readonly clock: Clock,
    options: OverloadOptions,
    private readonly say: (text: string) => void,
  ) {
    this.targetMs = options.targetMs
    this.#occupiedMs = options.occupiedMs ?? occupiedMs
  }

  /** Whoever begins what has waited. `readAtMs`: since when it did. */
  serve(begin: (request: T, readAtMs: number) => void): void {
    this.#begin = begin
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#lines.size
  }

  /** Whether a request that was just read may begin at once; then `worked` follows. Else `waits` is to be asked. */
  begins(): boolean {
    if (this.#lines.size > 0) return false
    if (this.targetMs === null) return true
    const nowMs = this.clock.nowMs()
    if (nowMs < this.#strainedUntilMs) return false
    if (nowMs - this.#workedAtMs > apartMs) this.#turnAtMs = nowMs
    return nowMs - this.#turnAtMs < this.#turnMs(nowMs)
  }

  /** A request was begun, and what there was to do for it at once is done. */
  worked(): void {
    if (this.targetMs !== null) this.#workedAtMs = this.clock.nowMs()
  }

  /** Lets a request wait for its turn; false = there is too much before it, and it is to be turned away. */
  waits(request: T): boolean {
    const nowMs = this.clock.nowMs()
    const tenant = this.#tenantOf(request.authorization)
    if (!this.#fits(tenant, nowMs)) {
      this.#shed(nowMs)
      return false
    }
    this.#lines.add(tenant, { request, readAtMs: nowMs })
    if (this.#pause === null) this.#arm(true)
    return true
  }

  /** Begins what has waited longest, for as long as a turn has time: called by the loop, and by tests. */
  turn(): void {
    this.#immediate = this.#pause = null
    const startedAtMs = this.clock.nowMs()
    this.#turnAtMs = startedAtMs
    const most = this.#mayBegin(startedAtMs)
    const otherMs = startedAtMs - this.#turnEndedAtMs
    // Not a share of all of it: each turn would be longer than the last, where that much is to be read at all times.
    const owedMs = ((otherMs - shortOtherMs) * workShare) / (1 - workShare)
    const forMs = Math.max(this.#turnMs(startedAtMs), Math.min(longTurnMs, owedMs))
    let nowMs = startedAtMs
    let begun = 0
    while (begun < most && nowMs - startedAtMs < forMs) {
      const next = this.#lines.take()
      if (next === null) break
      if (next.request.hasLeft) continue
      this.#begin(next.request, next.readAtMs)
      begun += 1
      nowMs = this.clock.nowMs()
    }
    this.#workedAtMs = this.#turnEndedAtMs = nowMs
    this.#tokens = Math.max(0, this.#tokens - begun)
    this.#workMs += nowMs - startedAtMs
    this.#measure(nowMs, begun)
    if (this.#lines.size > 0) this.#arm(begun < most)
    else this.#turnEndedAtMs = Infinity
  }

  /** Takes down whose a credential is, once that was checked: now and then, so that it is known when there is too much to do. */
  knew(caller: Pick<Caller, 'authorization'>, principal: Principal): void {
    if (this.targetMs === null || principal.kind === 'nobody') return
    this.#finished += 1
    if (this.#finished % knownEvery !== 0 && this.clock.nowMs() >= this.#strainedUntilMs) return
    const credential = caller.authorization
    if (credential === null) return
    if (this.#tenants.size >= credentialsMax) this.#tenants.clear()
    const { team, key, user, kind } = principal
    this.#tenants.set(Bun.hash.xxHash32(credential, seed), team ?? key ?? user ?? kind)
  }

  /** Forgets what waits: every connection is cut. */
  close(): void {
    this.#lines.clear()
    if (this.#immediate !== null) clearImmediate(this.#immediate)
    for (const timer of [this.#pause, this.#timer]) if (timer !== null) clearTimeout(timer)
    this.#immediate = this.#pause = this.#timer = null
  }

  #turnMs(nowMs: number): number {
    if (this.targetMs === null) return turnMsMax
    return Math.min(nowMs < this.#strainedUntilMs ? strainedTurnMs : turnMsMax, this.targetMs / 2)
  }

  /** The next turn: behind sockets that have something to say, before the loop looks at them again; or a little later. */
  #arm(soon: boolean): void {
    // oxlint-disable-next-line no-restricted-globals -- one at a time: no queue hides behind it
    if (soon) this.#immediate ??= setImmediate(this.#turn)
    else this.#pause = setTimeout(this.#turn, 1)
  }

  /** Requests that this turn may begin. */
  #mayBegin(nowMs: number): number {
    const passedMs = nowMs - this.#tokensAtMs
    this.#tokensAtMs = nowMs
    if (this.targetMs === null || this.#perMs === 0 || nowMs >= this.#strainedUntilMs) return Infinity
    if (this.#workMs < workShare * (nowMs - this.#measuredFromMs)) return Infinity
    const perMs = this.#perMs * evenFactor
    this.#tokens = Math.min(this.#tokens + passedMs * perMs, Math.max(1, evenMs * perMs))
    return Math.floor(this.#tokens)
  }

  /** Learns how fast work is begun where there is enough of it. */
  #measure(nowMs: number, begun: number): void {
    if (this.#lines.size === 0 && nowMs >= this.#strainedUntilMs) {
      this.#measuredFromMs = -1
      this.#perMs = 0
      return
    }
    const passedMs = nowMs - this.#measuredFromMs
    this.#begun += begun
    if (this.#measuredFromMs >= 0 && passedMs < measuredMs) return
    const occupiedNowMs = this.#occupiedMs()
    // Much later than it should end: nothing came, or the process stood still, and that says nothing.
    if (this.#measuredFromMs >= 0 && passedMs < 10 * measuredMs) {
      const perMs = Math.max(this.#begun, 1) / passedMs
      if (this.#perMs === 0) this.#perMs = perMs
      else if (occupiedNowMs - this.#occupiedFromMs < busyShare * passedMs)
        this.#perMs = Math.max(this.#perMs * more, perMs)
      else this.#perMs += (perMs - this.#perMs) * newest
    }
    this.#measuredFromMs = nowMs
    this.#occupiedFromMs = occupiedNowMs
    this.#begun = this.#workMs = 0
  }

  #fits(tenant: string, nowMs: number): boolean {
    const { targetMs } = this
    if (this.#lines.size >= waitingMax) return false
    if (targetMs === null || this.#lines.size === 0) return true
    const before = this.#lines.before(tenant)
    if (before < waitingMin) return true
    if (nowMs - this.#lines.nextAtMs > targetMs * patience) return false
    return this.#perMs === 0 || before <= targetMs * this.#perMs
  }

  #shed(nowMs: number): void {
    this.#strainedUntilMs = nowMs + strainedForMs
    this.#untold += 1
    if (this.#timer !== null) return
    const inMs = Math.max(eventAfterMs, this.#saidAtMs + eventEveryMs - nowMs)
    this.#timer = setTimeout(() => this.#tell(), inMs)
    this.#timer.unref()
  }

  #tell(): void {
    this.#timer = null
    this.#saidAtMs = this.clock.nowMs()
    this.say(`overloaded: ${this.#untold} new requests were turned away with 503`)
    this.#untold = 0
  }

  /** Whoever is not known yet shares one line: else a stranger with a thousand wrong keys had a thousand lines. */
  #tenantOf(credential: string | null): string {
    if (credential === null) return ''
    return this.#tenants.get(Bun.hash.xxHash32(credential, seed)) ?? ''
  }
}
