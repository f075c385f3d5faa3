// Verifies that the books agree with themselves: the sums of each quarter, hour and day are those of the rows. Works in the
// database, a day at a time: what is sorted fits into memory, and each day is seen as it is at one moment.

import { sql, type Kysely } from 'kysely'
import { rollupGroups, rollupSums, rowSums } from '../storage/ledger-tables.ts'
import type { Database } from '../storage/database.ts'
import type { Storage } from '../storage/open.ts'
import { dayMs, hourMs, quarterMs } from './rollup.ts'
import { keptFromMs } from './retention.ts'
import type { SumsName } from './sink.ts'

/** A sum that is not that of its rows. */
export interface Disagreement {
  readonly table: SumsName
  readonly atMs: number
  /** Which sum, such as `cost_nano`, and of what, such as `team=core, model=gpt-4o`. */
  readonly sum: string
  readonly of: string
  readonly kept: number
  readonly real: number
}

const found = 20

/** Compares sums with rows, from `fromMs` on (earlier rows may be gone). The oldest 20 that differ; none = the books agree. */
export async function checkLedger(
  { db, kind }: Pick<Storage, 'kind' | 'db'>,
  fromMs = 0,
): Promise<Disagreement[]> {
  const kept = await keptFromMs(db)
  const answers: Disagreement[] = []
  let day = await nextDay(db, Math.ceil(Math.max(fromMs, kept) / dayMs) * dayMs)
  while (day !== null && answers.length < found) {
    const { rows } = await sql.raw<Found>(comparison(kind, day)).execute(db)
    // Rows of a day that retention lets go meanwhile are no longer its sum.
    if (rows.length > 0 && day >= (await keptFromMs(db)))
      for (const row of rows) answers.push(await described(db, row))
    day = await nextDay(db, day + dayMs)
  }
  return answers.slice(0, found)
}

/** The first day with anything, from one on. */
async function nextDay(db: Kysely<Database>, from: number): Promise<number | null> {
  let next = Infinity
  for (const table of ['ledger', 'ledger_hours', 'ledger_days', 'ledger_quarters'] as const) {
    const first = await db
      .selectFrom(table)
      .select(({ fn }) => fn.min('at_ms').as('at'))
      .where('at_ms', '>=', from)
      .executeTakeFirst()
    next = Math.min(next, first?.at ?? Infinity)
  }
  return next === Infinity ? null : Math.floor(next / dayMs) * dayMs
}

type Found = Record<string, string | number> & { readonly name: SumsName }

const groups = rollupGroups.join(', ')
/** Those that tell rows apart first: most rows are then sorted by a text or two. */
const sortedGroups = ['user_name', 'key_name', 'app', ...rollupGroups]
  .filter((name, index, all) => all.indexOf(name) === index)
  .join(', ')
const added = rollupSums.map((name) => `sum(${name}) as ${name}`).join(', ')
const negated = rollupSums.map((name) => `-${name}`).join(', ')
const differs = rollupSums.map((name) => `sum(${name}) <> 0`).join(' or ')

/** What differs of one day, as SQL. */
function comparison(kind: Storage['kind'], day: number): string {
  const within = `at_ms >= ${day} and at_ms < ${day + dayMs}`
  const sums = rollupSums.join(', ')
  const compared = (name: SumsName, real: string): string => {
    const isGrouped = name !== 'ledger_quarters'
    const shown = isGrouped ? groups : rollupGroups.map((group) => `'' as ${group}`).join(', ')
    return `select '${name}' as name, at_ms, ${shown}, ${added} from (
      ${real} union all select at_ms, ${isGrouped ? `${groups}, ` : ''}${negated} from ${name} where ${within}) as both_${name}
      group by at_ms${isGrouped ? `, ${sortedGroups}` : ''} having ${differs}`
  }
  return `with ${kind === 'sqlite' ? sqliteSums(within) : postgresSums(within)}
    select * from (
      ${compared('ledger_hours', `select at_ms, ${groups}, ${sums} from hours`)}
      union all ${compared('ledger_days', `select ${day} as at_ms, ${groups}, ${sums} from hours`)}
      union all ${compared('ledger_quarters', `select at_ms, ${sums} from quarters`)}
    ) as differences limit ${found}`
}

