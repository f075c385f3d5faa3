// The upstream accounts: how they are, and taking one out of use for a while.

import { z } from 'zod'
import { listOf } from './paging.ts'
import { ApiProblem } from './problem.ts'
import { actor, route, type AdminWorld, type Call, type Route } from './route.ts'
import { spendOfUpstreams } from './upstream-spend.ts'

const nullableText = z.string().nullable()
const nullableNumber = z.number().nullable()
const count = z.int()
const breaker = z.enum(['closed', 'open', 'half-open'])

const upstreamRow = z.object({
  name: z.string(),
  provider: z.string(),
  host: z.string().meta({ description: 'Host and port of its base URL.' }),
  env: nullableText,
  sockets: z.object({ idle: count, busy: count }),
  keys: z
    .object({ total: count, expired: count, refused: count })
    .meta({ description: 'How many keys it has, and how many of them are past their date or got a 401.' }),
  health: z.enum(['healthy', 'limited', 'failing', 'draining']).meta({
    description:
      'limited: it asked to come back later, for some model at least. failing: some breaker is not closed.',
  }),
  breaker: breaker.meta({ description: 'The worst of its models. half-open: the next request is a probe.' }),
  draining: z.boolean(),
  inFlight: count,
  requests: count.meta({ description: 'Attempts since the start of this process.' }),
  failures: count.meta({ description: 'Of these, how many failed by its fault.' }),
  latencyMs: nullableNumber.meta({ description: 'Mean time to the first byte, lately.' }),
  remainingRequests: nullableNumber.meta({
    description: 'Left of its rate limit, as it said within the last minute.',
  }),
  remainingTokens: nullableNumber,
  limitedForMs: z
    .number()
    .meta({ description: 'Time until it is asked again, where its quota is spent; else 0.' }),
  models: z.array(
    z.object({ model: nullableText, breaker, latencyMs: nullableNumber, limitedForMs: z.number() }),
  ),
  spend: z.object({ todayNanoUsd: count, monthNanoUsd: count }).nullable().meta({
    description:
      'What it has cost since the start of the day and of the month (UTC), over all gateways of the ledger; null = the ledger cannot be read now, or there is none.',
  }),
})

const upstreams = route({
  method: 'GET',
  path: '/api/upstreams',
  role: 'viewer',
  summary: 'Upstream accounts and how they are',
  status: 200,
  answer: listOf(upstreamRow),
  refusals: [],
  handle: async ({ world }) => ({ rows: await rowsOf(world), next: null }),
})

async function rowsOf(world: AdminWorld) {
  const spent = await spendOfUpstreams(world)
  return world.upstreams().map((row) => ({
    ...row,
    spend: spent === null ? null : (spent.get(row.name) ?? { todayNanoUsd: 0, monthNanoUsd: 0 }),
  }))
}

function drained(action: 'drain' | 'resume', summary: string): Route {
  return route({
    method: 'POST',
    path: `/api/upstreams/:name/${action}`,
    role: 'admin',
    summary,
    description:
      action === 'drain'
        ? 'Requests under way there end; new ones go elsewhere. Holds until it is resumed or the process ends, reloads included.'
        : 'Takes back a drain.',
    body: z.strictObject({}),
    bodyOptional: true,
    status: 200,
    answer: upstreamRow,
    refusals: [404],
    handle: async (call) => setDraining(call, action),
  })
}

async function setDraining({ params, operator, world }: Call<unknown, unknown>, action: 'drain' | 'resume') {
  const name = params['name']!
  if (!world.drain(name, action === 'drain'))
    throw new ApiProblem('not_found', 'There is no upstream of this name. GET /api/upstreams lists them.')
  // What is done is done: a store that is away must not keep an operator from taking an upstream out.
  await world.audit
    ?.add({ by: actor(operator), action: `upstream.${action}`, target: name, details: {} })
    .catch(() => {})
  return (await rowsOf(world)).find((each) => each.name === name)
}

/** Routes of upstreams. */
export const upstreamRoutes: readonly Route[] = [
  upstreams,
  drained('drain', 'Take an upstream out of use'),
  drained('resume', 'Take an upstream back into use'),
]
