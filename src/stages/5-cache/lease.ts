// Identical calls at several gateways: whoever takes the lease in Redis asks the upstream, the others look now and then whether
// its answer has come. A lease ends by itself, so a gateway that dies holds up nobody for longer than everybody may wait.
// A Redis that is slow or away is no reason to wait: then each asks for itself.

import type { Entry } from './entry.ts'

/** What came of an attempt to take a lease; `unknown` = Redis did not say. */
export type Taken = 'taken' | 'held' | 'unknown'

/** Leases that gateways share. Nothing here rejects. */
export interface Leases {
  take(key: string, token: string, ttlMs: number): Promise<Taken>
  /** Gives one back before its time, where it is still that of `token`. */
  release(key: string, token: string): void
}

/** What is waited for. */
export interface Awaited {
  readonly key: string
  readonly token: string
  /** Longest wait, and how long a lease lasts. */
  readonly waitMs: number
  readonly nowMs: () => number
  /** The answer, if it has come. */
  readonly look: () => Promise<Entry | null>
  /** Nobody waits any more. */
  readonly given: () => boolean
}

const firstLookMs = 20
const lookEveryMs = 200

/** Waits for what another gateway fetches. Null = the caller asks itself; `leased`: and holds the lease meanwhile. */
export async function fetchedElsewhere(
  leases: Leases,
  { key, token, waitMs, nowMs, look, given }: Awaited,
): Promise<{ readonly entry: Entry | null; readonly leased: boolean }> {
  const untilMs = nowMs() + waitMs
  for (let pauseMs = firstLookMs; ; pauseMs = Math.min(lookEveryMs, pauseMs * 2)) {
    const taken = await leases.take(key, token, waitMs)
    const looked = pauseMs > firstLookMs
    // Whoever had the lease may have kept its answer since we looked.
    const entry = looked || taken === 'held' ? await look() : null
    if (entry !== null) {
      if (taken === 'taken') leases.release(key, token)
      return { entry, leased: false }
    }
    if (taken !== 'held') return { entry: null, leased: taken === 'taken' }
    const leftMs = untilMs - nowMs()
    if (leftMs <= 0 || given()) return { entry: null, leased: false }
    await Bun.sleep(Math.min(pauseMs, leftMs))
  }
}
