// Settings of upstreams of the many providers that are neither OpenAI itself nor just any server that speaks like it: what
// they have in common is given by options.ts, what only one of them has stands here.

import { z } from 'zod'
import { duration, expected, list, secret } from '../../config/fields.ts'
import { presetNames, presets } from './presets.ts'

/** Settings and schemas that options.ts shares with every provider. */
export interface Shared<Remote extends z.ZodRawShape, Account extends z.ZodType> {
  readonly name: z.ZodString
  readonly baseUrl: z.ZodType<string, string>
  /** One entry of `keys`. */
  readonly account: Account
  /** Settings of everything reached over HTTP, without those that only OpenAI has. */
  readonly remote: Remote
}

const mapping = { error: expected('a mapping of settings') }

const keysText =
  'API keys: text, or `{ value, notAfter }`. The first one is used, until its date or until the provider refuses it; then the next.'

const unsupported = z
  .enum(['drop', 'refuse'], { error: expected('drop or refuse') })
  .prefault('drop')
  .describe(
    'What becomes of parameters that the provider has nothing for. `drop`: they are left out, and the answer names them in ' +
      '`x-headgate-dropped`. `refuse`: 400, naming the first.',
  )

const token = z
  .strictObject(
    {
      command: z
        .string({ error: expected('a command') })
        .min(1, 'is empty')
        .describe(
          'Run with `sh -c`; prints the token, or JSON that holds it (`accessToken`, `access_token`). Caution: write `$${X}` for a ' +
            'variable of the shell; `${X}` would be filled in when the configuration is read.',
        ),
      refresh: duration({ default: '30m', min: '1m', max: '1d' }).describe(
        'How long a token is used that does not say when it expires. One that does is replaced 5 minutes before.',
      ),
    },
    mapping,
  )
  .transform(({ command, refresh }) => ({ command, refreshMs: refresh }))
  .nullable()
  .prefault(null)
  .describe(
    'An access token that a command prints, in place of keys. The command runs with the first request, before the token ' +
      'expires, and when the provider refuses it.',
  )

function word(what: string, pattern: RegExp) {
  return z.string({ error: expected(what) }).regex(pattern, `expected ${what}`)
}

function credential(what: string) {
  return secret().nullable().prefault(null).describe(what)
}

const presetList = presetNames.map((name) => `\`${name}\` (${presets[name].title})`).join(', ')
const translated = 'Chat completions, responses'

function where(baseUrl: z.ZodType<string, string>, title: string, at: string) {
  return baseUrl.optional().describe(`${title}. Absent = ${at}.`)
}

function someKeys<Account extends z.ZodType>(account: Account, more: string) {
  return list(account).prefault([]).describe(`${keysText} ${more}`)
}

/** `provider: groq` and the other presets. */
export function presetSchema<Remote extends z.ZodRawShape, Account extends z.ZodType>({
  name,
  baseUrl,
  account,
  remote,
}: Shared<Remote, Account>) {
  return z.strictObject(
    {
      name,
      provider: z
        .literal(presetNames)
        .describe(`A provider that speaks like OpenAI, with its address and what it refuses: ${presetList}.`),
      baseUrl: where(baseUrl, 'Where the API begins', "the provider's own"),
      keys: someKeys(account, 'Empty = no credential is sent.'),
      unsupported,
      ...remote,
    },
    mapping,
  )
}

