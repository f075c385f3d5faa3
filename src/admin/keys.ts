// Client keys over the API: the same service as `headgate keys`. An admin may grant whatever a key can be: what a child
// key may be bounded by, its caller's own rights, is for callers whose rights are bounded, and there are none yet.

import { z } from 'zod'
import { parseDuration } from '../base/duration.ts'
import { KeyFailure, type KeyInfo, type KeyService } from '../keys/key-service.ts'
import { listOf, paging } from './paging.ts'
import { ApiProblem } from './problem.ts'
import { actor, route, type AdminWorld, type Route } from './route.ts'

const line = (what: string) =>
  z
    .string()
    .regex(
      /^[^\u0000-\u001f\u007f]{1,128}$/,
      'expected text of 1 to 128 characters without control characters',
    )
    .meta({ description: what })
const names = (what: string) =>
  z
    .array(z.string().min(1, 'is empty').max(256, 'is longer than 256 characters'))
    .min(1, 'is an empty list: leave it away to allow all')
    .max(100, 'holds more than 100')
    .nullish()
    .meta({ description: what })
const duration = (what: string) =>
  z
    .string()
    .refine((text) => parseDuration(text) !== null, 'expected a duration with a unit, such as 24h or 90d')
    .meta({ description: what, examples: ['24h', '90d'] })

const keySpec = z.strictObject({
  name: line('Name in logs and reports; no two active keys share one.'),
  team: line('Team it belongs to.').nullish(),
  app: line('Application that uses it.').nullish(),
  user: line('Person it belongs to.').nullish(),
  env: z.string().optional().meta({ description: 'Environment, part of the key’s text. Absent = dev.' }),
  models: names('Models it may ask for; `*` stands for any characters. Absent = all.'),
  endpoints: names('Operations it may use, such as `chat.completions`. Absent = all.'),
  addresses: names('Addresses and CIDR blocks it may be used from. Absent = any.'),
  userAgents: names('User agents it may be used by; `*` stands for any characters. Absent = any.'),
  expires: duration('How long it works, from now. Either this or `expiresAt`.').nullish(),
  expiresAt: z.iso
    .datetime({ offset: true, error: 'expected a moment such as 2027-01-31T12:00:00Z' })
    .nullish()
    .meta({ description: 'Until when it works. Either this or `expires`.' }),
  budget: line('Money it may spend, such as `$50/month`; UTC.').nullish(),
  metadata: z
    .record(z.string().min(1).max(64), z.string().max(512))
    .refine((pairs) => Object.keys(pairs).length <= 16, 'holds more than 16 pairs')
    .optional()
    .meta({ description: 'Up to 16 pairs of text.' }),
  mayName: z.boolean().optional().meta({
    description: 'Whether the header fields of `access.identity` are believed from it.',
  }),
})

const moment = z.iso.datetime()
const keyRow = z.object({
  id: z.string(),
  name: z.string(),
  env: z.string(),
  team: z.string().nullable(),
  app: z.string().nullable(),
  user: z.string().nullable(),
  models: z.array(z.string()).nullable(),
  endpoints: z.array(z.string()).nullable(),
  addresses: z.array(z.string()).nullable(),
  userAgents: z.array(z.string()).nullable(),
  budget: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  mayName: z.boolean(),
  state: z.enum(['active', 'expired', 'revoked']),
  createdAt: moment,
  createdBy: z.string(),
  expiresAt: moment.nullable(),
  rotatedAt: moment.nullable(),
  previousUntil: moment
    .nullable()
    .meta({ description: 'Until when the secret before the last rotation works too.' }),
  revokedAt: moment.nullable(),
})
const secret = z.string().meta({ description: 'The key itself, shown this once.' })

/** A key as the API shows it. */
function shown(key: KeyInfo): z.input<typeof keyRow> {
  const { createdAtMs, expiresAtMs, rotatedAtMs, previousUntilMs, revokedAtMs, ...rest } = key
  return {
    ...rest,
    models: copied(rest.models),
    endpoints: copied(rest.endpoints),
    addresses: copied(rest.addresses),
    userAgents: copied(rest.userAgents),
    createdAt: iso(createdAtMs)!,
    expiresAt: iso(expiresAtMs),
    rotatedAt: iso(rotatedAtMs),
    previousUntil: iso(previousUntilMs),
    revokedAt: iso(revokedAtMs),
  }
}

