// The upstream with the most left of its own rate limit, as it says with each answer (`x-ratelimit-remaining-…`). What has
// been sent since is taken off. One that says nothing
// counts as having a thousand for each unit of its weight.

import type { Choice } from './choice.ts'
import { remainingMs } from './health.ts'
import type { Picker } from './router.ts'

export const headroom: Picker = {
  pick(set, ask) {
    const { choices } = set
    let best = -1
    let most = -Infinity
    for (let step = 0; step < choices.length; step++) {
      const at = (set.turn + step) % choices.length
      const left = room(choices[at]!, ask.nowMs)
      if (left > most && ask.usable(choices[at]!)) {
        most = left
        best = at
      }
    }
    if (best >= 0) set.turn = best + 1
    return best
  },
}

/** Tokens that a request is taken to need where only one of the two is said: to compare tokens with requests. */
const tokensPerRequest = 1000
/** What one that says nothing is taken to have, in requests. */
const unknownRoom = 1000

function room({ health, weight }: Choice, nowMs: number): number {
  if (nowMs - health.remainingAtMs > remainingMs) return unknownRoom * weight - health.busy
  const requests = health.remainingRequests ?? Infinity
  const tokens = (health.remainingTokens ?? Infinity) / tokensPerRequest
  const left = Math.min(requests, tokens)
  return (left === Infinity ? unknownRoom * weight : left) - health.busy
}
