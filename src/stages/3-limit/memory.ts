// What limits remember from one configuration to the next: counters by the text of a rule's definition, so that a reload
// gives nobody a fresh window. Those that two configurations in a row had no use for are dropped.

import type { Clock } from '../../base/clock.ts'
import { SteadyWall } from '../../base/steady-wall.ts'
import { isTold } from './answers.ts'
import { Counters } from './counters.ts'
import { definitionOf, type Moment, type Rule } from './rule.ts'

/** A rule with its counters. */
export interface Tracked {
  readonly rule: Rule
  readonly definition: string
  readonly counters: Counters
  /** Counts every request: there is nothing to match. */
  readonly countsAll: boolean
  /** Its standing is of interest: for header fields, or for warnings. */
  readonly told: boolean
  readonly watched: boolean
}

/** The time, read once; the wall clock only where a period asks for it. */
class Now implements Moment {
  nowMs = 0
  #wallMs = Number.NaN

  constructor(private readonly steady: SteadyWall) {}

  set(nowMs: number): void {
    this.nowMs = nowMs
    this.#wallMs = Number.NaN
  }

  get wallMs(): number {
    if (Number.isNaN(this.#wallMs)) this.#wallMs = this.steady.now(this.nowMs)
    return this.#wallMs
  }
}

export class LimitMemory {
  readonly #counters = new Map<string, { counters: Counters; seen: number; lasting: boolean }>()
  #generation = 0
  readonly #moment: Now

  constructor(private readonly clock: Clock) {
    this.#moment = new Now(new SteadyWall(clock))
  }

  /** Now, in one object that the next call changes. */
  now(): Moment {
    this.#moment.set(this.clock.nowMs())
    return this.#moment
  }

  /** The rules of a new configuration; `fresh`: those that were not counted before. */
  track(rules: readonly Rule[]): { tracked: Tracked[]; fresh: Tracked[] } {
    this.#generation += 1
    const kept = rules.map((rule) => this.keep(rule))
    for (const [definition, { seen, lasting }] of this.#counters)
      if (!lasting && seen < this.#generation - 1) this.#counters.delete(definition)
    return {
      tracked: kept.map(({ tracked }) => tracked),
      fresh: kept.filter(({ isNew }) => isNew).map(({ tracked }) => tracked),
    }
  }

  /** One rule with its counters. `lasting`: it is no configuration's, and stays whatever that says. */
  keep(rule: Rule, lasting = false): { tracked: Tracked; isNew: boolean } {
    const definition = definitionOf(rule)
    let kept = this.#counters.get(definition)
    const isNew = kept === undefined
    if (kept === undefined)
      this.#counters.set(definition, (kept = { counters: new Counters(), seen: 0, lasting }))
    kept.seen = this.#generation
    const tracked = {
      rule,
      definition,
      counters: kept.counters,
      countsAll: Object.values(rule.match).every((globs) => globs === undefined),
      told: rule.enforce && isTold(rule.quantity),
      watched: !rule.enforce || rule.warnAt.length > 0,
    }
    return { tracked, isNew }
  }
}
