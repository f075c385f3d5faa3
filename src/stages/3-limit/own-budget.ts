// The budget a key carries by itself (`keys create --budget '$50/month'`): a rule made of its text, counted per key, beside
// all the rules of the configuration.

import { parseSpan } from '../../base/allowance.ts'
import { rulesFrom } from './compile.ts'
import type { LimitMemory, Tracked } from './memory.ts'
import { ownBudget } from './plan.ts'
import { subjectsMax } from './subjects.ts'

/** Texts kept as read. There are as many as different budgets, which is few. */
const keptMax = 1000

/** Finds the rule behind a budget's text; a text that cannot be read refuses all, since it is meant to bound something. */
export class OwnBudgets {
  readonly #rules = new Map<string, Tracked>()
  /** The budget each key asked with last. */
  readonly #budgets = new Map<string, Tracked>()

  constructor(
    private readonly memory: LimitMemory,
    /** Called with a rule whose counters are new: what was spent before is to be read. */
    private readonly onFresh: (fresh: Tracked) => void,
  ) {}

  /** Each key that has a budget and used some of it. Budgets of one period share their counters, so amounts do not tell. */
  *records(): Generator<readonly [Tracked, number]> {
    for (const [key, tracked] of this.#budgets) {
      const record = tracked.subjects.find(key)
      if (record >= 0) yield [tracked, record]
    }
  }

  /** The rule of a key's budget, such as `$50/month`; null = it has none. */
  ruleOf(text: string | null, key: string): Tracked | null {
    if (text === null) {
      // It may have had one.
      if (this.#budgets.size > 0) this.#budgets.delete(key)
      return null
    }
    const tracked = this.#read(text)
    if (this.#budgets.get(key) === tracked) return tracked
    if (this.#budgets.size >= subjectsMax && !this.#budgets.has(key))
      this.#budgets.delete(this.#budgets.keys().next().value!)
    this.#budgets.set(key, tracked)
    return tracked
  }

  #read(text: string): Tracked {
    const known = this.#rules.get(text)
    if (known !== undefined) return known
    if (this.#rules.size >= keptMax) this.#rules.clear()
    const amount = parseSpan(text, 'money') ?? { amount: 0, span: { kind: 'total' as const }, text }
    const [rule] = rulesFrom([{ name: ownBudget, per: ['key'], budget: amount }])
    const { tracked, isNew } = this.memory.keep(rule!, true)
    this.#rules.set(text, tracked)
    if (isNew) this.onFresh(tracked)
    return tracked
  }
}
