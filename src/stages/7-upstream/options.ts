// Settings of upstreams: one schema a provider, joined by `provider`, so that a setting a provider does not have is an
// error there. A key never crosses a network in clear: plain http to another machine has to be asked for by name.

import { z } from 'zod'
import {
  allowance,
  count,
  duration,
  expected,
  flag,
  list,
  optionalCount,
  path,
  refuseValue,
  secret,
  slug,
} from '../../config/fields.ts'
import { isLoopback } from '../../config/listen-address.ts'
import { baseUrlOf } from './base-url.ts'
import { onClientGone } from './client-gone-options.ts'
import { azureSchema, bedrockSchema, presetSchema, simpleSchema, vertexSchema } from './provider-options.ts'
import { models, weight } from './use-options.ts'

const mapping = { error: expected('a mapping of settings') }

const waits = {
  connect: duration({ default: '10s', min: '1ms', max: '5m' }).describe(
    'Longest time to reach the upstream: name lookup, TCP and TLS together.',
  ),
  firstByte: duration({ default: '60s', min: '1ms', max: '1d' }).describe(
    'Longest wait from the end of the request to the first byte of the answer. Over it: 504. ' +
      'Caution: low values cut reasoning models, which think before they answer.',
  ),
  firstToken: duration({ default: '1d', min: '1ms', max: '1d' }).describe(
    'Longest wait within a stream from its head to the first piece of content. Over it, another upstream is asked where ' +
      'there is one, else 504. Caution: reasoning models may think for minutes before it.',
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
        'Most unused connections kept, or as many as were in use at once in the last seconds; 0 = none.',
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

const limits = z
  .strictObject(
    {
      requests: allowance('Calls of this upstream, retries included.'),
      tokens: allowance('Input and output tokens together.'),
      concurrent: optionalCount({ min: 1, max: 1_000_000 }).describe('Calls at the same time.'),
    },
    mapping,
  )
  .optional()
  .describe(
    "Stays under the account's own limits. Counted by each gateway; what the upstream says in `x-ratelimit-remaining-…` counts too.",
  )

// What every provider reached over HTTP has.
const elsewhere = {
  env,
  weight,
  models,
  limits,
  insecureHttp: flag().describe(
    'Lets baseUrl be plain http on another machine. Caution: not where anyone else can read that network: the key crosses it in clear.',
  ),
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

// OpenAI, and what speaks like it, may have accounts within an account.
const remote = {
  organization: header('Sent as OpenAI-Organization; what a client names is dropped.'),
  project: header('Sent as OpenAI-Project; what a client names is dropped.'),
  ...elsewhere,
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
    weight,
    models,
    limits,
  },
  mapping,
)

const shared = { name, baseUrl, account, remote: elsewhere }

// In words of what is missing, not of what else is wrong: looked at only where the rest is sound.
const withoutCredential = {
  path: ['keys'],
  message: 'is empty, and there is no other credential',
}

const upstream = z.discriminatedUnion(
  'provider',
  [
    openai,
    openaiCompatible,
    azureSchema(shared)
      .refine(keepsKeysPrivate, clearText)
      .refine(({ keys, token }) => keys.length > 0 || token !== null, {
        ...withoutCredential,
        params: { suggestion: 'give a key, or token: { command: … }' },
      })
      .refine(({ api, apiVersion }) => api === 'v1' || apiVersion !== null, {
        path: ['apiVersion'],
        message: 'is required with api: deployments',
        params: { suggestion: 'such as 2024-10-21' },
      }),
    simpleSchema('anthropic', shared).refine(keepsKeysPrivate, clearText),
    simpleSchema('google', shared).refine(keepsKeysPrivate, clearText),
    vertexSchema(shared)
      .refine(keepsKeysPrivate, clearText)
      .refine(({ keys, token }) => keys.length > 0 || token !== null, {
        ...withoutCredential,
        params: { suggestion: 'give token: { command: gcloud auth print-access-token }, or a key' },
      }),
    bedrockSchema(shared)
      .refine(keepsKeysPrivate, clearText)
      .refine(({ accessKeyId, secretAccessKey }) => (accessKeyId === null) === (secretAccessKey === null), {
        path: ['secretAccessKey'],
        message: 'and accessKeyId go together: one of them is missing',
      })
      .refine(({ keys, accessKeyId }) => keys.length > 0 || accessKeyId !== null, {
        ...withoutCredential,
        params: { suggestion: 'give a key, or accessKeyId and secretAccessKey' },
      }),
    simpleSchema('cohere', shared).refine(keepsKeysPrivate, clearText),
    presetSchema(shared).refine(keepsKeysPrivate, clearText),
    sandbox,
  ],
  mapping,
)

/** Section `upstreams`. */
export const upstreamOptions = list(
  upstream,
  'is an empty list: name at least one upstream, or leave the key away',
)
  .optional()
  .describe(
    'Where requests go. Absent = OpenAI with `$OPENAI_API_KEY` where that is set, otherwise the sandbox. ' +
      'Without `routes` all of them share the requests, by weight.',
  )

/** One upstream as configured, by provider. */
export type ParsedUpstream = z.output<typeof upstream>

/** The same with its address settled. */
export type UpstreamConfig = Settled<ParsedUpstream>

type Settled<Each> = Each extends { provider: 'sandbox' } ? Each : Each & { readonly baseUrl: string }

/** Settles where it is. */
export function settleUpstream(parsed: ParsedUpstream): UpstreamConfig {
  return parsed.provider === 'sandbox' ? parsed : { ...parsed, baseUrl: baseUrlOf(parsed) }
}
