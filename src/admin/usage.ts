// What was used and what it cost, over the API: the same reports as `headgate usage`.

import { z } from 'zod'
import { nearestName } from '../config/suggest.ts'
import { periodOf } from '../reports/period.ts'
import type { Reports } from '../reports/reports.ts'
import { readCursor } from '../reports/requests.ts'
import { usageCsv, usageJson } from '../reports/usage-output.ts'
import { groups, TooManyLines, type Group, type UsageFilter } from '../reports/usage.ts'
import { isZone, Zone } from '../reports/zone.ts'
import { listOf } from './paging.ts'
import { ApiProblem } from './problem.ts'
import { route, type AdminWorld, type Route } from './route.ts'

const count = z.int()
const filter = z.string().min(1, 'is empty').max(256, 'is longer than 256 characters').optional()
const name = z.string().nullable().optional()

const sums = {
  operations: count.meta({ description: 'What clients asked, cached answers among them.' }),
  attempts: count.meta({ description: 'Calls of upstreams.' }),
  errors: count,
  estimated: count.meta({ description: 'Calls whose figures are estimated.' }),
  unpriced: count.meta({ description: 'Calls without a known price: their cost is in no sum.' }),
  cached: count.meta({ description: 'Operations answered from the cache.' }),
  input: count,
  cachedInput: count.meta({ description: 'Part of `input`.' }),
  cacheWrite: count.meta({ description: 'Part of `input`.' }),
  output: count,
  reasoning: count.meta({ description: 'Part of `output`.' }),
  audioInput: count,
  audioOutput: count,
  costNanoUsd: count.meta({ description: 'What providers are owed, in 10⁻⁹ dollars.' }),
  billedNanoUsd: count.meta({ description: 'What owners are charged.' }),
  savedNanoUsd: count.meta({ description: 'What stored answers did not cost.' }),
  estimatedNanoUsd: count.meta({ description: 'Part of `billedNanoUsd` that is estimated.' }),
}
const row = z.object({ ...Object.fromEntries(groups.map((group) => [group, name])), ...sums })

const when = (what: string) =>
  z.string().min(1, 'is empty').max(64, 'is longer than 64 characters').optional().meta({ description: what })

const usage = route({
  method: 'GET',
  path: '/api/usage',
  role: 'viewer',
  summary: 'What was used, and what it cost',
  description:
    'Sums of the ledger, oldest first, within one time the dearest first. Days and months are those of `tz`. `format=csv` answers text/csv.',
  query: z.strictObject({
    by: z
      .string()
      .max(256, 'is longer than 256 characters')
      .prefault('')
      .meta({ description: `Groups, with commas: ${groups.join(', ')}. Absent = one line of sums.` }),
    from: when('A date, a month, a moment, `7d`, `today`, `this-month` or `last-month`. Absent = 30d.'),
    to: when('The same; a day or month named as the end is included. Absent = now.'),
    tz: z
      .string()
      .refine(isZone, 'expected a time zone such as Europe/Berlin or UTC')
      .prefault('UTC')
      .meta({ description: 'Time zone. Absent = UTC.' }),
    format: z.enum(['json', 'csv'], 'expected json or csv').prefault('json'),
    key: filter.meta({ description: 'Name or id of the key.' }),
    team: filter,
    app: filter,
    user: filter,
    model: filter.meta({ description: 'As asked for.' }),
    endpoint: filter.meta({ description: 'Such as `chat.completions`.' }),
    upstream: filter,
  }),
  status: 200,
  answer: listOf(row).extend({
    totals: z.object(sums),
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    timeZone: z.string(),
    coarseBefore: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'Before this moment single rows are gone, and whole UTC days were counted.' }),
    behind: z.boolean().meta({
      description: 'Rows wait that the database does not take: what stands here is not all.',
    }),
    saturated: z.boolean().meta({ description: 'A sum is beyond 2^53 - 1 and stands there.' }),
  }),
  refusals: [422, 503],
  handle: async ({ query, world }) => {
    const { by, from, to, tz, format, ...given } = query
    const period = periodOf({ from, to }, new Zone(tz), world.clock.wallMs())
    if ('wrong' in period)
      throw new ApiProblem('bad_request', `"${period.wrong}": ${period.message}.`, { param: period.wrong })
    const asked = Object.entries(given).filter(([, value]) => value !== undefined)
    const filters: UsageFilter = Object.fromEntries(asked)
    const asking = { by: groupsIn(by), ...period, zone: tz, filter: filters }
    const report = await read(world, (reports) => reports.usage(asking))
    if (format === 'json') return usageJson(report)
    const headers = {
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': 'attachment; filename="usage.csv"',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    }
    return new Response(usageCsv(report), { headers })
  },
})

