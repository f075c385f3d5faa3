// Settings of where a caller comes from and what it may say of itself: addresses, user agents, names, failed credentials.

import { z } from 'zod'
import { cidr, count, expected, list, rate } from '../../config/fields.ts'

const mapping = { error: expected('a mapping of settings') }

const agentGlob = z
  .string({ error: expected('text, * stands for any characters') })
  .regex(/^[\x20-\x7e]{0,256}$/, 'expected up to 256 printable ASCII characters, * stands for any')

const addressLists = z.strictObject(
  {
    allow: list(cidr()).prefault([]).describe('Addresses and CIDR blocks that may come in. Empty = all.'),
    deny: list(cidr()).prefault([]).describe('Addresses and CIDR blocks that may not; wins over `allow`.'),
  },
  mapping,
)

const agentLists = z.strictObject(
  {
    allow: list(agentGlob)
      .prefault([])
      .describe(
        'User agents that may come in; `*` stands for any characters, case does not count. Empty = all.',
      ),
    deny: list(agentGlob)
      .prefault([])
      .describe('User agents that may not; wins over `allow`. A missing User-Agent counts as an empty text.'),
  },
  mapping,
)

/** Setting `access.addresses`. */
export const addressOptions = addressLists
  .prefault({})
  .describe('Where requests may come from, judged before any credential is looked at. Others get 403.')

/** Setting `access.userAgents`. */
export const userAgentOptions = agentLists
  .prefault({})
  .describe(
    'Which programs may call, judged before any credential is looked at. Others get 403. ' +
      'Caution: a program says of itself what it likes.',
  )

/** Setting `access.keys.*.addresses`: a list of what is allowed, or both lists. */
export const keyAddressOptions = z
  .union([list(cidr()).transform((allow) => ({ allow, deny: [] as string[] })), addressLists], {
    error: expected('a list of addresses, or a mapping with allow and deny'),
  })
  .optional()
  .describe(
    'Where this key may be used from: a list of addresses and CIDR blocks, or `allow` and `deny`. Absent = anywhere.',
  )

/** Setting `access.keys.*.userAgents`: a list of what is allowed, or both lists. */
export const keyUserAgentOptions = z
  .union([list(agentGlob).transform((allow) => ({ allow, deny: [] as string[] })), agentLists], {
    error: expected('a list of user agents, or a mapping with allow and deny'),
  })
  .optional()
  .describe('Which programs may use this key: a list of user agents, or `allow` and `deny`. Absent = any.')

/** Fields that mean something else already. */
const taken =
  /^(?:authorization|x-api-key|api-key|cookie2?|host|connection|upgrade|te|trailer|expect|date|origin|accept|user-agent|forwarded|via|idempotency-key|keep-alive|(?:content|transfer|proxy|access-control|sec|x-forwarded|x-stainless|accept|openai|if)-.*)$/

const headerName = (standard: string) =>
  z
    .string({ error: expected('a header name') })
    .regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'expected a header name in lower case')
    .refine((name) => !taken.test(name), 'this header means something else already')
    .prefault(standard)

/** Setting `access.identity`. */
export const identityOptions = z
  .strictObject(
    {
      userHeader: headerName('x-headgate-user').describe('Header with the user behind a request.'),
      appHeader: headerName('x-headgate-app').describe('Header with the application behind a request.'),
    },
    mapping,
  )
  .refine(({ userHeader, appHeader }) => userHeader !== appHeader, {
    error: 'userHeader and appHeader are the same header',
  })
  .prefault({})
  .describe(
    'Headers by which an application names the user and app behind a request. Believed only for keys with `mayName`, ' +
      'never passed on.',
  )

/** Setting `access.guessing`. */
export const guessingOptions = z
  .strictObject(
    {
      failures: rate({ default: '600/1m' }).describe(
        'Wrong keys taken from one address (IPv6: one /64) in the long run. Further ones get 429 instead of 401; a key that holds always passes.',
      ),
      burst: count({ default: 1, min: 1, max: 1_000_000 })
        .unwrap()
        .optional()
        .describe('Wrong keys taken from one address at once. Absent = as many as `failures` counts.'),
    },
    mapping,
  )
  .prefault({})
  .describe('Bound on guessing keys.')
