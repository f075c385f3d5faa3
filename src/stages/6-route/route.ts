// Stage 6, route: chooses an upstream and asks it. The request is prepared once, before this stage; whatever is tried
// here sends the same bytes.

import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { first } from './first.ts'
import type { Send, Target } from './router.ts'

export interface RouteStage<T extends Target = Target> {
  /** The reply of the chosen upstream. @throws Failure */
  attempt(x: Exchange, send: Send<T>): Promise<Reply>
  /** What the outcome of an exchange tells of its upstream; a fixed choice has nothing to learn from it. */
  learn(x: Exchange): void
}

export function createRoute<T extends Target>(targets: readonly T[]): RouteStage<T> {
  const bound = targets.some((target) => target.env !== null)
  return {
    attempt(x, send) {
      const target = first.pick(bound ? open(targets, x) : targets)
      x.upstream = target.name
      x.attempts++
      return send(x, target)
    },
    learn() {},
  }
}

/** The upstreams of the caller's environment, and those of none. A caller without one gets only the latter. */
function open<T extends Target>(targets: readonly T[], x: Exchange): readonly T[] {
  const { env } = x.principal
  const left = targets.filter((target) => target.env === null || target.env === env)
  if (left.length > 0) return left
  throw new Failure(
    'access_denied',
    'No upstream serves the environment of your key. Ask its owner for access.',
  )
}
