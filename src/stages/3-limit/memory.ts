// What limits remember from one configuration to the next: counters by the text of a rule's definition, so that a reload
// gives nobody a fresh window. Those that two configurations in a row had no use for are dropped.

import type { Clock } from '../../base/clock.ts'
import { slabOfSums } from '../../base/sliding-sum.ts'
import { SteadyWall } from '../../base/steady-wall.ts'
import { isTold } from './answers.ts'
import { definitionOf, subjectsOf, type Moment, type Rule } from './rule.ts'
import { Column, Subjects, type AnyLimiter } from './subjects.ts'

/** A rule with its counters. */
export class Tracked {
  /** Its standing is of interest: for header fields, or for warnings. */
  readonly told: boolean
  readonly watched: boolean
  readonly #limiter: AnyLimiter

  constructor(
    readonly rule: Rule,
    readonly subjects: Subjects,
    readonly column: Column,
  ) {
    this.#limiter = column.another(rule)
    this.told = rule.enforce && isTold(rule.quantity)
    this.watched = !rule.enforce || rule.warnAt.length > 0
  }

  get definition(): string {
    return this.column.definition
  }

  /** How the rule counts for the subject of a record; good until the next look. */
  look(record: number): AnyLimiter {
    this.subjects.look(this.#limiter, this.column, record)
    return this.#limiter
  }
}

/** Rules that count the same requests by the same subjects. */
export interface Group {
  readonly subjects: Subjects
  /** Counts every request: there is nothing to match. */
  readonly countsAll: boolean
  readonly tracked: readonly Tracked[]
}

/** Rules by the subjects they share. */
export function groupsOf(rules: readonly Tracked[]): Group[] {
  return [...Map.groupBy(rules, ({ subjects }) => subjects)].map(([subjects, tracked]) => ({
    subjects,
    countsAll: Object.values(tracked[0]!.rule.match).every((globs) => globs === undefined),
    tracked,
  }))
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
  readonly #tables = new Map<string, Subjects>()
  readonly #slab = slabOfSums()
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
    for (const [name, subjects] of this.#tables) {
      const unused = subjects.columns.filter(({ seen }) => seen < this.#generation - 1)
      if (unused.length === 0) continue
      subjects.drop(unused)
      if (subjects.columns.length === 0) this.#tables.delete(name)
    }
    return {
      tracked: kept.map(({ tracked }) => tracked),
      fresh: kept.filter(({ isNew }) => isNew).map(({ tracked }) => tracked),
    }
  }

  /** One rule with its counters. `lasting`: it is no configuration's, and stays whatever that says. */
  keep(rule: Rule, lasting = false): { tracked: Tracked; isNew: boolean } {
    const definition = definitionOf(rule)
    const name = lasting ? definition : subjectsOf(rule)
    let subjects = this.#tables.get(name)
    if (subjects === undefined) this.#tables.set(name, (subjects = new Subjects()))
    const known = subjects.columns.find((column) => column.definition === definition)
    const column = known ?? new Column(definition, rule, this.#slab)
    if (known === undefined) subjects.add(column)
    column.seen = lasting ? Infinity : this.#generation
    const tracked = new Tracked(rule, subjects, column)
    return { tracked, isNew: known === undefined }
  }
}
