// Where what an answer says is left: on the exchange, for the log, and on the call that it answers, for the ledger.

import type { Exchange } from '../../exchange.ts'
import type { AnswerFacts } from '../../openai/usage.ts'

/** Leaves the facts; what an answer does not say does not replace what is known. */
export function note(x: Exchange, facts: AnswerFacts): void {
  const attempt = x.tried.at(-1)
  if (facts.usage !== null) {
    x.usage = facts.usage
    if (attempt !== undefined) {
      attempt.usage = facts.usage
      attempt.usageFinal = facts.final
    }
  }
  if (facts.units !== null) {
    x.units = facts.units
    if (attempt !== undefined) attempt.units = facts.units
  }
  if (facts.model !== null) {
    x.answeredModel = facts.model
    if (attempt !== undefined) attempt.answeredModel = facts.model
  }
  if (facts.serviceTier === null) return
  x.serviceTier = facts.serviceTier
  if (attempt !== undefined) attempt.serviceTier = facts.serviceTier
}

/** The answer has ended in order: no other usage can follow. */
export function noteEnd(x: Exchange): void {
  const attempt = x.tried.at(-1)
  if (attempt !== undefined && attempt.usage !== null) attempt.usageFinal = true
}
