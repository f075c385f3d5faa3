// Who used what, and what it cost: sums of the ledger by any combination of groups, over any period, in any time zone.

import { sql, type RawBuilder } from 'kysely'
import { rollupSums, rowSums } from '../storage/ledger-tables.ts'
import type { Storage } from '../storage/open.ts'
import { dayLabel, piecesOf, type Grain, type Piece } from './pieces.ts'
import { addSums, noSums, sumOf, type Sums } from './sums.ts'
import { Zone, type TimeUnit } from './zone.ts'

/** What rows may be grouped by beside time, and the column of it. */
export const groupColumns = {
  key: 'key_name',
  user: 'user_name',
  team: 'team',
  app: 'app',
  model: 'model',
  upstreamModel: 'upstream_model',
  endpoint: 'endpoint',
  upstream: 'upstream',
  env: 'env',
  priceVersion: 'price_version',
} as const

const timeUnits: readonly TimeUnit[] = ['hour', 'day', 'month']

/** A column to group by or to ask for. */
export type ColumnGroup = keyof typeof groupColumns
/** One word of `by`. */
export type Group = ColumnGroup | TimeUnit

/** All of them. */
export const groups = [...(Object.keys(groupColumns) as ColumnGroup[]), ...timeUnits] as readonly Group[]

/** What rows must have; a key by name or id. */
export type UsageFilter = Readonly<Partial<Record<ColumnGroup, string>>>

/** What reports read from. */
export type ReportSource = Pick<Storage, 'kind' | 'db'>

/** What is asked. */
export interface UsageQuery {
  readonly by: readonly Group[]
  readonly fromMs: number
  readonly toMs: number
  /** As `isZone` takes it. */
  readonly zone: string
  readonly filter: UsageFilter
}

/** The sums of one line, all whole numbers. */
export interface UsageSums {
  readonly operations: number
  readonly attempts: number
  readonly errors: number
  readonly estimated: number
  readonly unpriced: number
  readonly cached: number
  readonly input: number
  readonly cachedInput: number
  readonly cacheWrite: number
  readonly output: number
  readonly reasoning: number
  readonly audioInput: number
  readonly audioOutput: number
  readonly costNanoUsd: number
  readonly billedNanoUsd: number
  readonly savedNanoUsd: number
  /** Part of `billedNanoUsd` that is estimated. */
  readonly estimatedNanoUsd: number
}

/** One line: the groups by name (null = none), then the sums. */
export type UsageRow = UsageSums & Readonly<Partial<Record<Group, string | null>>>

/** What came of it. */
export interface UsageReport {
  readonly query: UsageQuery
  /** Oldest first; within one time the dearest first. */
  readonly rows: readonly UsageRow[]
  readonly totals: UsageSums
  /** Before this moment single rows are gone, and whole UTC days were counted; null = all is exact. */
  readonly coarseBeforeMs: number | null
  /** A sum went beyond 2^53 - 1 and stays there. */
  readonly saturated: boolean
  /** Rows wait that the database has not taken: what stands here is not all. */
  readonly behind?: boolean
}

const dayMs = 86_400_000

/** The first UTC day of which more than its sum is there, for `coarseBeforeMs`. */
export function firstKeptDay(coarseBeforeMs: number): string {
  return new Date(Math.ceil(coarseBeforeMs / dayMs) * dayMs).toISOString().slice(0, 10)
}

/** Lines one report may have. */
export const linesMax = 50_000
/** Lines of the tables behind them. */
const foundMax = 400_000
/** A condition may not nest deeper than the database allows. */
const piecesAtOnce = 200

/** More lines than a report may have. */
export class TooManyLines extends Error {
  constructor() {
    super(`The report has more than ${linesMax} lines. Ask for a shorter period, or for fewer groups.`)
  }
}

interface Line {
  readonly names: readonly string[]
  readonly sums: Sums
}

