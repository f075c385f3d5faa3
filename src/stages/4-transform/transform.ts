// Stage 4, transform: the operator's rules on requests and replies, in the order of the configuration. Without a rule
// that applies, bytes pass unchanged.

import type { Exchange, Reply, Tap } from '../../exchange.ts'
import type { Transformer } from './transformer.ts'

export interface TransformStage {
  /** @throws Failure where a rule blocks the request */
  request(x: Exchange): void
  tap(x: Exchange, reply: Reply): readonly Tap[]
}

const none: readonly Tap[] = []

export function createTransform(rules: readonly Transformer[]): TransformStage {
  return {
    request(x) {
      for (const rule of rules) rule.request(x)
    },
    tap(x, reply) {
      if (rules.length === 0) return none
      return rules.map((rule) => rule.tap(x, reply)).filter((tap) => tap !== null)
    },
  }
}
