// Warnings before a limit is reached, and where one that only warns is passed. One line each time an account passes a
// threshold; a limit that many accounts pass at once says at most a line a second, and how many it kept to itself.

import type { Charge } from './plan.ts'
import { ownerText } from './plan.ts'
import type { Moment, Rule } from './rule.ts'

const everyMs = 1000
const over: readonly number[] = [1]

/** Told of each threshold that is passed: `share` of the limit, from 0 to 1. */
export type OnThreshold = (passed: {
  readonly rule: Rule
  readonly owner: string
  readonly share: number
}) => void

export class Warnings {
  readonly #saidAtMs = new Map<string, { atMs: number; kept: number }>()

  constructor(
    private readonly say: (text: string) => void,
    private readonly onThreshold: OnThreshold = () => {},
  ) {}

  /** After a charge was counted: `used` counts with it. */
  look(charge: Charge, used: number, at: Moment): void {
    const { rule, column } = charge.tracked
    const thresholds = rule.enforce ? rule.warnAt : rule.warnAt.length > 0 ? rule.warnAt : over
    if (thresholds.length === 0) return
    const share = used / rule.limit
    const record = charge.record(at)
    const before = column.warned.get(record) ?? 0
    // Back to where it began: the next period's warnings are due again.
    const from = before > 0 && share < thresholds[0]! / 2 ? 0 : before
    let passed = from
    while (passed < thresholds.length && share >= thresholds[passed]!) passed += 1
    if (passed !== before) column.warned.set(record, passed)
    if (passed === from) return
    const last = thresholds[passed - 1]!
    this.onThreshold({ rule, owner: charge.owner, share: last })
    this.#tell(rule, ownerText(charge), { percent: Math.round(last * 100), nowMs: at.nowMs })
  }

  #tell(rule: Rule, whose: string, { percent, nowMs }: { percent: number; nowMs: number }): void {
    const last = this.#saidAtMs.get(rule.name)
    if (last !== undefined && nowMs - last.atMs < everyMs) {
      last.kept += 1
      return
    }
    const kept = last === undefined || last.kept === 0 ? '' : ` (and ${last.kept} more since the last line)`
    this.#saidAtMs.set(rule.name, { atMs: nowMs, kept: 0 })
    this.say(
      `limit "${rule.name}", ${rule.words}: ${whose === '' ? '' : `${whose} `}has used ${percent}% of it${kept}`,
    )
  }
}
