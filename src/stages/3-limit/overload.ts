// The gateway's own overload. What runs short is its one thread, and that shows in one place: how late timers fire, which
// is how long work that is ready has to wait. Requests in flight say nothing of it, since most of them wait for an
// upstream. A controller (PIE, RFC 8033) holds that wait at its target by turning away a share of the new requests, before
// anything is done for them; what is under way is never touched. The delay counts by its least value in an interval, as in
// CoDel (RFC 8289): one long task is no overload. The watch runs only while requests come.

import type { Clock } from '../../base/clock.ts'
import { randomSeed } from '../../base/id.ts'
import type { Principal } from '../../exchange.ts'
import { FairShare } from './fair-share.ts'

/** What the controller is set to. */
export interface OverloadOptions {
  /** How long ready work may have to wait, in ms; null = nothing is ever turned away. */
  readonly targetMs: number | null
}

const tickMs = 5
/** The length of one control interval. */
export const intervalMs = 50
/** Fewer requests than this in an interval are never an overload of a machine worth serving on. */
const requestsMin = 10
const quietIntervals = 20
/** Gains of the controller, per second of delay; RFC 8033, section 4.2, scaled to the interval. */
const alpha = 2
const beta = 20
const shareMax = 0.98
const eventEveryMs = 10_000

// By hash: this must not hold a second copy of what callers prove themselves by.
const seed = randomSeed()
const credentialsMax = 20_000

export class Overload {
  readonly #fair = new FairShare()
  readonly #tenants = new Map<number, string>()
  #timer: ReturnType<typeof setTimeout> | null = null
  #dueAtMs = 0
  #intervalEndsAtMs = 0
  #leastLateMs = Infinity
  #lateBeforeMs = 0
  #arrived = 0
  #quiet = 0
  #share = 0
  #shed = 0
  #saidAtMs = -Infinity
  targetMs: number | null

  constructor(
    private readonly clock: Clock,
    options: OverloadOptions,
    private readonly say: (text: string) => void,
  ) {
    this.targetMs = options.targetMs
  }

  /** The share of new requests that is turned away now. */
  get share(): number {
    return this.#share
  }

  /** Whether a new request may begin. `credential`: as sent; null = none. */
  admits(credential: string | null): boolean {
    if (this.targetMs === null) return true
    this.#arrived += 1
    if (this.#timer === null) this.#watch()
    // Tenants are told apart only where it may matter soon: the delay is over its target.
    if (this.#share === 0 && this.#lateBeforeMs < this.targetMs) return true
    if (this.#fair.admits(this.#tenantOf(credential))) return true
    this.#shed += 1
    return false
  }

  /** Takes down whose a credential is, once that was checked. Costs nothing while there is no overload near. */
  knew(credential: string | null, principal: Principal): void {
    if (credential === null || this.targetMs === null || this.#lateBeforeMs < this.targetMs) return
    if (principal.kind === 'nobody') return
    if (this.#tenants.size >= credentialsMax) this.#tenants.clear()
    const { team, key, user, kind } = principal
    this.#tenants.set(Bun.hash.xxHash32(credential, seed), team ?? key ?? user ?? kind)
  }

  /** Whoever is not known yet shares one place: else a stranger with a thousand wrong keys had a thousand shares. */
  #tenantOf(credential: string | null): string {
    if (credential === null) return ''
    return this.#tenants.get(Bun.hash.xxHash32(credential, seed)) ?? ''
  }

  /** Ends the watch. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #watch(): void {
    const nowMs = this.clock.nowMs()
    this.#intervalEndsAtMs = nowMs + intervalMs
    this.#leastLateMs = Infinity
    this.#quiet = 0
    this.#arm(nowMs)
  }

  #arm(nowMs: number): void {
    this.#dueAtMs = nowMs + tickMs
    this.#timer = setTimeout(() => this.#tick(), tickMs)
    this.#timer.unref()
  }

  #tick(): void {
    const nowMs = this.clock.nowMs()
    this.#leastLateMs = Math.min(this.#leastLateMs, Math.max(0, nowMs - this.#dueAtMs))
    if (nowMs >= this.#intervalEndsAtMs) {
      this.#quiet = this.#arrived === 0 ? this.#quiet + 1 : 0
      this.control(this.#leastLateMs, nowMs)
      this.#intervalEndsAtMs = nowMs + intervalMs
      this.#leastLateMs = Infinity
    }
    if (this.#quiet < quietIntervals) return this.#arm(nowMs)
    this.#timer = null
  }

  /** One step: `lateMs` is the least delay of the interval that has ended. */
  control(lateMs: number, nowMs: number): void {
    const target = this.targetMs
    if (target === null) return
    const busy = this.#arrived >= requestsMin
    const step = (alpha * (lateMs - target) + beta * (lateMs - this.#lateBeforeMs)) / 1000
    // Gently where little is turned away yet: the same section.
    const eased = this.#share < 0.01 ? step / 4 : this.#share < 0.1 ? step / 2 : step
    this.#share = busy ? Math.min(shareMax, Math.max(0, this.#share + eased)) : this.#share / 2
    if (this.#share < 0.001 && lateMs <= target) this.#share = 0
    this.#lateBeforeMs = lateMs
    this.#arrived = 0
    this.#fair.next(this.#share)
    if (this.#shed === 0 || nowMs - this.#saidAtMs < eventEveryMs) return
    this.#saidAtMs = nowMs
    this.say(
      `overloaded: ${this.#shed} new requests were turned away with 503; ready work waits ${Math.round(lateMs)} ms`,
    )
    this.#shed = 0
  }
}
