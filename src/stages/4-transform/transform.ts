// Stage 4, transform: the operator's rules on requests and replies, in the order of the configuration. Without a rule
// that applies, bytes pass unchanged.

import type { Exchange, Reply, Tap } from '../../exchange.ts'
import type { Ask, Transformer } from './transformer.ts'

export interface TransformStage {
  /** Undefined where nothing has to be waited for. @throws Failure where a rule blocks the request */
  request(x: Exchange): void | Promise<void>
  /** The reply to go on with; a promise only where something has to be waited for. @throws Failure */
  reply(x: Exchange, reply: Reply, ask: Ask): Reply | Promise<Reply>
  tap(x: Exchange, reply: Reply): readonly Tap[]
}

export { createObjects } from './objects.ts'

const none: readonly Tap[] = []

export function createTransform(rules: readonly Transformer[]): TransformStage {
  return {
    request: (x) => applyAll(x, rules, 0),
    reply(x, reply, ask) {
      let mended: Reply | Promise<Reply> = reply
      for (const rule of rules) {
        if (rule.reply === undefined) continue
        mended = mended instanceof Promise ? mendLater(mended, rule, { x, ask }) : rule.reply(x, mended, ask)
      }
      return mended
    },
    tap(x, reply) {
      let taps: Tap[] | null = null
      for (const rule of rules) {
        const tap = rule.tap(x, reply)
        if (tap !== null) (taps ??= []).push(tap)
      }
      return taps ?? none
    },
  }
}

// Not async as a whole: nearly every rule is done at once, and a promise costs as much as a stage. The closures are made
// elsewhere for the same reason: a function that has one pays for it at every call.
function applyAll(x: Exchange, rules: readonly Transformer[], from: number): void | Promise<void> {
  for (let index = from; index < rules.length; index++) {
    const waiting = rules[index]!.request(x)
    if (waiting !== undefined) return applyLater(waiting, x, { rules, from: index + 1 })
  }
}

function applyLater(
  waiting: Promise<void>,
  x: Exchange,
  { rules, from }: { readonly rules: readonly Transformer[]; readonly from: number },
): Promise<void> {
  return waiting.then(() => applyAll(x, rules, from))
}

function mendLater(
  reply: Promise<Reply>,
  rule: Transformer,
  { x, ask }: { readonly x: Exchange; readonly ask: Ask },
): Promise<Reply> {
  return reply.then((so) => rule.reply!(x, so, ask))
}
