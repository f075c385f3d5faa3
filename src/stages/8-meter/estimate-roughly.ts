// Tokens by length, where counting them is not worth the wait: four bytes a token is what English text has on average
// (OpenAI's own rule of thumb, help.openai.com "What are tokens", read November 2026).

import type { Attempt, Exchange } from '../../exchange.ts'
import { zeroUsage } from '../../openai/usage.ts'
import type { Estimate } from './book.ts'

const bytesPerToken = 4

/** By the request's length, and by the length of what a stream has said so far. */
export function estimateRoughly(x: Exchange, attempt: Attempt): Estimate {
  const input = Math.ceil(x.bytesIn / bytesPerToken)
  const output = attempt.output === null ? 0 : Math.ceil(attempt.output.bytes / bytesPerToken)
  const usage = { ...zeroUsage, input, output, total: input + output }
  return { usage, estimator: 'bytes-1' }
}
