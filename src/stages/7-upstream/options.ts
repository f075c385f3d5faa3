// Settings of upstreams: one schema a provider, joined by `provider`, so that a setting a provider does not have is an
// error there. A key never crosses a network in clear: plain http to another machine has to be asked for by name.

import { z } from 'zod'
import {
  byteSize,
  count,
  duration,
  expected,
  flag,
  list,
  path,
  refuseValue,
  secret,
  slug,
} from '../../config/fields.ts'
import { isLoopback } from '../../config/listen-address.ts'

const mapping = { error: expected('a mapping of settings') }

const waits = {
  connect: duration({ default: '10s', min: '1ms', max: '5m' }).describe(
    'Longest time to reach the upstream: name lookup, TCP and TLS together.',
  ),
  firstByte: duration({ default: '60s', min: '1ms', max: '1d' }).describe(
    'Longest wait from the end of the request to the first byte of the answer. Over it: 504. ' +
      'Caution: low values cut reasoning models, which think before they answer.',
  ),
  idle: duration({ default: '60s', min: '1ms', max: '1d' }).describe('Longest silence within an answer.'),
  total: duration({ default: '10m', min: '1ms', max: '7d' }).describe(
    'Longest time for one attempt, from start to last byte. Caution: do not set it below your longest stream.',
  ),
}

const timeouts = z.strictObject(waits, mapping).prefault({}).describe('How long an answer may take.')

const keepAlive = z
  .strictObject(
    {
      idle: duration({ default: '60s', min: '1ms', max: '1h' }).describe(
        'How long an unused connection is kept. Caution: not longer than the upstream keeps its side.',
      ),
      maxIdle: count({ default: 32, min: 0, max: 10_000 }).describe(
        'Most unused connections kept; 0 = none.',
      ),
    },
    mapping,
  )
  .prefault({})
  .describe('Connections kept open between requests.')

const tls = z
  .strictObject(
    {
      caFile: path()
        .nullable()
        .prefault(null)
        .describe(
          'PEM file with the certificates of a private CA, trusted for this upstream instead of the usual ones.',
        ),
    },
    mapping,
  )
  .prefault({})
  .describe('How the upstream proves who it is. It is always verified.')

/** A date means its whole day in UTC; a moment means itself. */
function momentAtMs(text: string): number | null {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text)
  if (!day && !/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text)) return null
  const atMs = Date.parse(day ? `${text}T23:59:59.999Z` : text)
  if (Number.isNaN(atMs)) return null
  // Date.parse turns 30 February into 1 March.
  return day && !new Date(atMs).toISOString().startsWith(text) ? null : atMs
}

const notAfter = z.string({ error: expected('a date such as 2027-01-31') }).transform((text, context) => {
  const hint = 'write 2027-01-31, the whole day in UTC, or 2027-01-31T12:00:00Z'
  return momentAtMs(text) ?? refuseValue(context, 'expected a date', hint)
})

const account = z.union(
  [
    secret().transform((value) => ({ value, notAfter: null })),
    z.strictObject(
      {
        value: secret().describe('The key, best as `${env:NAME}` or `${file:/path}`.'),
        notAfter: notAfter
          .nullable()
          .prefault(null)
          .describe('Last day (UTC) or moment at which the key is used.'),
      },
      mapping,
    ),
  ],
  { error: expected('a key, or a mapping with value and notAfter') },
)

