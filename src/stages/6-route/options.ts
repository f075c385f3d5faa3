// Settings of routes. First match wins; what no route matches goes to all upstreams, by weight, as without routes.

import { z } from 'zod'
import { count, duration, expected, flag, label, list, slug } from '../../config/fields.ts'

const mapping = { error: expected('a mapping of settings') }

const names = (what: string, item: z.ZodType<string, string> = label()) =>
  list(item, 'is an empty list: nothing could match it')
    .optional()
    .describe(`${what} Several lists must all match. Absent = any.`)

const match = z
  .strictObject(
    {
      models: names(
        'Globs of the model asked for, such as `gpt-4o*`. A request whose model cannot be seen matches `*` only.',
      ),
      endpoints: names('Globs of endpoints, such as `chat.completions` or `files`.'),
      teams: names("Globs of the caller's team."),
      apps: names("Globs of the caller's app."),
      users: names("Globs of the caller's user."),
      keys: names("Globs of the key's name or id."),
      envs: names("Globs of the caller's environment."),
    },
    mapping,
  )
  .prefault({})
  .describe('Which requests take this route. Empty = all.')

const modelName = z
  .string({ error: expected('the name of a model') })
  .regex(/^[^\u0000-\u001f\u007f*]{1,256}$/, 'expected the name of a model, without `*`')

const target = z.union(
  [
    slug().transform((name) => ({ name, fallback: false, model: null, weight: null })),
    z.strictObject(
      {
        name: slug().describe('Name of the upstream.'),
        fallback: flag().describe('Asked only where none of the others can be.'),
        model: modelName
          .nullable()
          .prefault(null)
          .describe('Model to ask for there, in place of the one the request names.'),
        weight: z
          .number({ error: expected('a number above 0') })
          .gt(0, 'must be above 0: leave the upstream away')
          .max(1_000_000, 'must be at most 1000000')
          .nullable()
          .prefault(null)
          .describe("Its share in this route, in place of the upstream's own weight."),
      },
      mapping,
    ),
  ],
  { error: expected('the name of an upstream, or a mapping with name, fallback, model and weight') },
)

/** Ways to pick one. */
export const picks = [
  'weighted',
  'roundRobin',
  'leastBusy',
  'leastLatency',
  'headroom',
  'priority',
  'prefixAffinity',
] as const
const causes = ['connect', 'reset', 'timeout', '408', '409', '429', '5xx'] as const

const cause = z.union([z.enum(causes), z.int().transform(String).pipe(z.enum(causes))], {
  error: expected(`one of ${causes.join(', ')}`),
})

const hedge = z
  .strictObject(
    {
      after: duration({ default: '200ms', min: '1ms', max: '1m' }).describe(
        'How long the first upstream has to answer before a second one is asked too.',
      ),
    },
    mapping,
  )
  .optional()
  .describe(
    'Asks a second upstream where the first is slow, and takes the answer that comes first: for short calls that are no ' +
      'stream. Caution: both are paid for.',
  )

const retry = z
  .strictObject(
    {
      attempts: count({ default: 3, min: 1, max: 10 }).describe(
        'Upstream calls per request, the first among them.',
      ),
      deadline: duration({ default: '60s', min: '1ms', max: '1d' }).describe(
        'No further attempt begins later than this after the first.',
      ),
      on: list(cause)
        .prefault([...causes])
        .describe('After what another attempt is made. Never after the first piece of content has come.'),
      sameUpstream: flag().describe(
        'Asks an upstream again that has failed already, after a pause, where every other has been asked.',
      ),
      pauseMax: duration({ default: '5s', min: '0s', max: '5m' }).describe(
        'Longest pause before an upstream is asked again; where it asks for a longer one, the client is told.',
      ),
      hedge,
    },
    mapping,
  )
  .prefault({})
  .describe('When another upstream is asked in place of one that failed.')

const breaker = z
  .strictObject(
    {
      failures: count({ default: 3, min: 1, max: 100 }).describe('Failures within the window that open it.'),
      window: duration({ default: '30s', min: '1s', max: '1h' }).describe('How long a failure counts.'),
      cooldown: duration({ default: '15s', min: '100ms', max: '1h' }).describe(
        'How long an upstream is left alone before one request probes it; doubles up to eight times.',
      ),
      quotaPause: duration({ default: '10m', min: '1s', max: '7d' }).describe(
        'How long an account is left alone that has spent its quota (`insufficient_quota`) and does not say until when.',
      ),
      slowFactor: z
        .number({ error: expected('a number of at least 2') })
        .min(2, 'must be at least 2')
        .max(1000, 'must be at most 1000')
        .nullable()
        .prefault(null)
        .describe(
          'Leaves an upstream alone for the cooldown where it answers so many times slower than the median of the others; ' +
            'at most a third of them at once. Absent = never.',
        ),
    },
    mapping,
  )
  .prefault({})
  .describe('When an upstream is left alone for a while, each model for itself.')

const check = z
  .strictObject(
    {
      path: z
        .string({ error: expected('a path such as /models') })
        .regex(/^\/[A-Za-z0-9._~/-]{0,255}$/, 'expected a path such as /models')
        .prefault('/models')
        .describe('Asked with GET, below the base URL, with the key of the account.'),
      every: duration({ default: '30s', min: '1s', max: '1d' }).describe('Pause between two checks.'),
    },
    mapping,
  )
  .optional()
  .describe('Looks at the upstreams of this route also while no requests come. Absent = no.')

const contextFallback = z
  .string({ error: expected('a model, or the name of an upstream') })
  .regex(/^[^\u0000-\u001f\u007f*]{1,256}$/, 'expected a model, or the name of an upstream')
  .nullable()
  .prefault(null)
  .describe(
    'Model, or upstream of this route, to ask once where a request is too long for the first (`context_length_exceeded`).',
  )

const one = z.strictObject(
  {
    match,
    upstreams: list(target, 'is an empty list: name at least one upstream')
      .optional()
      .describe('Where these requests go: names, or mappings. Absent = all upstreams.'),
    pick: z
      .enum(picks, { error: expected(`one of ${picks.join(', ')}`) })
      .prefault('weighted')
      .describe('How one of them is chosen.'),
    retry,
    breaker,
    check,
    contextFallback,
    continue: flag().describe(
      'Where an upstream breaks off amid the text of a chat completion, another goes on behind it. Caution: the second ' +
        'one is paid for the text so far as input, and not every provider goes on where it is told.',
    ),
  },
  mapping,
)

/** Section `routes`. */
export const routeOptions = list(one)
  .prefault([])
  .describe(
    'Which upstreams a request may go to, and how one is chosen: first match wins. What none matches goes to all, by weight.',
  )

/** What holds for requests that no route matches. */
export function usualRoute(): RouteConfig {
  return one.parse({})
}

/** One route as configured. */
export type RouteConfig = z.output<typeof one>
/** How one of several upstreams is chosen. */
export type PickName = RouteConfig['pick']
