// The contract of prices, as stage 8 uses it; src/prices/ keeps it.

import type { Units, Usage } from '../../openai/usage.ts'

/** One call. */
export interface PricedCall {
  readonly provider: string
  readonly upstream: string
  readonly model: string | null
  readonly serviceTier: string | null
  /** Wall clock. */
  readonly atMs: number
  readonly usage: Usage | null
  readonly units: Units | null
  readonly batch: boolean
}

/** What a call costs. Cheap enough for every call. */
export interface Pricing {
  /** Part of every row. */
  readonly version: string
  /** `costNanoUsd` null = no price is known. */
  price(call: PricedCall): { readonly costNanoUsd: number | null; readonly priceVersion: string }
  /** The most it may cost, whichever upstream is asked; null = one has no price for it. */
  worst(call: PricedWorst): number | null
}

/** A call before it is made. */
export interface PricedWorst {
  readonly model: string | null
  readonly inputTokens: number
  readonly outputTokens: number
  readonly atMs: number
}

/** Knows no price. */
export const noPricing: Pricing = {
  version: 'none',
  price: () => ({ costNanoUsd: null, priceVersion: 'none' }),
  worst: () => null,
}
