// The other port: health for probes, the API for operators. Only /healthz and /readyz can be had without a token. A port
// that others can reach needs a token that somebody chose: one that was made at the first start may never have been read.

import { z } from 'zod'
import { expected, label, list, listenAddress, secret, slug } from './fields.ts'
import { isHostName, isLoopback } from './listen-address.ts'

const mapping = { error: expected('a mapping of settings') }

const person = z
  .strictObject(
    {
      name: slug().describe('Who holds it; named in the audit log. Unique.'),
      role: z
        .enum(['admin', 'viewer'], { error: expected('admin or viewer') })
        .prefault('viewer')
        .describe('`viewer` reads; `admin` also changes keys and reloads.'),
      hash: z
        .string({ error: expected('sha256: and 64 hex digits') })
        .regex(/^sha256:[0-9a-f]{64}$/, 'expected sha256: and 64 lower-case hex digits')
        .optional()
        .describe('SHA-256 of the token. Either this or `value`.'),
      value: secret()
        .optional()
        .describe('The token itself, best as `${env:NAME}` or `${file:/path}`. Either this or `hash`.'),
    },
    mapping,
  )
  .superRefine((token, context) => {
    if ((token.hash === undefined) !== (token.value === undefined)) return
    const message = token.hash === undefined ? 'needs either hash or value' : 'has both hash and value'
    const params = { suggestion: token.hash === undefined ? 'value: ${env:NAME}' : 'keep hash' }
    context.addIssue({ code: 'custom', message, params })
  })

const hostName = label().transform((text, context) => {
  const bare = text.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  if (isHostName(bare) || /^[0-9a-f:.]*:[0-9a-f:.]*$/.test(bare)) return bare
  context.addIssue({ code: 'custom', message: 'expected a host name or address, without port' })
  return z.NEVER
})

/** Section `admin`. */
export const adminOptions = z
  .strictObject(
    {
      listen: listenAddress()
        .prefault('127.0.0.1:8081')
        .describe(
          'Address of the admin port: /healthz, /readyz and the API under /api. Port 0 takes any free one. An address ' +
            'that others can reach needs `token` or `tokens`. Caution: it speaks plain HTTP, so the token crosses that network in clear.',
        ),
      token: secret()
        .optional()
        .describe(
          'Token with the role admin, as `${env:HEADGATE_ADMIN_TOKEN}`; that variable also counts where nothing is ' +
            'said here. Without any token one is made at the first start, printed once, and kept as a hash in the data directory.',
        ),
      tokens: list(person)
        .max(100, 'holds more than 100 tokens')
        .prefault([])
        .describe('Tokens of several people, each with a name and a role.'),
      publicHosts: list(hostName)
        .prefault([])
        .describe(
          'Host values accepted besides localhost, 127.0.0.1 and [::1], without port; any other gets 421. On an address ' +
            'that others can reach, empty = any.',
        ),
    },
    mapping,
  )
  .superRefine(({ listen, token, tokens }, context) => {
    if (isLoopback(listen.hostname) || token !== undefined || tokens.length > 0) return
    context.addIssue({
      code: 'custom',
      path: ['listen'],
      message: 'can be reached by others, and no admin token is configured',
      params: { suggestion: 'set admin.token: ${env:HEADGATE_ADMIN_TOKEN}, or listen on 127.0.0.1:8081' },
    })
  })
  .prefault({})
  .describe('The other port, for operators and their tools. Clients never need it.')

/** Section `admin` as configured; exactly one of `hash` and `value` is set in each of `tokens`. */
export type AdminConfig = z.output<typeof adminOptions>
