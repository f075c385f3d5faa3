// The contract of stage 6's kinds: a picker says which of several ways a request takes. It is asked anew for each attempt,
// and only gives a way that `usable` holds for; it keeps no state but what stands in the set and in the choices.

import type { Choice, ChoiceSet } from './choice.ts'

/** What a choice is made for. */
export interface Ask {
  readonly nowMs: number
  /** From 0 up to but not 1. */
  random(): number
  /** What the request has in common with others that share a prompt's beginning; asked for only by who goes by it. */
  prefix(): number
  /** Whether the way may be taken: open, and not tried already. */
  usable(choice: Choice): boolean
  /** What the account's own quota leaves, in requests; Infinity = it has none. */
  room(choice: Choice): number
}

/** One kind of choice among upstreams. */
export interface Picker {
  /** The place in `set.choices`, or -1 where none is usable. At most one look at each choice, and no allocation. */
  pick(set: ChoiceSet, ask: Ask): number
}

/** The first usable choice from a place on, around: for pickers whose own choice is not usable. */
export function nextUsable({ choices }: ChoiceSet, ask: Ask, from: number): number {
  for (let step = 0; step < choices.length; step++) {
    const at = (from + step) % choices.length
    if (ask.usable(choices[at]!)) return at
  }
  return -1
}
