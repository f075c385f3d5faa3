// The headers OpenAI puts on every answer (platform.openai.com/docs/api-reference/debugging-requests, read November 2026). The limits
// follow from the answer alone, so that the same calls give the same headers.

import type { BookUsage } from './books.ts'

const requestLimit = 10_000
const tokenLimit = 2_000_000

/** The headers of one answer. */
export function openaiHeaders(facts: {
  requestId: string
  wallMs: number
  processingMs: number
  usage: BookUsage | null
}): [string, string][] {
  const used = (facts.usage?.input ?? 0) + (facts.usage?.output ?? 0)
  return [
    ['date', new Date(facts.wallMs).toUTCString()],
    ['openai-organization', 'org-sandbox0123456789'],
    ['openai-processing-ms', String(facts.processingMs)],
    ['openai-project', 'proj_sandbox'],
    ['openai-version', '2020-10-01'],
    ['x-ratelimit-limit-requests', String(requestLimit)],
    ['x-ratelimit-limit-tokens', String(tokenLimit)],
    ['x-ratelimit-remaining-requests', String(requestLimit - 1)],
    ['x-ratelimit-remaining-tokens', String(Math.max(tokenLimit - used, 0))],
    ['x-ratelimit-reset-requests', '6ms'],
    ['x-ratelimit-reset-tokens', `${Math.ceil(used / 33.4)}ms`],
    ['x-request-id', facts.requestId],
  ]
}
