// What was used before this process began, so that a restart gives nobody a budget anew: sums of the ledger are put into
// the counters of periods that are still running, and of sliding windows of an hour or more.

import type { LimitMemory, Tracked } from './memory.ts'
import { PeriodLimiter } from './period.ts'
import { matchesGlob, type Dimension, type Match, type Moment, type Rule } from './rule.ts'

/** Dimensions that the ledger knows. */
export const ledgerDimensions = [
  'key',
  'user',
  'team',
  'app',
  'upstream',
  'model',
  'endpoint',
  'env',
] as const
export type LedgerDimension = (typeof ledgerDimensions)[number]

/** A sum of the ledger; '' = none. Members that were not asked for are ''. */
export interface SpendRow extends Readonly<Record<LedgerDimension | 'keyId', string>> {
  /** Start of its hour where hours were asked for, else the start of it all. */
  readonly atMs: number
  readonly requests: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costNanoUsd: number
}

/** Sums of the ledger since a moment of the wall clock, by dimensions, and by hour where asked. */
export type SpendLookup = (query: {
  readonly fromMs: number
  readonly by: readonly LedgerDimension[]
  readonly hourly: boolean
}) => Promise<readonly SpendRow[]>

const hourMs = 3_600_000

/** What is still to be read, and the reading of it. What could not be read is asked for again by the next who needs it. */
export class Recollection {
  #pending: Tracked[] = []
  #reading: Promise<void> | null = null

  constructor(
    private readonly lookup: SpendLookup | null,
    private readonly memory: LimitMemory,
  ) {}

  /** Whether something is not read yet. */
  get due(): boolean {
    return this.#pending.length > 0 || this.#reading !== null
  }

  /** Takes in rules whose counters are new. */
  add(fresh: readonly Tracked[]): void {
    if (this.lookup !== null) this.#pending.push(...fresh.filter(({ rule }) => remembers(rule)))
  }

  /** Resolves when all is read. @throws what the look-up throws */
  async done(): Promise<void> {
    while (this.due) await (this.#reading ??= this.#read().finally(() => (this.#reading = null)))
  }

  async #read(): Promise<void> {
    const asked = this.#pending.splice(0)
    for (const [index, tracked] of asked.entries()) {
      try {
        await recall(tracked, this.lookup!, this.memory.now())
      } catch (cause) {
        this.#pending.unshift(...asked.slice(index))
        throw cause
      }
    }
  }
}

/** Whether what was used before is worth asking for. */
function remembers({ span, quantity, per }: Rule): boolean {
  if (quantity === 'concurrent' || per.includes('address')) return false
  return (
    span.kind === 'period' || span.kind === 'total' || (span.kind === 'sliding' && span.windowMs >= hourMs)
  )
}

/** Puts into fresh counters what the ledger says. @throws what the look-up throws */
async function recall(tracked: Tracked, lookup: SpendLookup, at: Moment): Promise<void> {
  const { rule, subjects } = tracked
  const then = { nowMs: at.nowMs, wallMs: at.wallMs }
  const hourly = rule.span.kind === 'sliding'
  const rows = await lookup({ fromMs: startOf(rule, then), by: dimensionsOf(rule), hourly })
  const sorted = hourly ? rows.toSorted((a, b) => a.atMs - b.atMs) : rows
  for (const row of sorted) {
    if (!matchesRow(rule.match, row)) continue
    const amount = amountOf(rule, row)
    if (amount <= 0) continue
    // An hour counts as if all of it had been used at its end.
    const ageMs = hourly ? then.wallMs - Math.min(row.atMs + hourMs, then.wallMs) : 0
    const limiter = tracked.look(subjects.of(ownerOf(rule, row), then))
    const handle = limiter.add({ nowMs: then.nowMs - ageMs, wallMs: then.wallMs }, amount)
    if (limiter instanceof PeriodLimiter) limiter.settled(handle, amount)
  }
}

function startOf({ span }: Rule, at: Moment): number {
  if (span.kind === 'period') return span.calendar.at(at.wallMs).startMs
  return span.kind === 'sliding' ? at.wallMs - span.windowMs - hourMs : 0
}

function dimensionsOf({ per, match }: Rule): LedgerDimension[] {
  const named: [keyof Match, LedgerDimension][] = [
    ['models', 'model'],
    ['endpoints', 'endpoint'],
    ['teams', 'team'],
    ['keys', 'key'],
    ['envs', 'env'],
    ['users', 'user'],
    ['apps', 'app'],
    ['upstreams', 'upstream'],
  ]
  const wanted = new Set<Dimension>(per)
  for (const [field, dimension] of named) if (match[field] !== undefined) wanted.add(dimension)
  return ledgerDimensions.filter((dimension) => wanted.has(dimension))
}

function matchesRow(match: Match, row: SpendRow): boolean {
  const fits = (globs: readonly string[] | undefined, ...texts: string[]): boolean =>
    globs === undefined || globs.some((glob) => texts.some((text) => text !== '' && matchesGlob(glob, text)))
  return (
    (row.model === '' || fits(match.models, row.model)) &&
    fits(match.endpoints, row.endpoint) &&
    fits(match.teams, row.team) &&
    fits(match.envs, row.env) &&
    fits(match.users, row.user) &&
    fits(match.apps, row.app) &&
    fits(match.keys, row.key, row.keyId) &&
    fits(match.upstreams, row.upstream)
  )
}

function amountOf({ quantity }: Rule, row: SpendRow): number {
  switch (quantity) {
    case 'cost':
      return row.costNanoUsd
    case 'tokens':
      return row.inputTokens + row.outputTokens
    case 'inputTokens':
      return row.inputTokens
    case 'outputTokens':
      return row.outputTokens
    default:
      return row.requests
  }
}

function ownerOf({ per }: Rule, row: SpendRow): string {
  return per
    .map((dimension) => {
      if (dimension === 'address') return ''
      return dimension === 'key' && row.keyId !== '' ? row.keyId : row[dimension]
    })
    .join('\u0000')
}
