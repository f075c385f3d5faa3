// Each upstream gets its share of the requests, by chance. Where the drawn one is not usable another is drawn, so that its
// share goes to all others and not to its neighbour.

import type { ChoiceSet } from './choice.ts'
import { nextUsable, type Ask, type Picker } from './router.ts'

const drawsMax = 8

export const weighted: Picker = {
  pick(set, ask) {
    const { choices } = set
    if (choices.length === 0) return -1
    let at = 0
    for (let draw = 0; draw < drawsMax; draw++) {
      at = drawn(set, ask)
      if (ask.usable(choices[at]!)) return at
    }
    return nextUsable(set, ask, at)
  },
}

/** The first place whose sum is above a random share of the total. */
function drawn({ sums, total }: ChoiceSet, ask: Ask): number {
  const wanted = ask.random() * total
  let low = 0
  let high = sums.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sums[middle]! > wanted) high = middle
    else low = middle + 1
  }
  return low
}
