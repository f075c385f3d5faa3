// The first upstream of the list that is usable: the others take what spills over while it is limited, broken or drained.

import { nextUsable, type Picker } from './router.ts'

export const priority: Picker = {
  pick: (set, ask) => nextUsable(set, ask, 0),
}
