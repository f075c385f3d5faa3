// The exchanges under way: how many there are, and the way to cut those of one key, or of credentials that have expired. An
// answer may run for minutes, a WebSocket for an hour; whether they end with their key or token is the operator's choice
// (`access.onRevoke`, `access.onExpire`). One timer looks at all of them: a timer each would be ten thousand.

import type { Drain, Exchange } from './exchange.ts'
import { Failure } from './failure.ts'

/** What can be cut: the connection of a request. */
interface Cuttable {
  destroy(): void
}

// Slots that are used again, not a Map: a Map that much goes through keeps what was taken out of it alive until it is
// rebuilt, long enough for the garbage collector to move every exchange among the old ones.

export class Running {
  readonly #exchanges: (Exchange | null)[] = []
  readonly #requests: (Cuttable | null)[] = []
  readonly #free: number[] = []
  readonly #drains = new Set<Drain>()

  get size(): number {
    return this.#exchanges.length - this.#free.length
  }

  /** Takes an exchange in; gives the slot to hand back when it has ended. */
  began(x: Exchange, request: Cuttable): number {
    const slot = this.#free.pop() ?? this.#exchanges.length
    this.#exchanges[slot] = x
    this.#requests[slot] = request
    return slot
  }

  ended(slot: number): void {
    this.#exchanges[slot] = null
    this.#requests[slot] = null
    this.#free.push(slot)
  }

  /** An exchange whose client has left goes on until `done`, then `ended` is called. */
  drains(drain: Drain | null, done: Promise<void>, ended: () => void): void {
    if (drain !== null) this.#drains.add(drain)
    void done.finally(() => {
      if (drain !== null) this.#drains.delete(drain)
      ended()
    })
  }

  /** Answers that are read on without their client. */
  get draining(): number {
    return this.#drains.size
  }

  /** Resolves when none of them is left of those that there are now. */
  async drained(): Promise<void> {
    await Promise.all([...this.#drains].map((drain) => drain.done))
  }

  /** Reads none of them on. */
  endDrains(): void {
    for (const drain of this.#drains) drain.end()
  }

  /** Cuts what runs with a key of the store: the client sees an answer that is not complete. Gives how many. */
  cut(keyId: string): number {
    return this.#cutWhere((x) => x.principal.keyId === keyId, 'was revoked')
  }

  /** Cuts what runs with a key or token that has expired at a moment of the wall clock. Gives how many. */
  cutExpired(wallMs: number): number {
    return this.#cutWhere(({ principal }) => (principal.expiresAtMs ?? Infinity) <= wallMs, 'has expired')
  }

  #cutWhere(ends: (x: Exchange) => boolean, why: string): number {
    let found = 0
    // As long as it was: cutting one ends it, and may let another in.
    for (const [slot, x] of this.#exchanges.slice().entries()) {
      if (x === null || !ends(x)) continue
      const failure = new Failure('invalid_api_key', `The API key ${why}.`, { detail: `cut: the key ${why}` })
      x.failure = failure
      if (x.status === 0) x.status = failure.status
      found++
      this.#requests[slot]?.destroy()
    }
    return found
  }
}
