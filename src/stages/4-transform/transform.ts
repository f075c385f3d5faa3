// Stage 4, transform: the operator's rules on requests and replies, in the order of the configuration. Without a rule
// that applies, bytes pass unchanged.

import type { Exchange, Reply, Tap } from '../../exchange.ts'
import type { Transformer } from './transformer.ts'

export interface TransformStage {
  /** Undefined where nothing has to be waited for. @throws Failure where a rule blocks the request */
  request(x: Exchange): void | Promise<void>
  tap(x: Exchange, reply: Reply): readonly Tap[]
}

const none: readonly Tap[] = []

export function createTransform(rules: readonly Transformer[]): TransformStage {
  return {
    request(x) {
      return rules.length === 0 ? undefined : applyAll(x, rules)
    },
    tap(x, reply) {
      if (rules.length === 0) return none
      return rules.map((rule) => rule.tap(x, reply)).filter((tap) => tap !== null)
    },
  }
}

// Not async as a whole: nearly every rule is done at once, and a promise costs as much as a stage.
function applyAll(x: Exchange, rules: readonly Transformer[], from = 0): void | Promise<void> {
  for (let index = from; index < rules.length; index++) {
    const waiting = rules[index]!.request(x)
    if (waiting !== undefined) return waiting.then(() => applyAll(x, rules, index + 1))
  }
}
