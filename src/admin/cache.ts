// The cache over the API: what it holds and saved, and purging it. A purge names exactly one thing, so that a slip in a
// script cannot mean "all".

import { z } from 'zod'
import { ApiProblem } from './problem.ts'
import { actor, route, type AdminWorld, type CachePurge, type Route } from './route.ts'

const count = z.int()
const text = (what: string) =>
  z
    .string()
    .min(1, 'is empty')
    .max(256, 'is longer than 256 characters')
    .optional()
    .meta({ description: what })

const show = route({
  method: 'GET',
  path: '/api/cache',
  role: 'viewer',
  summary: 'What the cache holds, and what it saved',
  description: 'Counts are of this process since its start.',
  status: 200,
  answer: z.object({
    mode: z.enum(['off', 'exact']),
    stores: z.array(
      z.object({
        store: z.enum(['memory', 'disk', 'redis']),
        entries: count.nullable(),
        bytes: count.nullable(),
        bytesMax: count.nullable(),
        trouble: z.string().nullable().meta({ description: 'Why it is not used; null = nothing is wrong.' }),
      }),
    ),
    requests: z
      .record(z.string(), count)
      .meta({ description: 'Requests that have a part in the cache, by the value of `x-cache-status`.' }),
    savedNanoUsd: count.meta({
      description: 'What stored answers did not cost, as far as prices are known.',
    }),
    savedTokens: count,
    flights: count.meta({ description: 'Answers under way that others may wait for.' }),
  }),
  refusals: [],
  handle: ({ world }) => world.cache(),
})

const purge = route({
  method: 'DELETE',
  path: '/api/cache',
  role: 'admin',
  summary: 'Forget stored answers',
  description:
    'Names exactly one of key, tag, model, team, or `all=true`; in every store, and in all gateways that share one.',
  query: z.strictObject({
    key: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'expected the 64 hex digits of a digest')
      .optional()
      .meta({ description: 'Digest of a request.' }),
    tag: text('Answers with this tag (`x-headgate-cache-tag`).'),
    model: text('Answers asked of this model, or given by it.'),
    team: text('Answers fetched by this team.'),
    all: z.literal('true', { error: 'expected true' }).optional().meta({ description: 'All answers.' }),
  }),
  status: 200,
  answer: z.object({
    purged: count.meta({ description: 'How many were in memory, or on disk if that is more.' }),
  }),
  refusals: [503],
  handle: async ({ query, operator, world }) => {
    const named = Object.entries(query).filter(([, value]) => value !== undefined)
    if (named.length !== 1) {
      throw new ApiProblem('bad_request', 'Name exactly one of key, tag, model, team, or all=true.')
    }
    const [by, value] = named[0] as [CachePurge['by'], string]
    const which: CachePurge = { by, value: by === 'all' ? '' : value }
    const purged = await forget(world, which)
    await world.audit?.add({
      by: actor(operator),
      action: 'cache.purge',
      target: by === 'all' ? 'all' : `${by}:${value}`,
      details: { purged },
    })
    return { purged }
  },
})

async function forget(world: AdminWorld, which: CachePurge): Promise<number> {
  try {
    return await world.purge(which)
  } catch (cause) {
    throw new ApiProblem('unavailable', (cause as Error).message)
  }
}

/** Routes of the cache. */
export const cacheRoutes: readonly Route[] = [show, purge]
