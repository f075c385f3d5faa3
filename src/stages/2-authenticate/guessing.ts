// Bounds on failed credentials, by sender. Only failures are counted and only failures are refused for it: whoever sends a
// key that holds passes, however many others failed from the same address, so that nobody can be locked out by a
// neighbour behind the same NAT. Counted by the generic cell rate algorithm (ITU-T I.371), one number a sender; the
// least recent one is forgotten beyond 100,000 senders, which costs the attacker more than it costs us.

import { senderOf, type Address } from '../../base/address.ts'
import type { Clock } from '../../base/clock.ts'
import type { Rate } from '../../base/rate.ts'

/** Section `access.guessing`. */
export interface GuessingOptions {
  /** Failures in the long run. */
  readonly failures: Rate
  /** Failures at once; absent = as many as in the long run. */
  readonly burst?: number | undefined
}

export interface Guessing {
  /** Counts a failed credential. How long to wait, in milliseconds, where there were too many; 0 otherwise. */
  failed(address: Address | null): number
}

export const sendersMax = 100_000

export function createGuessing(options: GuessingOptions, clock: Clock): Guessing {
  const { count, windowMs } = options.failures
  const eachMs = windowMs / count
  const burstMs = eachMs * (options.burst ?? count)
  /** When a sender's failures are all forgotten, the least recent sender first. */
  const clearAtMs = new Map<string, number>()
  return {
    failed(address) {
      const sender = address === null ? '' : senderOf(address)
      const nowMs = clock.nowMs()
      const clear = Math.max(clearAtMs.get(sender) ?? 0, nowMs) + eachMs
      const waitMs = clear - nowMs - burstMs
      // A failure that is refused is not counted: else a client that tries on would never be let in again.
      // A rounding error must not refuse what is exactly at the bound.
      if (waitMs > 0.001) return Math.ceil(waitMs)
      clearAtMs.delete(sender)
      clearAtMs.set(sender, clear)
      if (clearAtMs.size > sendersMax) clearAtMs.delete(clearAtMs.keys().next().value!)
      return 0
    },
  }
}
