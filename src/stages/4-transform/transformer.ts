// The contract of stage 4's kinds.

import type { Exchange, Reply, Tap } from '../../exchange.ts'

/** One kind of rule on requests and replies. */
export interface Transformer {
  /** Changes the request, or refuses it. Undefined where nothing has to be waited for. @throws Failure */
  request(x: Exchange): void | Promise<void>
  /** A tap on the reply's bytes, or null where this rule leaves them alone. */
  tap(x: Exchange, reply: Reply): Tap | null
}
