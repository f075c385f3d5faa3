// Stage 4, transform: the operator's rules on requests and replies, in the order of the configuration. Without a rule
// that applies, bytes pass unchanged.

import type { Exchange, Reply, Tap } from '../../exchange.ts'
import type { Transformer } from './transformer.ts'

export interface TransformStage {
  /** Undefined where nothing has to be waited for. @throws Failure where a rule blocks the request */
  request(x: Exchange): void | Promise<void>
  /** The reply to go on with; a promise only where something has to be waited for. @throws Failure */
  reply(x: Exchange, reply: Reply, ask: () => Promise<Reply>): Reply | Promise<Reply>
  tap(x: Exchange, reply: Reply): readonly Tap[]
}

export { createObjects } from './objects.ts'

const none: readonly Tap[] = []

export function createTransform(rules: readonly Transformer[]): TransformStage {
  return {
    request(x) {
      return rules.length === 0 ? undefined : applyAll(x, rules)
    },
    reply(x, reply, ask) {
      let mended: Reply | Promise<Reply> = reply
      for (const rule of rules) {
        if (rule.reply === undefined) continue
        mended =
          mended instanceof Promise
            ? mended.then((so) => rule.reply!(x, so, ask))
            : rule.reply(x, mended, ask)
      }
      return mended
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
