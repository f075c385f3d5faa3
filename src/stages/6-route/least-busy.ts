// The upstream with the fewest requests under way for its weight. Equals take turns: otherwise a quiet gate would send
// everything to the first.

import type { Picker } from './router.ts'

export const leastBusy: Picker = {
  pick(set, ask) {
    const { choices } = set
    let best = -1
    let least = Infinity
    for (let step = 0; step < choices.length; step++) {
      const at = (set.turn + step) % choices.length
      const { account, weight } = choices[at]!
      const load = account.busy / weight
      if (load < least && ask.usable(choices[at]!)) {
        least = load
        best = at
      }
    }
    if (best >= 0) set.turn = best + 1
    return best
  },
}
