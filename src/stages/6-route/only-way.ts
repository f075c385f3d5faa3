// Where there is but one way and nothing to try after it, a request costs no more than if there were no choice at all.

import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { Target } from './choice.ts'
import type { Route, Ways } from './plan.ts'
import type { Send, TrialParts } from './trial-parts.ts'

/** One way only, and nothing that could be tried after it: the request is sent, and its answer passed on as it comes. */
export function isSimple<T extends Target>(
  { config }: Route<T>,
  { all }: Ways<T>,
  parts: TrialParts<T>,
): boolean {
  if (all.length > 1 || config.retry.sameUpstream || config.contextFallback !== null) return false
  const { target } = all[0]!
  return !target.spareKeys && parts.firstTokenMs(target) >= 86_400_000
}

/** Asks the one upstream there is. @throws Failure where it is drained */
export function only<T extends Target>(x: Exchange, send: Send<T>, { all }: Ways<T>): Promise<Reply> {
  const choice = all[0]!
  if (choice.account.draining)
    throw new Failure('overloaded', 'The upstream is being drained. Try again later.')
  x.routedModel = choice.model
  x.upstream = choice.target.name
  x.attempts++
  choice.begin()
  const sending = send(x, choice.target)
  const attempt = x.tried.at(-1)
  if (attempt !== undefined) attempt.underWay = choice
  return sending
}