function groupsIn(by: string): Group[] {
  const names = by.split(',').filter((one) => one !== '')
  for (const one of names) {
    if ((groups as readonly string[]).includes(one)) continue
    const near = nearestName(one, groups)
    const hint = near === null ? `Known are ${groups.join(', ')}.` : `Did you mean ${near}?`
    throw new ApiProblem('bad_request', `"by": there is no such group. ${hint}`, { param: 'by' })
  }
  return [...new Set(names as Group[])]
}

/** Asks the ledger. @throws ApiProblem */
async function read<T>({ reports }: AdminWorld, what: (reports: Reports) => Promise<T>): Promise<T> {
  if (reports === null)
    throw new ApiProblem('unavailable', 'This gateway runs without a store, so it keeps no ledger.')
  try {
    return await what(reports)
  } catch (cause) {
    if (cause instanceof TooManyLines) throw new ApiProblem('too_much', cause.message)
    // What a database throws has a code; anything else is a bug, and is told as one.
    if (!(cause instanceof Error) || !('code' in cause)) throw cause
    throw new ApiProblem('unavailable', 'The ledger cannot be read. Try again.')
  }
}

/** What GET /api/requests may be asked for beside what recent requests know. */
export const ledgerFilters = {
  source: z.enum(['ledger', 'recent'], 'expected ledger or recent').optional().meta({
    description:
      'ledger = calls of upstreams and cached answers, as they are billed; recent = the newest 1000 exchanges of this process, refused ones too. Absent = ledger where there is a store.',
  }),
  team: filter,
  user: filter,
  state: z.enum(['settled', 'estimated', 'void'], 'expected settled, estimated or void').optional(),
  from: when('Only of the ledger: since when.'),
  to: when('Only of the ledger: until when.'),
}

/** What is asked of the ledger's rows. */
export interface LedgerAsk {
  readonly limit: number
  readonly cursor?: string | undefined
  readonly key?: string | undefined
  readonly model?: string | undefined
  readonly status?: string | undefined
  readonly team?: string | undefined
  readonly user?: string | undefined
  readonly state?: 'settled' | 'estimated' | 'void' | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** A page of the ledger's rows. @throws ApiProblem */
export async function ledgerRows(world: AdminWorld, ask: LedgerAsk): Promise<unknown> {
  const { limit, cursor = null, from, to, ...filters } = ask
  if (cursor !== null && readCursor(cursor) === null)
    throw new ApiProblem('bad_request', 'This cursor is not one of ours. Leave it away to begin anew.', {
      param: 'cursor',
    })
  if (from === undefined && to === undefined)
    return read(world, (reports) => reports.requests(filters, { limit, cursor }))
  const period = periodOf({ from: from ?? '1970-01-01', to }, new Zone('UTC'), world.clock.wallMs())
  if ('wrong' in period)
    throw new ApiProblem('bad_request', `"${period.wrong}": ${period.message}.`, { param: period.wrong })
  return read(world, (reports) => reports.requests({ ...filters, ...period }, { limit, cursor }))
}

/** `/api/usage`. */
export const usageRoutes: readonly Route[] = [usage]
