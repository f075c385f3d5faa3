// Of two drawn at random, the one that is likely to answer first: its latency times what is under way there ("the power of
// two choices": nearly as good as looking at all, and no herd runs to the one that was best a moment ago). One that has not
// been measured counts as fast, so that it is; and one that was slow is forgiven bit by bit while nobody asks it.

import type { Choice } from './choice.ts'
import { nextUsable, type Ask, type Picker } from './router.ts'

export const leastLatency: Picker = {
  pick(set, ask) {
    const { choices } = set
    if (choices.length === 0) return -1
    const first = Math.floor(ask.random() * choices.length)
    const other = Math.floor(ask.random() * (choices.length - 1))
    const second = other >= first ? other + 1 : other
    const one = ask.usable(choices[first]!)
    const two = second < choices.length && ask.usable(choices[second]!)
    if (one && two) return cost(choices[first]!, ask) <= cost(choices[second]!, ask) ? first : second
    if (one || two) return one ? first : second
    return nextUsable(set, ask, first)
  },
}

function cost({ health, account, weight }: Choice, { nowMs }: Ask): number {
  return ((health.latencyAt(nowMs) + 1) * (account.busy + 1)) / weight
}
