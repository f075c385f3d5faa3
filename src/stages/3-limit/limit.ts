// Stage 3, limit: reserves before an upstream is asked, settles after. All or nothing: a limit that refuses frees what
// the ones before it hold.

import type { Exchange } from '../../exchange.ts'
import type { Limiter } from './limiter.ts'

export interface LimitStage {
  /** Undefined where nothing has to be waited for. @throws Failure where a limit is reached; then nothing stays reserved */
  reserve(x: Exchange): void | Promise<void>
  settle(x: Exchange): void
}

export function createLimit(limiters: readonly Limiter[]): LimitStage {
  return {
    reserve(x) {
      if (limiters.length === 0) return
      try {
        for (const limiter of limiters) {
          const hold = limiter.reserve(x)
          if (hold !== null) x.holds.push(hold)
        }
      } catch (cause) {
        settleAll(x)
        throw cause
      }
    },
    settle: settleAll,
  }
}

function settleAll(x: Exchange): void {
  if (x.holds.length === 0) return
  for (const hold of x.holds.splice(0)) hold.settle(x)
}
