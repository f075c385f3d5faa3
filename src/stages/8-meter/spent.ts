// What limits ask of the meter: the most a request can cost, before it is sent, and what it did cost, when its rows are
// kept.

import type { Attempt, Exchange } from '../../exchange.ts'
import { estimateRoughly } from './estimate-roughly.ts'
import type { Pricing } from './pricing.ts'
import { worstCase, type WorstCase } from './worst-case.ts'

/** The most a request can cost. */
export interface WorstCost extends WorstCase {
  /** Null = no price is known, or it was not asked for. */
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

/** The most it can cost in tokens. */
export function worstTokens(x: Exchange): WorstCost {
  if (x.endpoint?.metered === 'free') return free
  const { inputTokens, outputTokens } = worstCase(x)
  return { inputTokens, outputTokens, costNanoUsd: null }
}

/** By the dearest price of whoever may be asked. An endpoint whose cost nobody can know has none. */
export function worstCost(x: Exchange, pricing: Pricing, atMs: number): WorstCost {
  const tokens = worstTokens(x)
  if (tokens === free) return free
  const costNanoUsd =
    x.endpoint?.metered !== 'usage' ? null : pricing.worst({ model: x.model, ...tokens, atMs })
  return { ...tokens, costNanoUsd }
}

/**
 * As its rows have it; where tokens are still being counted, by length: a slot must not stay taken for that, and after a
 * restart the rows count.
 */
export function spent(x: Exchange, pricing: Pricing): Spent {
  let inputTokens = 0
  let outputTokens = 0
  let costNanoUsd: number | null = 0
  // An answer from the cache is a request too.
  let asked = x.ownRow === 'none' ? 0 : 1
  for (const attempt of x.tried) {
    const {
      bookedUsage,
      costNanoUsd: cost,
      itemsNanoUsd,
    } = attempt.state === 'estimated' && attempt.bookedUsage === null ? roughly(x, attempt, pricing) : attempt
    if (attempt.sent) asked = 1
    inputTokens += bookedUsage?.input ?? 0
    outputTokens += bookedUsage?.output ?? 0
    costNanoUsd = costNanoUsd === null || cost === null ? null : costNanoUsd + cost + itemsNanoUsd
  }
  return { requests: asked, inputTokens, outputTokens, costNanoUsd }
}

function roughly(x: Exchange, attempt: Attempt, pricing: Pricing) {
  const { usage } = estimateRoughly(x, attempt)
  const { whom, upstreamModel, startedWallMs: atMs, itemsNanoUsd, units } = attempt
  const about = {
    provider: whom.providerName,
    upstream: whom.name,
    model: upstreamModel ?? x.form?.model ?? null,
    atMs,
    batch: false,
  }
  const { costNanoUsd } = pricing.price({ ...about, serviceTier: attempt.serviceTier, usage, units })
  return { bookedUsage: usage, costNanoUsd, itemsNanoUsd }
}
