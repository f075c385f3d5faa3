// Ejects upstreams that answer far slower than the others. Compared is the mean latency of the same model, since one long
// answer says nothing; at least three must have been measured, and at most a third is ejected at once, so that a slow day
// for all of them ejects none.

import type { Choice, Target } from './choice.ts'
import type { Ways } from './plan.ts'

const everyMs = 1000
const measuredMin = 10
const comparedMin = 3
/** Below this nobody is slow. */
const slowMsMin = 100

const lookedAtMs = new WeakMap<object, number>()

/** Leaves alone for a while whatever is `factor` times slower than the median. Looks once a second at most. */
export function ejectSlow<T extends Target>(ways: Ways<T>, factor: number, nowMs: number): void {
  if (nowMs - (lookedAtMs.get(ways) ?? -Infinity) < everyMs) return
  lookedAtMs.set(ways, nowMs)
  for (const { choices } of ways.ranks) {
    const known = choices.filter(({ health }) => health.measured >= measuredMin)
    if (known.length < comparedMin) continue
    const median = known.map(({ health }) => health.meanMs).toSorted((a, b) => a - b)[known.length >> 1]!
    let mayEject = Math.floor(choices.length / 3) - choices.filter((each) => !each.isOpen(nowMs)).length
    for (const choice of slowest(known)) {
      const { meanMs } = choice.health
      if (mayEject-- <= 0 || meanMs < slowMsMin || meanMs < median * factor) break
      choice.eject(nowMs)
    }
  }
}

function slowest<T extends Target>(choices: readonly Choice<T>[]): Choice<T>[] {
  return choices.toSorted((a, b) => b.health.meanMs - a.health.meanMs)
}