/** Sums the ledger. @throws TooManyLines, or the database's error */
export async function usageReport(storage: ReportSource, query: UsageQuery): Promise<UsageReport> {
  const zone = new Zone(query.zone)
  const unit = timeUnits.find((one) => query.by.includes(one)) ?? null
  const keptFromMs = await keptFrom(storage)
  const { fromMs, toMs, spanMs } = await clamped(storage, query)
  const label = unit === null ? () => '' : (atMs: number) => zone.label(atMs, unit)
  const isOverAll =
    query.by.every((name) => !(name in groupColumns)) && Object.keys(query.filter).length === 0
  const part = isOverAll ? 'ledger_quarters' : 'ledger_hours'
  const pieces = piecesOf({ fromMs, toMs, label, keptFromMs, hourly: unit === 'hour', part })
  const lines = new Lines(query.by, zone)
  for (const grain of ['ledger_days', 'ledger_hours', 'ledger_quarters', 'ledger'] as const) {
    for (const moved of [false, true]) {
      const own = pieces.filter((piece) => piece.grain === grain && piece.moved === moved)
      for (let i = 0; i < own.length; i += piecesAtOnce) {
        const asked = { grain, pieces: own.slice(i, i + piecesAtOnce), timed: unit !== null, spanMs }
        for (const found of await sumsOf(storage, query, asked)) {
          if (moved) lines.move(found)
          else lines.add(found, grain === 'ledger_days')
        }
      }
    }
  }
  return {
    query,
    rows: lines.sorted(),
    totals: shownSums(lines.totals),
    coarseBeforeMs: keptFromMs > fromMs && fromMs < toMs ? Math.min(keptFromMs, toMs) : null,
    saturated: lines.saturated,
  }
}

/** The lines of a report as they grow. */
class Lines {
  readonly totals = noSums()
  saturated = false
  readonly #lines = new Map<string, Line>()

  constructor(
    private readonly by: readonly Group[],
    private readonly zone: Zone,
  ) {}

  add({ atMs, names, sums }: Found, wholeDay: boolean): void {
    this.#book(this.#namesOf(names, atMs, wholeDay), sums, 1)
    this.saturated = addSums(this.totals, sums) || this.saturated
  }

  /** From the line of its UTC day to its own. */
  move({ atMs, names, sums }: Found): void {
    this.#book(this.#namesOf(names, atMs, true), sums, -1)
    this.#book(this.#namesOf(names, atMs, false), sums, 1)
  }

  sorted(): UsageRow[] {
    // What was moved away whole leaves a line of nothing.
    const some = [...this.#lines.values()].filter(({ sums }) => sumOf(sums, 'rows') !== 0)
    return inOrder(some, this.by).map(({ names, sums }) => ({
      ...Object.fromEntries(this.by.map((name, index) => [name, names[index] === '' ? null : names[index]!])),
      ...shownSums(sums),
    }))
  }

  #book(names: readonly string[], sums: readonly number[], sign: 1 | -1): void {
    const key = names.join('\u0000')
    let line = this.#lines.get(key)
    if (line === undefined) {
      if (this.#lines.size === linesMax) throw new TooManyLines()
      this.#lines.set(key, (line = { names, sums: noSums() }))
    }
    this.saturated = addSums(line.sums, sums, sign) || this.saturated
  }

  #namesOf(names: readonly string[], atMs: number, wholeDay: boolean): string[] {
    let next = 0
    const label = (unit: TimeUnit): string => {
      if (!wholeDay) return this.zone.label(atMs, unit)
      // Of a day whose hours were let go nobody knows the hour: it stands there as the day that it is.
      if (unit === 'hour') return new Date(atMs).toISOString().slice(0, 10)
      return dayLabel((ms) => this.zone.label(ms, unit), atMs)
    }
    return this.by.map((name) => (name in groupColumns ? names[next++]! : label(name as TimeUnit)))
  }
}

