// Settings of the cache: what is answered from it, for whom, for how long, and where it is kept.

import { z } from 'zod'
import { byteSize, duration, expected, flag, label, list } from '../../config/fields.ts'
import { notYet } from '../../config/not-yet.ts'

const mapping = { error: expected('a mapping of settings') }

const glob = () =>
  z
    .string({ error: expected('a name, `*` for any characters') })
    .min(1, 'is empty')
    .max(256)

const temperature = z
  .number({ error: expected('a number') })
  .min(0, 'must be between 0 and 2')
  .max(2, 'must be between 0 and 2')

/** What rules may look at. */
const match = z
  .strictObject(
    {
      endpoints: list(glob(), 'is an empty list')
        .optional()
        .describe('Operations, such as `embeddings` or `audio.*`.'),
      models: list(glob(), 'is an empty list')
        .optional()
        .describe('Models asked for; `*` stands for any characters.'),
      teams: list(label(), 'is an empty list').optional().describe('Teams of the caller.'),
      status: z
        .union([z.literal(200), z.literal(429)], { error: 'expected 200 or 429: no other answer is kept' })
        .optional()
        .describe(
          'Status of the answer: 200 where nothing is said. 429 keeps refusals of the upstream, never longer than its `retry-after`.',
        ),
      contentType: glob().optional().describe('Content type of the answer, such as `audio/*`.'),
    },
    mapping,
  )
  .prefault({})
  .describe('What it is for; everything that is named must fit.')

const rule = z
  .strictObject(
    {
      match,
      ttl: duration({ default: '24h', min: '0ms', max: '1y' }).describe(
        'How long such an answer is fresh. 0s = it is not kept.',
      ),
    },
    mapping,
  )
  .describe('A rule.')

const meaning = ['model', 'messages', 'input', 'prompt', 'tools', 'functions', 'response_format', 'text']

const normalize = z
  .strictObject(
    {
      whitespace: flag().describe(
        'Whether texts that differ only in white space count as the same. Caution: not for code, where indentation means something.',
      ),
      sortMessages: flag().describe(
        'Whether messages in any order count as the same. Caution: order is meaning in a conversation: leave it off unless yours has none.',
      ),
      ignore: list(
        z
          .string({ error: expected('a name') })
          .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'expected the name of a member'),
      )
        .prefault([])
        .describe(
          'Outermost members of a request that do not matter, such as `user` or `metadata`. Caution: what is named here no longer tells requests apart.',
        ),
      defaults: z
        .boolean({ error: expected('true or false') })
        .prefault(true)
        .describe(
          'Whether OpenAI’s defaults spelled out (`temperature: 1`) count as left away. Caution: false for upstreams with defaults of their own.',
        ),
    },
    mapping,
  )
  .prefault({})
  .refine(({ ignore }) => !ignore.some((name) => meaning.includes(name)), {
    error: `must not name ${meaning.join(', ')}: requests would get each other’s answers`,
    path: ['ignore'],
  })
  .describe('What two requests may differ in and still share an answer.')

const onlyWhen = z
  .strictObject(
    {
      temperatureMax: temperature
        .optional()
        .describe(
          'Highest `temperature` that is answered from the cache; where a request says nothing it counts as 1. Absent = any.',
        ),
      nMax: z
        .int({ error: expected('a whole number') })
        .min(1, 'must be between 1 and 128')
        .max(128, 'must be between 1 and 128')
        .optional()
        .describe('Highest `n`. Absent = any.'),
    },
    mapping,
  )
  .prefault({})
  .describe('Which requests take part; others go upstream as if there were no cache.')