/** `provider: azure`. */
export function azureSchema<Remote extends z.ZodRawShape, Account extends z.ZodType>({
  name,
  baseUrl,
  account,
  remote,
}: Shared<Remote, Account>) {
  return z.strictObject(
    {
      name,
      provider: z.literal('azure').describe('Azure OpenAI.'),
      baseUrl: baseUrl.describe(
        "The resource's endpoint, such as `https://NAME.openai.azure.com`. Required.",
      ),
      keys: someKeys(account, 'Sent as `api-key`. Needed unless there is a `token`.'),
      token,
      api: z
        .enum(['v1', 'deployments'], { error: expected('v1 or deployments') })
        .prefault('v1')
        .describe(
          'Which of its two paths. `v1`: `/openai/v1/…`, where the model is the deployment. ' +
            '`deployments`: `/openai/deployments/{model}/…`, which needs `apiVersion`.',
        ),
      apiVersion: word('a version such as 2024-10-21 or preview', /^[\w.-]{1,64}$/)
        .nullable()
        .prefault(null)
        .describe(
          'Sent as `api-version`; what a client sends is replaced. Required with `api: deployments`.',
        ),
      deployment: word('the name of a deployment', /^[\w][\w.-]{0,63}$/)
        .nullable()
        .prefault(null)
        .describe(
          'With `api: deployments`: for requests whose model cannot be read, such as uploads of sound.',
        ),
      ...remote,
    },
    mapping,
  )
}

/** Providers that need no more than a key. */
const simple = {
  anthropic: [`Anthropic, with Claude. ${translated} are translated.`, 'https://api.anthropic.com/v1'],
  google: [
    `Google's Gemini API. ${translated} and embeddings are translated.`,
    'https://generativelanguage.googleapis.com/v1beta',
  ],
  cohere: [`Cohere. ${translated} and embeddings are translated.`, 'https://api.cohere.com/v2'],
} as const

/** `provider: anthropic`, `google` and `cohere`. */
export function simpleSchema<
  Name extends keyof typeof simple,
  Remote extends z.ZodRawShape,
  Account extends z.ZodType,
>(provider: Name, { name, baseUrl, account, remote }: Shared<Remote, Account>) {
  const [text, at] = simple[provider]
  return z.strictObject(
    {
      name,
      provider: z.literal(provider).describe(text),
      baseUrl: where(baseUrl, 'Where the API begins', at),
      keys: list(account, 'is an empty list: this provider needs a key').describe(keysText),
      unsupported,
      ...remote,
    },
    mapping,
  )
}

/** `provider: bedrock`. */
export function bedrockSchema<Remote extends z.ZodRawShape, Account extends z.ZodType>({
  name,
  baseUrl,
  account,
  remote,
}: Shared<Remote, Account>) {
  return z.strictObject(
    {
      name,
      provider: z.literal('bedrock').describe(`Amazon Bedrock. ${translated} and embeddings are translated.`),
      region: word('a region such as eu-central-1', /^[a-z]{2,4}(?:-[a-z]+)+-\d$/).describe(
        'AWS region. Required.',
      ),
      baseUrl: where(baseUrl, 'Where the API begins', "the region's own"),
      keys: someKeys(
        account,
        'Bedrock API keys; without one, requests are signed with the access key below.',
      ),
      accessKeyId: credential('Access key of AWS.'),
      secretAccessKey: credential('Its secret.'),
      sessionToken: credential('Its session token, for temporary credentials.'),
      unsupported,
      ...remote,
    },
    mapping,
  )
}

/** `provider: vertex`. */
export function vertexSchema<Remote extends z.ZodRawShape, Account extends z.ZodType>({
  name,
  baseUrl,
  account,
  remote,
}: Shared<Remote, Account>) {
  return z.strictObject(
    {
      name,
      provider: z
        .literal('vertex')
        .describe(`Google Cloud's Vertex AI, with Gemini and Claude. ${translated} are translated.`),
      project: word('a project id', /^[a-z0-9][a-z0-9.:-]{2,127}$/).describe('Project id. Required.'),
      location: word('a location such as global or europe-west4', /^[a-z][a-z0-9-]{1,63}$/)
        .prefault('global')
        .describe('Location of the models.'),
      baseUrl: where(baseUrl, 'Address up to the location', "the location's own"),
      keys: someKeys(account, 'Needed unless there is a `token`.'),
      token,
      unsupported,
      ...remote,
    },
    mapping,
  )
}