/** From when on single rows are kept: what retention let go is only left in the sums of days. */
export async function keptFrom({ db }: Pick<ReportSource, 'db'>): Promise<number> {
  const fact = await db
    .selectFrom('facts')
    .select('value')
    .where('name', '=', 'ledger.kept_from_ms')
    .executeTakeFirst()
  return fact === undefined ? 0 : Number(fact.value)
}

/** The part of the period in which there is anything: "since ever" must not walk through fifty years. */
async function clamped(
  { db }: ReportSource,
  { fromMs, toMs }: UsageQuery,
): Promise<{ fromMs: number; toMs: number; spanMs: number }> {
  const firsts: number[] = []
  const lasts: number[] = []
  for (const table of ['ledger_days', 'ledger'] as const) {
    // One question each: only then the index is looked at from its end, and not all through.
    const first = await db
      .selectFrom(table)
      .select(({ fn }) => fn.min('at_ms').as('at'))
      .executeTakeFirst()
    const last = await db
      .selectFrom(table)
      .select(({ fn }) => fn.max('at_ms').as('at'))
      .executeTakeFirst()
    if (first?.at != null) firsts.push(first.at)
    if (last?.at != null) lasts.push(last.at)
  }
  const first = Math.max(fromMs, Math.min(...firsts))
  const newest = Math.max(...lasts)
  // Behind the newest row there is nothing: up to the end of its day the day's sum answers.
  const last = toMs > newest ? (Math.floor(newest / dayMs) + 1) * dayMs : toMs
  const spanMs = newest - Math.min(...firsts)
  return first < last ? { fromMs: first, toMs: last, spanMs } : { fromMs, toMs: fromMs, spanMs }
}

interface Found {
  readonly atMs: number
  /** By `by`, times left out. */
  readonly names: readonly string[]
  readonly sums: readonly number[]
}

interface Asked {
  readonly grain: Grain
  readonly pieces: readonly Piece[]
  /** Whether moments matter. */
  readonly timed: boolean
  /** From the oldest row of the table to the newest. */
  readonly spanMs: number
  readonly sum?: 'total'
}

async function sumsOf(storage: ReportSource, query: UsageQuery, asked: Asked): Promise<Found[]> {
  try {
    return await select(storage, query, asked)
  } catch (cause) {
    // SQLite refuses a sum beyond 2^63; as a fraction it only loses what is beyond the bound anyway.
    if (storage.kind !== 'sqlite' || !/overflow/i.test(String(cause))) throw cause
    return select(storage, query, { ...asked, sum: 'total' })
  }
}

async function select(storage: ReportSource, query: UsageQuery, asked: Asked): Promise<Found[]> {
  const { grain, timed } = asked
  const single = grain === 'ledger'
  const sum = sql.raw(asked.sum ?? 'sum')
  const named = query.by.filter((name) => name in groupColumns) as ColumnGroup[]
  const columnOf = (name: ColumnGroup): RawBuilder<unknown> =>
    single ? sql`coalesce(${sql.ref(groupColumns[name])}, '')` : sql.ref(groupColumns[name])
  // Offsets of zones are whole quarters of an hour, so rows within one are counted under one label.
  const moment = single ? sql`at_ms - at_ms % 900000` : sql.ref('at_ms')
  const keys = [...(timed ? [moment] : []), ...named.map(columnOf)]
  const selected = [
    ...keys.map((key, index) => sql`${key} as ${sql.ref(`g${index}`)}`),
    ...rollupSums.map((name) => {
      const value = single ? sql.raw(rowSums[name]) : sql.ref(name)
      return sql`${sum}(${value}) as ${sql.ref(name)}`
    }),
  ]
  const { source, condition } = withinOf(storage, asked)
  const conditions = [condition, ...filtersOf(query.filter)]
  const places = keys.map((_, index) => sql.raw(String(index + 1)))
  const grouped = keys.length === 0 ? sql`` : sql`group by ${sql.join(places)}`
  const { rows } = await sql<Record<string, unknown>>`
    ${source.with} select ${sql.join(selected)} from ${source.from}
    where ${sql.join(conditions, sql` and `)} ${grouped} limit ${foundMax + 1}`.execute(storage.db)
  if (rows.length > foundMax) throw new TooManyLines()
  return rows
    .filter((row) => row['rows'] !== null)
    .map((row) => ({
      atMs: timed ? Number(row['g0']) : 0,
      names: named.map((_, index) => row[`g${index + (timed ? 1 : 0)}`] as string),
      sums: rollupSums.map((name) => Number(row[name] ?? 0)),
    }))
}