function copied(list: readonly string[] | null): string[] | null {
  return list === null ? null : [...list]
}

function iso(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString()
}

/** @throws ApiProblem */
async function asked<T>(world: AdminWorld, what: (keys: KeyService) => Promise<T>): Promise<T> {
  if (world.keys === null)
    throw new ApiProblem('unavailable', 'This gateway runs without a store, so it keeps no keys.')
  try {
    return await what(world.keys)
  } catch (cause) {
    if (!(cause instanceof KeyFailure)) throw cause
    const code = cause.code === 'invalid' ? 'bad_request' : cause.code
    throw new ApiProblem(code, cause.message, { param: cause.field })
  }
}

function expiry(
  { expires, expiresAt }: Pick<z.output<typeof keySpec>, 'expires' | 'expiresAt'>,
  wallMs: number,
): number | null {
  if (typeof expires === 'string' && typeof expiresAt === 'string')
    throw new ApiProblem('bad_request', 'Give either expires or expiresAt.', { param: 'expiresAt' })
  if (typeof expires === 'string') return wallMs + parseDuration(expires)!
  return typeof expiresAt === 'string' ? Date.parse(expiresAt) : null
}

/** What `/api/keys` can do. */
export const keyRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/keys',
    role: 'viewer',
    summary: 'Client keys, newest first',
    description: 'Revoked and expired ones too. Keys of the configuration file are not among them.',
    query: z.strictObject(paging),
    status: 200,
    answer: listOf(keyRow),
    refusals: [503],
    handle: async ({ query, world }) => {
      const { rows, next } = await asked(world, (keys) =>
        keys.list({ limit: query.limit, cursor: query.cursor ?? null }),
      )
      return { rows: rows.map(shown), next }
    },
  }),
  route({
    method: 'POST',
    path: '/api/keys',
    role: 'admin',
    summary: 'Make a client key',
    description: 'The answer holds the key itself, once. An admin may grant whatever a key can be.',
    body: keySpec,
    status: 201,
    answer: keyRow.extend({ secret }),
    refusals: [409, 503],
    handle: async ({ body, operator, world }) => {
      const { expires, expiresAt, ...spec } = body
      const expiresAtMs = expiry({ expires, expiresAt }, world.clock.wallMs())
      const made = await asked(world, (keys) => keys.create({ ...spec, expiresAtMs }, actor(operator)))
      return { ...shown(made.key), id: made.id, secret: made.secret.reveal() }
    },
  }),
  route({
    method: 'GET',
    path: '/api/keys/:id',
    role: 'viewer',
    summary: 'One client key',
    status: 200,
    answer: keyRow,
    refusals: [404, 503],
    handle: async ({ params, world }) => shown(await asked(world, (keys) => keys.show(params['id']!))),
  }),
  route({
    method: 'POST',
    path: '/api/keys/:id/rotate',
    role: 'admin',
    summary: 'Give a client key a new secret',
    description: 'The old secret works on for `grace`. The answer holds the new one, once.',
    body: z.strictObject({
      grace: duration('How long the old secret works on; `0s` = not at all.').prefault('24h'),
    }),
    bodyOptional: true,
    status: 201,
    answer: keyRow.extend({ secret }),
    refusals: [404, 409, 503],
    handle: async ({ params, body, operator, world }) => {
      const id = params['id']!
      const graceMs = parseDuration(body.grace)!
      const made = await asked(world, (keys) => keys.rotate(id, { graceMs }, actor(operator)))
      return { ...shown(await asked(world, (keys) => keys.show(id))), secret: made.secret.reveal() }
    },
  }),
  route({
    method: 'DELETE',
    path: '/api/keys/:id',
    role: 'admin',
    summary: 'Revoke a client key, for good',
    description: 'A second time answers the same and changes nothing.',
    status: 200,
    answer: keyRow,
    refusals: [404, 503],
    handle: ({ params, operator, world }) =>
      asked(world, async (keys) => {
        const key = await keys.show(params['id']!)
        return shown(key.state === 'revoked' ? key : await revoked(keys, key.id, actor(operator)))
      }),
  }),
]

/** Revokes; where somebody else was faster, the key as it is now. */
async function revoked(keys: KeyService, id: string, by: string): Promise<KeyInfo> {
  try {
    return await keys.revoke(id, by)
  } catch (cause) {
    if (cause instanceof KeyFailure && cause.code === 'conflict') return keys.show(id)
    throw cause
  }
}
