// Every route of the admin API, as data. What a later part builds is one more entry here; what is not built yet is not
// listed, and answers 404.

import { z } from 'zod'
import { cacheRoutes } from './cache.ts'
import { keyRoutes } from './keys.ts'
import { limitRoutes } from './limits.ts'
import { listOf, numberOf, paging } from './paging.ts'
import { ApiProblem } from './problem.ts'
import { actor, route, type AdminWorld, type AuditRow, type Route } from './route.ts'
import { ledgerFilters, ledgerRows, usageRoutes } from './usage.ts'
import { upstreamRoutes } from './upstreams.ts'

const nullableText = z.string().nullable()
const moment = z.iso.datetime()
const count = z.int()
const filter = z.string().min(1, 'is empty').max(256, 'is longer than 256 characters').optional()

/** Of rows of the ledger alone. */
const ledgerMembers = {
  operationId: z
    .string()
    .optional()
    .meta({ description: 'What the client asked once; it may have several rows.' }),
  account: nullableText.optional(),
  state: z.enum(['settled', 'estimated', 'void']).optional(),
  estimator: nullableText
    .optional()
    .meta({ description: 'How figures were estimated; null = the provider’s own.' }),
  units: z.record(z.string(), z.number()).nullable().optional(),
  serviceTier: nullableText.optional(),
  costNanoUsd: count
    .nullable()
    .optional()
    .meta({ description: 'What the provider is owed, in 10⁻⁹ dollars.' }),
  billedNanoUsd: count.nullable().optional(),
  savedNanoUsd: count.optional(),
  priceVersion: nullableText.optional(),
  unpriced: z.literal(true).optional().meta({ description: 'No price is known.' }),
  cache: z.string().optional(),
  last: z.boolean().optional().meta({ description: 'The row that ends its operation.' }),
  overheadUs: count.nullable().optional(),
  endUser: nullableText.optional(),
  metadata: z.record(z.string(), z.string()).nullable().optional(),
  retryCount: count.optional(),
  unmetered: z.boolean().optional(),
}

const requestRow = z.object({
  id: z.string(),
  at: moment,
  method: z.string(),
  path: z.string().optional().meta({ description: 'Only of recent requests.' }),
  endpoint: z.string(),
  model: nullableText.meta({ description: 'The model asked for.' }),
  upstreamModel: nullableText.meta({ description: 'The model that answered.' }),
  upstream: nullableText,
  principal: z.string().optional().meta({
    description: 'Only of recent requests: how the caller was known: key, jwt, anonymous, or nobody.',
  }),
  key: nullableText,
  keyId: nullableText,
  team: nullableText,
  app: nullableText,
  user: nullableText,
  env: nullableText,
  status: count,
  failure: nullableText.meta({ description: 'Our code of what went wrong.' }),
  attempts: count,
  stream: z.boolean(),
  clientGone: z.boolean(),
  usage: z
    .object({
      input: count,
      cachedInput: count,
      cacheWrite: count,
      output: count,
      reasoning: count,
      audioInput: count,
      audioOutput: count,
      cachedAudio: count,
      imageInput: count,
      imageOutput: count,
      cachedImage: count,
      acceptedPrediction: count,
      rejectedPrediction: count,
      total: count,
    })
    .nullable(),
  bytesIn: count.optional().meta({ description: 'Only of recent requests.' }),
  bytesOut: count.optional().meta({ description: 'Only of recent requests.' }),
  firstByteMs: z.number().nullable(),
  durationMs: z.number(),
  ...ledgerMembers,
})

const auditRow = z.object({
  number: count,
  at: moment,
  by: z.string().meta({ description: '`admin:<token>`, `cli:<user>`, `signal`, or `file`.' }),
  action: z.string(),
  target: z.string(),
  details: z.record(z.string(), z.unknown()),
})

const problemRow = z.object({
  file: nullableText,
  line: count.nullable(),
  column: count.nullable(),
  path: z.string(),
  message: z.string(),
  suggestion: nullableText,
  severity: z.enum(['error', 'warning']),
})

