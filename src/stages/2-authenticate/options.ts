// Settings of access: who may come in. Nothing is open by default. A static key is best given as its hash: then the
// file holds nothing worth stealing.

import { z } from 'zod'
import { expected, flag, keyHash, label, list, secret, slug } from '../../config/fields.ts'
import { issuerOptions } from './jwt-options.ts'
import { objectOptions } from './object-options.ts'
import {
  addressOptions,
  guessingOptions,
  identityOptions,
  keyAddressOptions,
  keyUserAgentOptions,
  userAgentOptions,
} from './caller-options.ts'

const mapping = { error: expected('a mapping of settings') }

const glob = z
  .string({ error: expected('a model name, * stands for any characters') })
  .regex(/^[\x21-\x7e]{1,256}$/, 'expected a model name without spaces, * stands for any characters')

const tag = (what: string) => label().nullable().prefault(null).describe(what)

const staticKey = z
  .strictObject(
    {
      name: slug().describe('Name of the key in logs and reports; unique.'),
      hash: keyHash()
        .optional()
        .describe('SHA-256 of the key as `headgate init` prints it. Either this or `value`.'),
      value: secret()
        .optional()
        .describe(
          'The key itself, best as `${env:NAME}` or `${file:/path}`. Either this or `hash`. ' +
            'Caution: in a file that others can read, give `hash`.',
        ),
      team: tag('Team the key belongs to, for logs and reports.'),
      app: tag('Application that uses the key.'),
      user: tag('Person the key belongs to.'),
      env: tag('Environment, such as dev or prod.'),
      models: list(glob, 'is an empty list, which would refuse every model: leave the key away to allow all')
        .optional()
        .describe(
          'Models the key may ask for; `*` stands for any characters. Absent = all. What runs a model that the JSON ' +
            'body does not show is then refused: uploads, batches, eval runs, WebSockets, unknown paths.',
        ),
      endpoints: list(
        label(),
        'is an empty list, which would refuse every endpoint: leave the key away to allow all',
      )
        .optional()
        .describe(
          'Operations the key may use, such as `chat.completions`. Absent = all. Unknown paths are then refused.',
        ),
      addresses: keyAddressOptions,
      userAgents: keyUserAgentOptions,
      mayName: flag().describe('Believe the headers of `access.identity` on requests with this key.'),
    },
    mapping,
  )
  .superRefine((key, context) => {
    if ((key.hash === undefined) !== (key.value === undefined)) return
    const message = key.hash === undefined ? 'needs either hash or value' : 'has both hash and value'
    const params = {
      suggestion: key.hash === undefined ? '`headgate init` makes a key and its hash' : 'keep hash',
    }
    context.addIssue({ code: 'custom', message, params })
  })

/** Section `access`. */
export const accessOptions = z
  .strictObject(
    {
      anonymous: z
        .enum(['deny', 'allow'], { error: expected('deny or allow') })
        .prefault('deny')
        .describe(
          'Whether a request without any credential is let in. `allow` needs every listener on loopback, or `iKnow`. ' +
            'Caution: `allow` gives the upstream account to whoever reaches the port.',
        ),
      iKnow: flag().describe(
        'Confirms `anonymous: allow` on a listener that others can reach. Caution: not without another gate in front.',
      ),
      keys: list(staticKey).prefault([]).describe('Client keys kept in this file.'),
      onRevoke: z
        .enum(['finish', 'abort'], { error: expected('finish or abort') })
        .prefault('finish')
        .describe(
          'What becomes of answers under way when a stored key is revoked: `finish` lets them end, `abort` cuts their ' +
            'connections, WebSockets too. New requests are refused either way.',
        ),
      onExpire: z
        .enum(['finish', 'abort'], { error: expected('finish or abort') })
        .prefault('finish')
        .describe(
          'What becomes of answers under way when their key or token expires: `finish` lets them end, `abort` cuts their ' +
            'connections, WebSockets too.',
        ),
      objects: objectOptions,
      jwt: list(issuerOptions).prefault([]).describe('Issuers of JSON web tokens that count as credentials.'),
      addresses: addressOptions,
      userAgents: userAgentOptions,
      identity: identityOptions,
      guessing: guessingOptions,
    },
    mapping,
  )
  .prefault({})
  .describe('Who may come in.')

/** One static client key as configured; exactly one of `hash` and `value` is set. */
export type StaticKeyConfig = z.output<typeof staticKey>