function postgresSums(within: string): string {
  const sums = rollupSums.map((name) => `sum(${rowSums[name]}) as ${name}`).join(', ')
  const named = rollupGroups.map((name) => `coalesce(${name}, '')`)
  return `hours as materialized (select at_ms - at_ms % ${hourMs} as at_ms, ${rollupGroups.map((name, index) => `${named[index]} as ${name}`).join(', ')}, ${sums}
      from ledger where ${within} group by at_ms - at_ms % ${hourMs}, ${named.join(', ')}),
    quarters as materialized (select at_ms - at_ms % ${quarterMs} as at_ms, ${sums} from ledger where ${within} group by at_ms - at_ms % ${quarterMs})`
}

/** What a row adds by its facts, and by its dimensions, which are looked at once for all rows of a quarter that have them. */
const ofFacts = [
  'unpriced',
  'input',
  'cached_input',
  'cache_write',
  'output',
  'reasoning',
  'cost_nano',
  'billed_nano',
  'saved_nano',
] as const
const ofMore = ['audio_input', 'audio_output'] as const
const ofDimensions: readonly string[] = [
  'operations',
  'attempts',
  'errors',
  'estimated',
  'cached',
  'rows',
] satisfies (typeof rollupSums)[number][]

function sqliteSums(within: string): string {
  const facts = [
    ...ofFacts.map((name) => `sum(${rowSums[name]}) as ${name}`),
    ...ofMore.map(
      (name) =>
        `sum(case when input is null or more is null then 0 else coalesce(more ->> '${name}', 0) end) as ${name}`,
    ),
  ].join(', ')
  const again = [...ofFacts, ...ofMore].map((name) => `sum(${name}) as ${name}`).join(', ')
  const sums = rollupSums
    .map((name) => {
      if (name === 'unpriced') return name
      return ofDimensions.includes(name)
        ? `parts * (${rowSums[name]}) as ${name}`
        : `${rowSums[name]} as ${name}`
    })
    .join(', ')
  const named = rollupGroups.map((name) => `coalesce(${name}, '') as ${name}`).join(', ')
  return `quarters_apart as materialized (select at_ms - at_ms % ${quarterMs} as at_ms, dimensions, count(*) as parts, ${facts}
      from ledger_rows where ${within} group by 1, 2),
    hours_apart as materialized (select at_ms - at_ms % ${hourMs} as at_ms, dimensions, sum(parts) as parts, ${again}
      from quarters_apart group by 1, 2),
    hours as materialized (select at_ms, ${named}, ${sums} from hours_apart join ledger_dimensions as d on d.id = dimensions),
    quarters as materialized (select at_ms, ${sums} from quarters_apart join ledger_dimensions as d on d.id = dimensions)`
}

async function described(db: Kysely<Database>, row: Found): Promise<Disagreement> {
  const { name: table } = row
  const sum = rollupSums.find((name) => Number(row[name]) !== 0)!
  const given = table === 'ledger_quarters' ? [] : rollupGroups
  const conditions = ['at_ms' as const, ...given].map((name) => sql`${sql.ref(name)} = ${row[name]}`)
  const { rows } = await sql<{ kept: number }>`select ${sql.ref(sum)} as kept from ${sql.table(table)}
    where ${sql.join(conditions, sql` and `)}`.execute(db)
  const kept = rows[0]?.kept ?? 0
  const of = given.filter((name) => row[name] !== '').map((name) => `${name}=${row[name]}`)
  return {
    table,
    atMs: Number(row['at_ms']),
    sum,
    of: table === 'ledger_quarters' ? 'everything' : of.join(', '),
    kept,
    real: kept + Number(row[sum]),
  }
}
