// What limits ask of the meter: the most a request can cost, before it is sent, and what it did cost, when its rows are
// kept.

import type { Exchange } from '../../exchange.ts'
import type { Pricing } from './pricing.ts'
import { worstCase, type WorstCase } from './worst-case.ts'

/** The most a request can cost. */
export interface WorstCost extends WorstCase {
  /** Null = no price is known. */
  readonly costNanoUsd: number | null
}

/** What a request did cost, over all its calls. */
export interface Spent {
  /** 1 where an upstream was asked, or an answer was given without. */
  readonly requests: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** Null = a call had no price. */
  readonly costNanoUsd: number | null
}

const free: WorstCost = { inputTokens: 0, outputTokens: 0, costNanoUsd: 0 }

/** By the dearest price of whoever may be asked. An endpoint whose cost nobody can know has none. */
export function worstCost(x: Exchange, pricing: Pricing, atMs: number): WorstCost {
  const metered = x.endpoint?.metered ?? 'unmetered'
  if (metered === 'free') return free
  const tokens = worstCase(x)
  const costNanoUsd = metered === 'unmetered' ? null : pricing.worst({ model: x.model, ...tokens, atMs })
  return { ...tokens, costNanoUsd }
}

/** As its rows have it. */
export function spent(x: Exchange): Spent {
  let inputTokens = 0
  let outputTokens = 0
  let costNanoUsd: number | null = 0
  // An answer from the cache is a request too.
  let asked = x.ownRow === 'none' ? 0 : 1
  for (const { bookedUsage, costNanoUsd: cost, itemsNanoUsd, sent } of x.tried) {
    if (sent) asked = 1
    inputTokens += bookedUsage?.input ?? 0
    outputTokens += bookedUsage?.output ?? 0
    costNanoUsd = costNanoUsd === null || cost === null ? null : costNanoUsd + cost + itemsNanoUsd
  }
  return { requests: asked, inputTokens, outputTokens, costNanoUsd }
}
