// Rates as people write them in a config: a count and the time it is for, `20/1m`.

import { parseDuration } from './duration.ts'

/** So many in so long. */
export interface Rate {
  /** At least 1. */
  readonly count: number
  /** At least 1. */
  readonly windowMs: number
}

/** What `parseRate` takes. */
export const ratePattern = /^[1-9]\d{0,8}\/\d+(\.\d+)?(ms|s|m|h|d)$/

/** `20/1m` as a rate; null for anything else. */
export function parseRate(text: string): Rate | null {
  if (!ratePattern.test(text)) return null
  const slash = text.indexOf('/')
  const windowMs = parseDuration(text.slice(slash + 1))
  return windowMs === null || windowMs < 1 ? null : { count: Number(text.slice(0, slash)), windowMs }
}
