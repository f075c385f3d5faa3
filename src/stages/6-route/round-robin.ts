// One after the other, whatever their weights.

import { nextUsable, type Picker } from './router.ts'

export const roundRobin: Picker = {
  pick(set, ask) {
    if (set.choices.length === 0) return -1
    const at = nextUsable(set, ask, set.turn % set.choices.length)
    if (at >= 0) set.turn = at + 1
    return at
  },
}
