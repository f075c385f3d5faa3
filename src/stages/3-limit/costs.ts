// What a request may use at most, and what it used: the two questions a limit has, and a plain answer to both for
// gateways whose meter has none. Who knows the model's tokenizer and its price answers better; see `Costs`.

import type { Exchange } from '../../exchange.ts'
import { tokensMax } from '../../openai/usage.ts'
import type { Quantity } from './rule.ts'

/** The worst case of a request, before it is sent. */
export interface Estimate {
  readonly inputTokens: number
  readonly outputTokens: number
  /** Null = no price is known, so nobody can say; or it was not asked for. */
  readonly costNanoUsd: number | null
}

/** What a request used, when it is over. All 0 where no upstream was asked and nothing was given. */
export interface Spent {
  /** 1 where an upstream was asked, or an answer was given without. */
  readonly requests: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** Null = not known: what was reserved stays counted. */
  readonly costNanoUsd: number | null
}

/** Who knows what requests cost. Both are pure, and cheap enough for the path of a request. */
export interface Costs {
  /** `priced`: the cost is asked for too. */
  estimate(x: Exchange, priced: boolean): Estimate
  spent(x: Exchange): Spent
}

/** Output counted for where a request names no maximum. */
export const outputCeiling = 4096

const maxima = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'] as const
const nothing: Estimate = { inputTokens: 0, outputTokens: 0, costNanoUsd: 0 }
const unused: Spent = { requests: 0, inputTokens: 0, outputTokens: 0, costNanoUsd: 0 }

/**
 * The plain answer: no token is shorter than a byte, so the body's length bounds its input; output by what the request
 * allows. Knows no prices.
 */
export const plainCosts: Costs = {
  estimate(x) {
    if (x.endpoint!.metered === 'free') return nothing
    const inputTokens = x.bodyBytes?.length ?? 0
    return { inputTokens, outputTokens: outputOf(x), costNanoUsd: null }
  },
  spent(x) {
    const last = x.tried.at(-1)
    if (last === undefined) return x.ownRow === 'none' ? unused : { ...unused, requests: 1 }
    const usage = x.usage ?? last.usage
    if (usage !== null)
      return { requests: 1, inputTokens: usage.input, outputTokens: usage.output, costNanoUsd: null }
    // An upstream that refused used nothing; one that answered without a word about tokens used what nobody knows.
    if (last.status >= 400) return { ...unused, requests: 1 }
    return { requests: 1, ...tokensOf(this.estimate(x, false)), costNanoUsd: null }
  },
}

function tokensOf({ inputTokens, outputTokens }: Estimate): Pick<Spent, 'inputTokens' | 'outputTokens'> {
  return { inputTokens, outputTokens }
}

/** Embeddings write nothing; who else names no maximum may write a good deal. */
function outputOf(x: Exchange): number {
  if (x.endpoint!.operation === 'embeddings') return 0
  if (x.endpoint!.body !== 'json' || x.bodyBytes === null) return outputCeiling
  let body: unknown
  try {
    body = x.json()
  } catch {
    return outputCeiling
  }
  if (typeof body !== 'object' || body === null) return outputCeiling
  const members = body as Readonly<Record<string, unknown>>
  const named = maxima.map((name) => members[name]).filter(isCount)
  const choices = Math.max(1, ...[members['n'], members['best_of']].filter(isCount))
  const each = named.length === 0 ? outputCeiling : Math.max(...named)
  return Math.min(each * choices, tokensMax)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= tokensMax
}

/** How much of a quantity; null = nobody knows. */
export function amountOf(of: Estimate | Spent, quantity: Quantity): number | null {
  switch (quantity) {
    case 'tokens':
      return of.inputTokens + of.outputTokens
    case 'inputTokens':
      return of.inputTokens
    case 'outputTokens':
      return of.outputTokens
    case 'cost':
      return of.costNanoUsd
    case 'requests':
      return 'requests' in of ? of.requests : 1
    case 'concurrent':
      return 'requests' in of ? 0 : 1
  }
}