const requests = route({
  method: 'GET',
  path: '/api/requests',
  role: 'viewer',
  summary: 'Requests, newest first',
  description:
    'Rows of the ledger, or the newest 1000 exchanges of this process; see `source`. Never with bodies. A page may hold fewer rows than `limit` and still have a `next`.',
  query: z.strictObject({
    ...paging,
    ...ledgerFilters,
    key: filter.meta({ description: 'Name or id of the key.' }),
    model: filter.meta({ description: 'The model asked for, or the one that answered.' }),
    status: z
      .string()
      .regex(/^[1-5](\d\d|xx)$/, 'expected a status such as 429, or a class such as 5xx')
      .optional()
      .meta({ description: 'A status such as 429, or a class such as 5xx.' }),
  }),
  status: 200,
  answer: listOf(requestRow),
  refusals: [422, 503],
  handle: ({ query, world }) => {
    const { source = world.reports === null ? 'recent' : 'ledger', ...ask } = query
    if (source === 'ledger') return ledgerRows(world, ask)
    for (const only of ['team', 'user', 'state', 'from', 'to'] as const) {
      if (query[only] === undefined) continue
      const message = `"${only}": only rows of the ledger can be asked for by it. Add source=ledger.`
      throw new ApiProblem('bad_request', message, { param: only })
    }
    const { key = null, model = null, status = null } = query
    const { rows, next } = world.requests.list(
      { key, model, status },
      { limit: query.limit, before: numberOf(query.cursor) },
    )
    return { rows, next: next === null ? null : String(next) }
  },
})

const audit = route({
  method: 'GET',
  path: '/api/audit',
  role: 'viewer',
  summary: 'Who changed what, newest first',
  query: z.strictObject(paging),
  status: 200,
  answer: listOf(auditRow),
  refusals: [503],
  handle: async ({ query, world }) => {
    const before = numberOf(query.cursor)
    const found = await audited(world, { limit: query.limit + 1, before })
    const rows = found.slice(0, query.limit)
    const next = found.length > rows.length ? String(rows.at(-1)!.number) : null
    return { rows: rows.map(shownAudit), next }
  },
})

async function audited(world: AdminWorld, page: { limit: number; before: number | null }) {
  if (world.audit === null)
    throw new ApiProblem('unavailable', 'This gateway runs without a store, so it keeps no audit log.')
  try {
    return await world.audit.read(page)
  } catch {
    throw new ApiProblem('unavailable', 'The store cannot be reached. Try again.')
  }
}

function shownAudit({ number, atMs, details, ...row }: AuditRow): z.input<typeof auditRow> {
  return { number, at: new Date(atMs).toISOString(), ...row, details: { ...details } }
}

const reload = route({
  method: 'POST',
  path: '/api/reload',
  role: 'admin',
  summary: 'Read the configuration anew',
  description:
    'The same as SIGHUP. Where it is wrong, or an address cannot be had, the old one stays in force: 422 with every problem, or 409.',
  body: z.strictObject({}),
  bodyOptional: true,
  status: 200,
  answer: z.object({ status: z.literal('reloaded'), warnings: z.array(problemRow) }),
  refusals: [409, 422],
  handle: async ({ operator, world }) => {
    const outcome = await world.reload(actor(operator))
    if (outcome.kind === 'reloaded') return { status: 'reloaded', warnings: outcome.warnings }
    if (outcome.kind === 'stopping') throw new ApiProblem('conflict', 'The gateway is stopping.')
    if (outcome.kind === 'failed') throw new ApiProblem('conflict', `Not reloaded: ${outcome.message}`)
    const { problems } = outcome
    const errors = problems.filter(({ severity }) => severity === 'error').length
    const message = `The configuration has ${errors === 1 ? 'a problem' : `${errors} problems`}; the old one stays in force.`
    throw new ApiProblem('invalid_config', message, { problems })
  },
})

/** All routes under /api, but for the description of them. */
export const apiRoutes: readonly Route[] = [
  ...keyRoutes,
  ...usageRoutes,
  ...cacheRoutes,
  requests,
  ...upstreamRoutes,
  ...limitRoutes,
  audit,
  reload,
]

/** Schema of a problem in the configuration, as 422 lists them. */
export const configProblemRow = problemRow
