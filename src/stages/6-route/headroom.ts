// The upstream with the most left of its own rate limit, as it says with each answer (`x-ratelimit-remaining-…`). What has
// been sent since is taken off. One that says nothing
// counts as having a thousand for each unit of its weight. Limits that it has in the configuration bound it too.

import type { Choice } from './choice.ts'
import { remainingMs } from './health.ts'
import type { Picker } from './router.ts'

export const headroom: Picker = {
  pick(set, ask) {
    const { choices } = set
    let best = -1
    let most = -Infinity
    let at = set.turn % (choices.length || 1)
    for (let step = 0; step < choices.length; step++, at = at + 1 < choices.length ? at + 1 : 0) {
      const left = Math.min(room(choices[at]!, ask.nowMs), ask.room(choices[at]!))
      if (left > most && ask.usable(choices[at]!)) {
        most = left
        best = at
      }
    }
    if (best >= 0) set.turn = best + 1
    return best
  },
}

/** What one that says nothing is taken to have, in requests. */
const unknownRoom = 1000

function room({ health, weight }: Choice, nowMs: number): number {
  const said = nowMs - health.remainingAtMs <= remainingMs && health.room !== Infinity
  return (said ? health.room : unknownRoom * weight) - health.busy
}
