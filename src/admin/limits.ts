// Who is at what: the principals nearest to their limits, live.

import { z } from 'zod'
import { listOf, numberOf, paging } from './paging.ts'
import { route, type LimitRow, type Route } from './route.ts'

const count = z.int()
const filter = z.string().min(1, 'is empty').max(256, 'is longer than 256 characters').optional()

const limitRow = z.object({
  limit: z
    .string()
    .meta({ description: 'Name of the limit; `key-budget` is the budget a key carries itself.' }),
  quantity: z.string().meta({
    description: 'requests, tokens, inputTokens, outputTokens, concurrent, or cost (nano-dollars).',
  }),
  words: z.string().meta({ description: 'The limit in words.' }),
  principal: z
    .record(z.string(), z.string().nullable())
    .meta({ description: 'Whose account: a value for each dimension of `per`; empty = everybody together.' }),
  keyName: z
    .string()
    .nullable()
    .meta({ description: 'Name of the key whose id stands in `principal`; null = none is meant.' }),
  used: count.meta({ description: 'What counts now, reserved amounts included.' }),
  max: count.meta({ description: 'The limit itself.' }),
  remaining: count,
  share: z.number().meta({ description: 'Used share of the limit: 1 = reached.' }),
  resetAt: z.iso
    .datetime()
    .nullable()
    .meta({ description: 'When nothing counts any more; null = never, or unknown.' }),
  enforce: z.boolean().meta({ description: 'False: it only warns.' }),
})

/** A row as it goes out. */
function shown({ resetAtMs, ...row }: LimitRow): z.input<typeof limitRow> {
  const principal = { ...row.principal }
  return { ...row, principal, resetAt: resetAtMs === null ? null : new Date(resetAtMs).toISOString() }
}

const limits = route({
  method: 'GET',
  path: '/api/limits',
  role: 'viewer',
  summary: 'Who is at what, nearest to the limit first',
  description:
    'The 1000 accounts nearest to their limit, of this process; where gateways share a Redis, `used` is what all of them had used when it was asked last.',
  query: z.strictObject({
    ...paging,
    name: filter.meta({ description: 'Name of the limit.' }),
    principal: filter.meta({ description: 'A value of the principal, such as the name of a team.' }),
  }),
  status: 200,
  answer: listOf(limitRow),
  refusals: [],
  handle: async ({ query, world }) => {
    const { name, principal } = query
    const fits = (row: LimitRow): boolean =>
      (name === undefined || row.limit === name) &&
      (principal === undefined ||
        row.keyName === principal ||
        Object.values(row.principal).includes(principal))
    const all = (await world.limits()).filter(fits)
    const from = numberOf(query.cursor) ?? 0
    const rows = all.slice(from, from + query.limit)
    const next = from + rows.length < all.length ? String(from + rows.length) : null
    return { rows: rows.map(shown), next }
  },
})

/** The routes about limits. */
export const limitRoutes: readonly Route[] = [limits]
