// Who is at what: every account with something used, the nearest to its limit first. There may be millions, so they are
// gone through in pieces, between which requests run, and only the thousand nearest are kept.

import type { LimitMemory, Tracked } from './memory.ts'
import type { OwnBudgets } from './own-budget.ts'
import type { Dimension, Quantity } from './rule.ts'

/** One principal under one limit. */
export interface LimitRow {
  readonly limit: string
  /** What it counts; `cost` in nano-dollars. */
  readonly quantity: Quantity
  /** The limit in words. */
  readonly words: string
  /** Who: a value for each dimension of `per`, null = none; a key by its id. Empty = everybody together. */
  readonly principal: Readonly<Partial<Record<Dimension, string | null>>>
  /** Name of the key whose id stands in `principal`; null = there is none. */
  readonly keyName: string | null
  readonly used: number
  readonly max: number
  readonly remaining: number
  /** Used share of the limit. */
  readonly share: number
  /** Wall clock: when it is as before its first use; null = never, or nobody knows. */
  readonly resetAtMs: number | null
  /** Whether it refuses, or only warns. */
  readonly enforce: boolean
}

/** Most rows of one listing. */
export const rowsMax = 1000
const lookedAtOnce = 5000
/** What all gateways had used is shown as long as it can be recent. */
const sharedFreshMs = 60_000
/** Slots come back at once, and nobody tells. */
const slotsFreshMs = 2000

/** What a listing is made of. */
interface Listing {
  readonly rules: readonly Tracked[]
  readonly memory: LimitMemory
  readonly own: OwnBudgets
  readonly keyName: (id: string) => string | null
}

/** The accounts nearest to their limits, nearest first. */
export async function listLimits({ rules, memory, own, keyName }: Listing): Promise<LimitRow[]> {
  let rows: LimitRow[] = []
  let looked = 0
  const shorten = (): void => {
    rows = rows.toSorted((a, b) => b.share - a.share || compare(a.limit, b.limit)).slice(0, rowsMax)
  }
  for (const [tracked, record] of recordsOf(rules, own)) {
    looked += 1
    if (looked % lookedAtOnce === 0) await Bun.sleep(0)
    const row = rowOf(tracked, record, memory)
    if (row !== null) rows.push(row)
    if (rows.length >= 2 * rowsMax) shorten()
  }
  shorten()
  return rows.map((row) => {
    const { key = null } = row.principal
    return key === null ? row : { ...row, keyName: keyName(key) }
  })
}

function* recordsOf(rules: readonly Tracked[], own: OwnBudgets): Generator<readonly [Tracked, number]> {
  for (const tracked of rules) for (const record of tracked.subjects.records()) yield [tracked, record]
  yield* own.records()
}

/** Null = nothing is used, or nobody has it any more. */
function rowOf(tracked: Tracked, record: number, memory: LimitMemory): LimitRow | null {
  const { rule, subjects, column } = tracked
  const owner = subjects.ownerOf(record)
  if (owner === null) return null
  const at = memory.now()
  const limiter = tracked.look(record)
  const here = limiter.used(at)
  const told = column.shared.get(record)
  const freshMs = rule.quantity === 'concurrent' ? slotsFreshMs : sharedFreshMs
  const used = told !== undefined && at.nowMs - told.atMs < freshMs ? Math.max(here, told.used) : here
  if (used <= 0) return null
  const clearMs = rule.quantity === 'concurrent' ? Infinity : limiter.clearMs(at)
  return {
    limit: rule.name,
    quantity: rule.quantity,
    words: rule.words,
    principal: principalOf(rule.per, owner),
    keyName: null,
    used,
    max: rule.limit,
    remaining: Math.max(0, rule.limit - used),
    share: rule.limit === 0 ? 1 : used / rule.limit,
    resetAtMs: Number.isFinite(clearMs) ? Math.ceil(at.wallMs + clearMs) : null,
    enforce: rule.enforce,
  }
}

function principalOf(per: readonly Dimension[], owner: string): LimitRow['principal'] {
  const values = owner.split('\u0000')
  return Object.fromEntries(
    per.map((dimension, index) => [dimension, values[index] === '' ? null : values[index]!]),
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
