// Settings of limits. A limit says one thing: two quantities in one entry would share a
// name, and nobody could tell from a refusal which was meant.

import { z } from 'zod'
import { parseSpan } from '../../base/allowance.ts'
import { isTimeZone } from '../../base/calendar.ts'
import { allowance, expected, list, optionalCount, refuseValue, slug } from '../../config/fields.ts'
import { operations } from '../../openai/endpoints.ts'
import { dimensions, quantities } from './rule.ts'

const mapping = { error: expected('a mapping of settings') }

const budget = z.string({ error: expected('an amount such as $500/month') }).transform((text, context) => {
  const hint =
    'write $500/month, /hour, /day, /week, /year, $5/30d for a sliding window, or $1000 for all time'
  return parseSpan(text, 'money') ?? refuseValue(context, 'expected an amount in dollars and a time', hint)
})

const dimension = z.enum(dimensions, { error: expected(`one of: ${dimensions.join(', ')}`) })

const glob = z
  .string({ error: expected('a name, * stands for any characters') })
  .regex(/^[^\u0000-\u001f\u007f]{1,256}$/, 'expected text of 1 to 256 characters without control characters')

const endpointGlob = glob.transform((text, context) =>
  text.includes('*') || operations.includes(text)
    ? text
    : refuseValue(context, 'no endpoint has this name', 'names are as in the SDKs, such as chat.completions'),
)

const globs = (what: string, item: z.ZodType<string> = glob) =>
  list(item, 'is an empty list, which would match nothing: leave it away to match all')
    .optional()
    .describe(what)

const match = z
  .strictObject(
    {
      models: globs('Models asked for. A request that does not show its model counts too.'),
      endpoints: globs(
        'Operations such as `chat.completions`. A budget counts endpoints whose cost shows nowhere only where their name stands here.',
        endpointGlob,
      ),
      teams: globs('Teams.'),
      keys: globs('Names or ids of keys.'),
      envs: globs('Environments.'),
      users: globs('Users.'),
      apps: globs('Applications.'),
    },
    mapping,
  )
  .optional()
  .describe('Which requests it counts: all lists must fit, `*` stands for any characters. Absent = all.')

const percent = z
  .string({ error: expected('a percentage such as 80%') })
  .regex(/^(?:[1-9]\d?|100)%$/, 'expected a percentage from 1% to 100%')
  .transform((text) => Number(text.slice(0, -1)) / 100)

const timeZone = z
  .string({ error: expected('a time zone such as Europe/Berlin') })
  .refine(isTimeZone, 'is no time zone of the IANA database, such as Europe/Berlin')

const fields = {
  name: slug().describe('Name in refusals, logs and `GET /api/limits`; unique.'),
  per: z
    .union(
      [
        dimension.transform((one) => [one]),
        list(dimension, 'is an empty list: leave it away for one limit on all'),
      ],
      {
        error: expected(`one of: ${dimensions.join(', ')}; or a list of them`),
      },
    )
    .optional()
    .describe(
      'Whom it counts apart, such as `key` or `[team, model]`. Absent = everybody together. Callers without the thing, such as a team, count as one.',
    ),
  match,
  requests: allowance(
    'Requests, such as `100/1m`. Answers from the cache count, requests that are refused before they reach an upstream do not.',
  ),
  burst: optionalCount({ min: 0, max: 1_000_000 }).describe(
    'Makes `requests` a steady rate with so many requests ahead of it, as `limit_req … burst=N nodelay` of NGINX. Absent = all of them may come at once, and never more in any window.',
  ),
  tokens: allowance('Input and output tokens together. Reserved by the worst case, settled by the truth.'),
  inputTokens: allowance('Input tokens.'),
  outputTokens: allowance('Output tokens.'),
  concurrent: optionalCount({ min: 1, max: 1_000_000 }).describe(
    'Requests at the same time, WebSockets included.',
  ),
  budget: budget
    .optional()
    .describe(
      'Money: `$500/month` (also hour, day, week, year), `$5/30d` for a sliding window, `$1000` for all time. Survives a restart. Models without a price and endpoints without a meter are refused.',
    ),
  warnAt: list(percent).optional().describe('Shares at which a line goes to the log, such as `[50%, 80%]`.'),
  mode: z
    .enum(['enforce', 'warn'], { error: expected('enforce or warn') })
    .prefault('enforce')
    .describe('`warn` refuses nothing and says in the log what it would have refused.'),
  tz: timeZone.prefault('UTC').describe('Time zone in which hours, days, weeks, months and years begin.'),
}

const limit = z.strictObject(fields, mapping).superRefine((value, context) => {
  const named = quantities.map((quantity) => (quantity === 'cost' ? 'budget' : quantity))
  const given = named.filter((field) => value[field] !== undefined)
  const say = (path: string[], message: string, suggestion: string): void =>
    context.addIssue({ code: 'custom', path, message, params: { suggestion } })
  if (given.length === 0) say([], 'limits nothing', `give one of: ${named.join(', ')}`)
  if (given.length > 1) say([given[1]!], `limits ${given[0]} already`, 'write one limit for each')
  if (value.burst !== undefined && value.requests?.span.kind !== 'sliding')
    say(['burst'], 'needs requests in a window such as 10/1s', 'leave burst away')
  if (value.budget !== undefined && value.per?.includes('address') === true)
    say(['per'], 'a budget cannot be per address: the ledger keeps none', 'use key, user, team or app')
  if (value.budget !== undefined && value.per?.includes('upstream') === true)
    say(['per'], 'a budget cannot be per upstream', 'use key, user, team, app or model')
})

/** Section `limits`. */
export const limitOptions = list(limit)
  .prefault([])
  .describe(
    'How much may pass. All limits that count a request must admit it, or none of them counts it. See [limits.md](limits.md).',
  )
