// Settings of access.jwt: whose tokens count, what they must say, and what is read from them.

import { z } from 'zod'
import { duration, expected, list, path } from '../../config/fields.ts'
import { algorithmNames } from './jwt-algorithms.ts'
import { mappedFields, type MappedField } from './jwt-claims.ts'

const mapping = { error: expected('a mapping of settings') }

const name = (what: string) => {
  const error = `expected ${what}: 1 to 512 printable characters without spaces`
  return z.string({ error: expected(what) }).regex(/^[\x21-\x7e]{1,512}$/, error)
}

const claim = (what: string, standard?: string) => {
  const text = z
    .string({ error: expected('the name of a claim, such as sub or realm.team') })
    .regex(/^[^\u0000-\u001f\u007f]{1,256}$/, 'expected the name of a claim, such as sub or realm.team')
    .describe(what)
  return standard === undefined ? text.optional() : text.prefault(standard)
}

const claims = z
  .strictObject(
    {
      user: claim('Claim that names the user.', 'sub'),
      team: claim('Claim that names the team; dots lead into nested claims.'),
      app: claim('Claim that names the application.'),
      env: claim('Claim that names the environment, such as dev or prod.'),
      models: claim(
        'Claim with the models the token may ask for: a list, or names with spaces between; `*` stands for any ' +
          'characters. Caution: a token without the claim may ask for all, unless `required` names it.',
      ),
      endpoints: claim(
        'Claim with the operations the token may use, such as `chat.completions`, in the same form. Caution: as for models.',
      ),
    },
    mapping,
  )
  .prefault({})
  .describe('Which claim fills which field of the caller.')

const algorithm = z.enum(algorithmNames, {
  error: (issue) => {
    const input = String(issue.input)
    if (/^hs\d/i.test(input))
      return 'is not supported: who can check an HMAC can also forge it; use RS256 or ES256'
    if (/^none$/i.test(input)) return 'would let anyone in: a token must be signed'
    return `expected one of: ${algorithmNames.join(', ')}`
  },
})

const jwksUrl = z.string({ error: expected('an https URL') }).superRefine((text, context) => {
  const wrong = urlTrouble(text)
  if (wrong !== null) context.addIssue({ code: 'custom', message: wrong })
})

function urlTrouble(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) return 'expected an https URL'
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password'
  if (url.hash !== '') return 'must not have a # part'
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url.protocol === 'http:' && !loopback)
    return 'must be https: over plain http anyone on the way can put in keys of their own'
  return null
}

/** One entry of `access.jwt`. */
export const issuerOptions = z
  .strictObject(
    {
      issuer: name('the issuer').describe('Who issues the tokens: exactly the text of their `iss`. Unique.'),
      audience: z
        .union(
          [name('an audience'), list(name('an audience'), 'is an empty list, which no token would fit')],
          {
            error: expected('an audience, or a list of them'),
          },
        )
        .transform((one) => (typeof one === 'string' ? [one] : one))
        .describe('Who the tokens are for: `aud` must hold this, or one of these.'),
      jwksUrl: jwksUrl
        .optional()
        .describe(
          "Where the issuer's public keys are fetched (JWKS), over https; plain http on loopback only. Redirects are " +
            'not followed, 256 KB and 5 s at most. Either this or `jwksFile`.',
        ),
      jwksFile: path()
        .optional()
        .describe(
          "File with the issuer's public keys (JWKS); read again at a reload, and watched by `--watch`.",
        ),
      tls: z
        .strictObject(
          {
            caFile: path()
              .nullable()
              .prefault(null)
              .describe(
                'PEM file of the CA that signed the certificate behind `jwksUrl`. Absent = the public ones.',
              ),
          },
          mapping,
        )
        .prefault({})
        .describe('How the server behind `jwksUrl` is verified.'),
      algorithms: list(algorithm, 'is an empty list, which no token would fit')
        .prefault(['RS256'])
        .describe('Algorithms its tokens may be signed with: public keys only, never HMAC.'),
      claims,
      required: list(z.enum([...mappedFields] as [MappedField, ...MappedField[]]))
        .prefault([])
        .describe('Fields of `claims` that every token must have; one without is refused.'),
      clockTolerance: duration({ default: '30s', min: '0s', max: '5m' }).describe(
        "How far the issuer's clock may be off, for `exp`, `nbf` and `iat`.",
      ),
      refresh: duration({ default: '5m', min: '1s', max: '24h' }).describe(
        'How often the keys are fetched anew. A token with an unknown key may bring this forward once in the same time.',
      ),
      stale: duration({ default: '24h', min: '0s', max: '30d' }).describe(
        'How long beyond that the last good keys are used while the issuer cannot be reached. ' +
          'Caution: as long, a key that the issuer has withdrawn still counts.',
      ),
      maxAge: duration({ default: '1h', min: '1s', max: '365d' })
        .unwrap()
        .optional()
        .describe(
          'Longest time since a token was issued, whatever its `exp`; then `iat` is required. Absent = any.',
        ),
      revoked: list(name('the id of a token (jti)'))
        .prefault([])
        .describe('Ids (`jti`) of tokens that count no more, though they have not expired.'),
    },
    mapping,
  )
  .superRefine(({ jwksUrl: url, jwksFile: file }, context) => {
    if ((url === undefined) !== (file === undefined)) return
    const message = url === undefined ? 'needs either jwksUrl or jwksFile' : 'has both jwksUrl and jwksFile'
    context.addIssue({ code: 'custom', message })
  })

/** One issuer of tokens as configured; exactly one of `jwksUrl` and `jwksFile` is set. */
export type IssuerConfig = z.output<typeof issuerOptions>