/** A part of the table from which on reading it through beats going by its index. */
const muchOf = 0.2

/** One stretch as a condition; several as a table of their own, since SQLite reads all there is for a long `or`. */
function withinOf({ kind }: ReportSource, { grain, pieces, spanMs }: Asked) {
  const table = sql.table(grain)
  if (pieces.length === 1) {
    const { fromMs, toMs } = pieces[0]!
    const through = kind === 'sqlite' && grain !== 'ledger' && toMs - fromMs > spanMs * muchOf
    const moment = through ? sql`+at_ms` : sql`at_ms`
    const condition = sql`${moment} >= ${fromMs} and ${moment} < ${toMs}`
    return { source: { with: sql``, from: table }, condition }
  }
  const stretches = pieces.map(
    ({ fromMs, toMs }) => sql`(cast(${fromMs} as bigint), cast(${toMs} as bigint))`,
  )
  return {
    source: {
      with: sql`with stretches(from_ms, to_ms) as (values ${sql.join(stretches)})`,
      from: sql`stretches cross join ${table}`,
    },
    condition: sql`at_ms >= from_ms and at_ms < to_ms`,
  }
}

function filtersOf(filter: UsageFilter): RawBuilder<unknown>[] {
  return Object.entries(filter).map(([name, value]) =>
    name === 'key'
      ? sql`(key_name = ${value} or key_id = ${value})`
      : sql`${sql.ref(groupColumns[name as ColumnGroup])} = ${value}`,
  )
}

function inOrder(lines: Line[], by: readonly Group[]): Line[] {
  const times = by.flatMap((name, index) => (name in groupColumns ? [] : [index]))
  return lines.sort((a, b) => {
    for (const index of times) {
      const [one, other] = [a.names[index]!, b.names[index]!]
      if (one !== other) return one < other ? -1 : 1
    }
    const dearer = sumOf(b.sums, 'cost_nano') - sumOf(a.sums, 'cost_nano')
    if (dearer !== 0) return dearer
    const [one, other] = [a.names.join('\u0000'), b.names.join('\u0000')]
    return one < other ? -1 : 1
  })
}

/** Sums by their names for users. */
export function shownSums(sums: Sums): UsageSums {
  return {
    operations: sumOf(sums, 'operations'),
    attempts: sumOf(sums, 'attempts'),
    errors: sumOf(sums, 'errors'),
    estimated: sumOf(sums, 'estimated'),
    unpriced: sumOf(sums, 'unpriced'),
    cached: sumOf(sums, 'cached'),
    input: sumOf(sums, 'input'),
    cachedInput: sumOf(sums, 'cached_input'),
    cacheWrite: sumOf(sums, 'cache_write'),
    output: sumOf(sums, 'output'),
    reasoning: sumOf(sums, 'reasoning'),
    audioInput: sumOf(sums, 'audio_input'),
    audioOutput: sumOf(sums, 'audio_output'),
    costNanoUsd: sumOf(sums, 'cost_nano'),
    billedNanoUsd: sumOf(sums, 'billed_nano'),
    savedNanoUsd: sumOf(sums, 'saved_nano'),
    estimatedNanoUsd: sumOf(sums, 'estimated_nano'),
  }
}
