// The contract of stage 3's kinds.

import type { Exchange, Hold } from '../../exchange.ts'

/** One kind of limit. */
export interface Limiter {
  /** Reserves the worst case, or null where this limit does not apply. @throws Failure where it does not fit */
  reserve(x: Exchange): Hold | null
}