const baseUrl = z
  .string({ error: expected('a URL such as https://api.openai.com/v1') })
  .transform((text, context) => {
    const hint = 'write https://host/v1'
    if (!URL.canParse(text)) return refuseValue(context, 'is not a URL', hint)
    const url = new URL(text)
    if (url.protocol !== 'https:' && url.protocol !== 'http:') {
      return refuseValue(context, 'must begin with https:// or http://', hint)
    }
    if (url.username !== '' || url.password !== '') {
      return refuseValue(context, 'must not hold a user name or password', 'credentials belong into keys')
    }
    if (/[?#]/.test(text)) return refuseValue(context, 'must not hold a query or a fragment', hint)
    return url.href.replace(/\/+$/, '')
  })

const proxy = z
  .string({ error: expected('a proxy such as http://egress:3128') })
  .transform((text, context) => {
    const hint = 'write http://host:port'
    if (!URL.canParse(text)) return refuseValue(context, 'is not a URL', hint)
    const url = new URL(text)
    if (url.protocol !== 'http:') return refuseValue(context, 'must begin with http://', hint)
    if (url.username !== '' || url.password !== '') {
      return refuseValue(
        context,
        'must not hold a user name or password: proxies with a login are not supported',
        hint,
      )
    }
    if (url.pathname !== '/' || /[?#]/.test(text))
      return refuseValue(context, 'must not hold a path or a query', hint)
    return `http://${url.hostname}:${url.port === '' ? 80 : url.port}`
  })

const header = (what: string) =>
  z
    .string({ error: expected('text') })
    .regex(/^[\x21-\x7e]{1,256}$/, 'expected an identifier without spaces')
    .nullable()
    .prefault(null)
    .describe(what)

const name = slug().describe('Name in logs, metrics and the x-headgate-upstream header; unique.')

const env = z
  .string({ error: expected('an environment such as dev or prod') })
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected lower-case letters, digits and hyphens, 32 at most')
  .nullable()
  .prefault(null)
  .describe(
    'Environment, such as prod: only callers of the same `env` are sent here, any other gets 403. Absent = all callers.',
  )

const drain = z
  .strictObject(
    {
      seconds: count({ default: 60, min: 1, max: 3600 }).describe(
        'Longest time a stream is read on, in seconds.',
      ),
      bytes: byteSize({ default: '16MB', min: '1KB', max: '1GB' }).describe(
        'Most bytes read on of one stream.',
      ),
      max: count({ default: 100, min: 1, max: 100_000 }).describe(
        'Most streams read on at the same time; those above are aborted.',
      ),
    },
    mapping,
  )
  .prefault({})
  .describe('Bounds of reading on; over any of them the stream is aborted and its usage estimated.')

const onClientGone = z
  .union([z.enum(['abort', 'drain']), z.strictObject({ drain }, mapping)], {
    error: expected('abort, drain, or a mapping with the bounds of drain'),
  })
  .transform((policy) => {
    if (policy === 'abort') return { drain: null }
    return policy === 'drain' ? { drain: drain.parse({}) } : policy
  })
  .prefault('abort')
  .describe(
    'What becomes of a stream whose client has left. `abort`: the upstream is cut off at once, and what it has cost is estimated. ' +
      '`drain`: it is read on to its usage, within bounds, for providers that bill all of it anyway. ' +
      'Answers in one piece are waited for in either case.',
  )

// What every provider reached over HTTP has.
const remote = {
  env,
  insecureHttp: flag().describe(
    'Lets baseUrl be plain http on another machine. Caution: not where anyone else can read that network: the key crosses it in clear.',
  ),
  organization: header('Sent as OpenAI-Organization; what a client names is dropped.'),
  project: header('Sent as OpenAI-Project; what a client names is dropped.'),
  timeouts,
  keepAlive,
  tls,
  includeUsage: z
    .boolean({ error: expected('true or false') })
    .prefault(true)
    .describe(
      'Asks for the usage of streams (`stream_options.include_usage`), and takes it out again where the client did not ask. ' +
        'Set false for a server that refuses the field: usage is then estimated.',
    ),
  onClientGone,
  proxy: proxy
    .nullable()
    .prefault(null)
    .describe(
      'HTTP proxy for the way out, `http://host:port`; TLS goes through it to the upstream (CONNECT).',
    ),
}

// Looked at even where another setting is wrong, so that it is said in the same run: the parts may be anything then.
function keepsKeysPrivate(upstream: { baseUrl?: unknown; insecureHttp?: unknown } | null): boolean {
  const baseUrl = upstream?.baseUrl
  if (typeof baseUrl !== 'string' || !URL.canParse(baseUrl) || upstream?.insecureHttp === true) return true
  const { protocol, hostname } = new URL(baseUrl)
  return protocol !== 'http:' || isLoopback(hostname.replace(/^\[|\]$/g, ''))
}

const clearText = {
  path: ['baseUrl'],
  message: 'is plain http to another machine: the key and every prompt would cross the network in clear',
  params: { suggestion: 'use https, or set insecureHttp: true' },
  when: () => true,
}

const openai = z
  .strictObject(
    {
      name,
      provider: z.literal('openai').describe('OpenAI itself.'),
      baseUrl: baseUrl.prefault('https://api.openai.com/v1').describe('Where the API begins, with its /v1.'),
      keys: list(
        account,
        'is an empty list: an openai upstream needs a key, such as ${env:OPENAI_API_KEY}',
      ).describe(
        'API keys of the account: text, or `{ value, notAfter }`. The first one is used, until its date or until the ' +
          'upstream refuses it (401); then the next.',
      ),
      adminKey: secret()
        .optional()
        .describe(
          'Admin key of the organisation, for `headgate usage reconcile` alone: it reads usage and costs. Never used for requests.',
        ),
      ...remote,
    },
    mapping,
  )
  .refine(keepsKeysPrivate, clearText)

const openaiCompatible = z
  .strictObject(
    {
      name,
      provider: z
        .literal('openai-compatible')
        .describe('Any server that speaks like OpenAI: vLLM, Ollama, a cloud gateway.'),
      baseUrl: baseUrl.describe('Where the API begins, with its /v1 where it has one. Required.'),
      keys: list(account)
        .prefault([])
        .describe(
          'API keys: text, or `{ value, notAfter }`, used in this order as for openai. Empty = no credential is sent.',
        ),
      ...remote,
    },
    mapping,
  )
  .refine(keepsKeysPrivate, clearText)

const sandbox = z.strictObject(
  {
    name,
    provider: z
      .literal('sandbox')
      .describe(
        'The built-in fake OpenAI, for first steps and tests. Caution: it answers with made-up text.',
      ),
    env,
  },
  mapping,
)

const upstream = z.discriminatedUnion('provider', [openai, openaiCompatible, sandbox], mapping)

/** Section `upstreams`. */
export const upstreamOptions = list(
  upstream,
  'is an empty list: name at least one upstream, or leave the key away',
)
  .optional()
  .describe(
    'Where requests go. Absent = OpenAI with `$OPENAI_API_KEY` where that is set, otherwise the sandbox. ' +
      'This version uses the first.',
  )

/** One upstream as configured, by provider. */
export type UpstreamConfig = z.output<typeof upstream>
