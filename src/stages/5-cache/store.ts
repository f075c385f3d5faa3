// The contract of stage 5's kinds.

import type { Exchange, Reply, Tap } from '../../exchange.ts'

/** One kind of cache. */
export interface Store {
  /** The stored reply to this request, or null. */
  find(x: Exchange): Promise<Reply | null>
  /** A tap that stores the reply as it passes, or null where it may not be stored. */
  tap(x: Exchange, reply: Reply): Tap | null
}
