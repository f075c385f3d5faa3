// Stage 6, route: chooses an upstream and asks it. The request is prepared once, before this stage; whatever is tried
// here sends the same bytes.

import type { Exchange, Reply } from '../../exchange.ts'
import { first } from './first.ts'
import type { Send, Target } from './router.ts'

export interface RouteStage<T extends Target = Target> {
  /** The reply of the chosen upstream. @throws Failure */
  attempt(x: Exchange, send: Send<T>): Promise<Reply>
  /** What the outcome of an exchange tells of its upstream; a fixed choice has nothing to learn from it. */
  learn(x: Exchange): void
}

export function createRoute<T extends Target>(targets: readonly T[]): RouteStage<T> {
  return {
    attempt(x, send) {
      const target = first.pick(targets)
      x.upstream = target.name
      x.attempts++
      return send(x, target)
    },
    learn() {},
  }
}
