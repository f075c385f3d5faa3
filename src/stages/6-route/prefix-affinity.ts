// Requests that begin alike go to the same upstream, so that its prompt cache hits: weighted rendezvous hashing (of all
// upstreams the one with the highest score for this prefix), which moves only the requests of an upstream that comes or
// goes. With bounded load: one that has a quarter more under way than its share is passed over.

import { mix } from './choice.ts'
import type { Picker } from './router.ts'

const overload = 1.25

export const prefixAffinity: Picker = {
  pick(set, ask) {
    const { choices, total } = set
    const prefix = ask.prefix()
    let busy = 1
    for (let at = 0; at < choices.length; at++) busy += choices[at]!.account.busy
    let best = -1
    let most = -Infinity
    let spare = -1
    let mostSpare = -Infinity
    for (let at = 0; at < choices.length; at++) {
      const choice = choices[at]!
      const hash = (mix(prefix ^ choice.seed) + 1) / 4294967298
      const score = choice.weight / -Math.log(hash)
      const full = choice.account.busy + 1 > Math.ceil(((busy * choice.weight) / total) * overload)
      if (full ? score <= mostSpare : score <= most) continue
      if (!ask.usable(choice)) continue
      if (full) {
        mostSpare = score
        spare = at
      } else {
        most = score
        best = at
      }
    }
    return best >= 0 ? best : spare
  },
}
