// How many wrong tokens an address (of IPv6: one /64, which a single host may have to itself) may send. Only wrong ones count and only they are turned away: whoever holds a good
// token gets in, however many guesses came from the same address before. The table is bounded: where it is full, the
// address that was quiet longest is forgotten, which costs an attacker with that many addresses nothing he did not have.

import { parsePeerAddress, senderOf } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'

const burst = 10
const perMinute = 10
const addressesMax = 10_000

interface Bucket {
  left: number
  atMs: number
}

export class FailedAttempts {
  readonly #buckets = new Map<string, Bucket>()

  constructor(private readonly clock: Clock) {}

  /** Books a wrong token. Seconds to wait where the address has sent too many, else 0. */
  book(from: string): number {
    const peer = parsePeerAddress(from)
    const address = peer === null ? from : senderOf(peer)
    const nowMs = this.clock.nowMs()
    const before = this.#buckets.get(address)
    const left =
      before === undefined
        ? burst
        : Math.min(burst, before.left + ((nowMs - before.atMs) * perMinute) / 60_000)
    // Set anew, so that the map's order is the order of use.
    this.#buckets.delete(address)
    this.#buckets.set(address, { left: Math.max(0, left - 1), atMs: nowMs })
    if (this.#buckets.size > addressesMax) this.#buckets.delete(this.#buckets.keys().next().value!)
    return left >= 1 ? 0 : Math.ceil(((1 - left) * 60) / perMinute)
  }

  get size(): number {
    return this.#buckets.size
  }
}
