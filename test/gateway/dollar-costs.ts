// Prices for tests: whatever reaches an upstream costs a dollar.

import type { Costs } from '../../src/stages/3-limit/costs.ts'

/** A dollar a request. */
export const dollarCosts: Costs = {
  estimate: () => ({ inputTokens: 10, outputTokens: 10, costNanoUsd: 1e9 }),
  spent: (x) =>
    x.tried.length === 0
      ? { requests: 0, inputTokens: 0, outputTokens: 0, costNanoUsd: 0 }
      : { requests: 1, inputTokens: 10, outputTokens: 10, costNanoUsd: 1e9 },
}
