// The contract of stage 4's kinds.

import type { Exchange, Reply, Tap } from '../../exchange.ts'

/** Asks an upstream, with `x.query` as it is then. @throws Failure */
export type Ask = (x: Exchange) => Promise<Reply>

/** One kind of rule on requests and replies. */
export interface Transformer {
  /** Changes the request, or refuses it. Undefined where nothing has to be waited for. @throws Failure */
  request(x: Exchange): void | Promise<void>
  /**
   * What needs a reply before its first byte goes out: to keep what it says, or to put another body in its place. `ask`
   * sends the request again. Absent = nothing. @throws Failure; the body is then aborted here
   */
  reply?(x: Exchange, reply: Reply, ask: Ask): Reply | Promise<Reply>
  /** A tap on the reply's bytes, or null where this rule leaves them alone. */
  tap(x: Exchange, reply: Reply): Tap | null
}