const store = z
  .strictObject(
    {
      memory: byteSize({ default: '256MB', min: '1MB', max: '1TB' }).describe(
        'Bytes of answers kept in memory, the least recently used given up first.',
      ),
      disk: byteSize({ default: '0B', min: '0B', max: '100TB' }).describe(
        'Bytes of answers kept in `cache.db` in the data directory, below what is in memory; they survive a restart. 0B = none.',
      ),
      inactive: duration({ default: '24h', min: '1s', max: '1y' }).describe(
        'An answer on disk that nobody asked for in this time is given up.',
      ),
      entry: byteSize({ default: '8MB', min: '1KB', max: '64MB' }).describe('Longest answer that is kept.'),
      redis: z
        .boolean({ error: expected('true or false') })
        .prefault(true)
        .describe(
          'Whether answers are also kept in `storage.redis`, where that is set, shared by all gateways. One that is lost or slow (20 ms) is a miss.',
        ),
    },
    mapping,
  )
  .prefault({})
  .describe('Where answers are kept.')

/** Section `cache`. Absent = off; there, it is on unless it says otherwise. */
export const cacheOptions = z
  .strictObject(
    {
      mode: z
        .enum(['off', 'exact'], {
          error: ({ input }) => (input === 'semantic' ? notYet('mode: semantic') : 'expected off or exact'),
        })
        .prefault('exact')
        .describe(
          '`exact`: a request that was asked before gets the answer of that time. `off`: every request goes upstream.',
        ),
      ttl: duration({ default: '24h', min: '1s', max: '1y' }).describe(
        'How long an answer is fresh, where no rule says otherwise.',
      ),
      jitter: z
        .number({ error: expected('a number from 0 to 0.5') })
        .min(0, 'must be between 0 and 0.5')
        .max(0.5, 'must be between 0 and 0.5')
        .prefault(0.05)
        .describe(
          'By which part a time is shortened at most, by chance, so that answers kept together do not end together.',
        ),
      rules: list(rule).prefault([]).describe('Times for certain answers; the first rule that fits counts.'),
      scope: z
        .enum(['key', 'user', 'team', 'app', 'all'], { error: expected('key, user, team, app or all') })
        .prefault('key')
        .describe(
          'Who shares answers. A caller without such a name shares with nobody but its own key; one without a key has no cache. ' +
            'Caution: with `all`, everybody who may use the gateway can find out what others have asked; requests with tools stay within a team all the same.',
        ),
      onlyWhen,
      normalize,
      headers: list(
        z
          .string({ error: expected('a header name') })
          .regex(/^[A-Za-z0-9-]{1,64}$/, 'expected a header name'),
      )
        .prefault([])
        .describe(
          'Further request headers that change an answer; those that begin with `openai-` always count.',
        ),
      stateful: flag().describe(
        'Whether also requests are answered that make or continue state at the provider: `store: true`, `background`, ' +
          '`previous_response_id`, `conversation`. Caution: two callers then hold one and the same object.',
      ),
      coalesce: z
        .boolean({ error: expected('true or false') })
        .prefault(true)
        .describe(
          'Whether a request that is under way already is waited for, in place of asking the upstream twice.',
        ),
      coalesceAcross: duration({ default: '0s', min: '0ms', max: '10m' }).describe(
        'How long a request waits for the answer to the same one at another gateway, through `storage.redis`, before it asks for itself. ' +
          '0s = not at all. Costs each miss a round trip to Redis; a stream that waits begins when the other one has ended.',
      ),
      staleIfError: duration({ default: '0s', min: '0ms', max: '30d' }).describe(
        'How long after its time an answer still serves where the upstream fails.',
      ),
      staleWhileRevalidate: duration({ default: '0s', min: '0ms', max: '30d' }).describe(
        'How long after its time an answer is still given at once, while a new one is fetched behind it.',
      ),
      store,
      replay: z
        .enum(['instant', 'paced'], { error: expected('instant or paced') })
        .prefault('instant')
        .describe(
          'How a stored stream is given: at once, or with the pauses it came with (2 s each and 30 s together at most).',
        ),
      record: flag().describe(
        'Whether digests, sizes and costs of requests are kept for `headgate cache simulate` also while the mode is `off`. No bodies.',
      ),
    },
    mapping,
  )
  .prefault({ mode: 'off' })
  .describe('Answers given again.')

/** What `cache` of the configuration amounts to. */
export type CacheOptions = z.output<typeof cacheOptions>

/** One rule. */
export type CacheRule = CacheOptions['rules'][number]
