// Promise: a token counts only if its issuer made it, for us, and it still holds. Everything here is a token that some
// library somewhere once took; each is refused, for the reason that it was made for and not by accident, and an honest
// twin of it is accepted beside.

import { describe, expect, test } from 'bun:test'
import { compactVerify, createLocalJWKSet, jwtVerify } from 'jose'
import fc from 'fast-check'
import { algorithmNames, isSignedBy } from '../../src/stages/2-authenticate/jwt-algorithms.ts'
import { readKeySet } from '../../src/stages/2-authenticate/jwt-key-set.ts'
import { judge, verifierOf } from './verifier.ts'
import {
  audience,
  encode,
  forge,
  goodClaims,
  goodToken,
  issuer,
  makeSigner,
  nowSeconds,
  signText,
} from './tokens.ts'

const rsa = makeSigner('rsa-1')
const second = makeSigner('rsa-2', 'RS256', { alg: undefined })
const ec = makeSigner('ec-1', 'ES256')
const ed = makeSigner('ed-1', 'EdDSA')
const stranger = makeSigner('rsa-1')
const jwks = { keys: [rsa.jwk, second.jwk, ec.jwk, ed.jwk] }
const tokens = verifierOf(jwks)
const many = verifierOf(jwks, { algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'] })

const header = { alg: 'RS256', kid: 'rsa-1', typ: 'JWT' }
const good = goodToken(rsa)
const [headerText, payloadText, signatureText] = good.split('.') as [string, string, string]

/** Signed by the right key whatever the header says. */
const withHeader = (more: Record<string, unknown>) => forge({ ...header, ...more }, goodClaims(), rsa)
const withClaims = (more: Record<string, unknown>) => forge(header, goodClaims(more), rsa)
const without = (name: string) => {
  const claims = goodClaims()
  delete claims[name]
  return forge(header, claims, rsa)
}
const rawPayload = (text: string) => forge(header, text, rsa)
const rawHeader = (text: string) => {
  const signed = `${encode(text)}.${encode(goodClaims())}`
  return `${signed}.${signText(signed, 'RS256', rsa.privateKey).toString('base64url')}`
}
/** HMAC with what everybody knows: the public key. */
const hmac = (key: string | Uint8Array, alg = 'HS256') => {
  const signed = `${encode({ ...header, alg })}.${encode(goodClaims())}`
  return `${signed}.${signText(signed, alg, Buffer.from(key)).toString('base64url')}`
}
const bareAlg = (alg: unknown, signature = '') => `${encode({ ...header, alg })}.${payloadText}.${signature}`
const pem = (type: 'spki' | 'pkcs1') => rsa.publicKey.export({ type, format: 'pem' })
const bytes = (text: string) => Buffer.from(text, 'base64url')

test('the honest ones are accepted', () => {
  for (const signer of [rsa, ec, ed]) {
    expect(judge(many, goodToken(signer))).toMatchObject({
      kind: 'jwt',
      user: 'ann',
      team: 'core',
      app: null,
      models: null,
    })
  }
  for (const typ of ['JWT', 'jwt', 'at+jwt', 'application/at+jwt', undefined]) {
    expect(judge(tokens, withHeader({ typ }))).toMatchObject({ user: 'ann' })
  }
  expect(judge(many, forge({ ...header, alg: 'PS256', kid: 'rsa-2' }, goodClaims(), second))).toMatchObject({
    user: 'ann',
  })
  expect(judge(tokens, withHeader({ x5t: 'abc', cty: 'JWT' }))).toMatchObject({ user: 'ann' })
  for (const aud of [audience, [audience], ['other', audience]]) {
    expect(judge(tokens, withClaims({ aud }))).toMatchObject({ user: 'ann' })
  }
  expect(judge(tokens, withClaims({ exp: nowSeconds() + 0.5 }))).toMatchObject({ user: 'ann' })
  expect(judge(tokens, withClaims({ exp: nowSeconds() - 20, nbf: nowSeconds() + 20 }))).toMatchObject({
    user: 'ann',
  })
})

const forged: Record<string, [token: string, why: RegExp][]> = {
  'not signed': [
    ...['none', 'None', 'NONE', 'nOnE', 'none '].map((alg): [string, RegExp] => [bareAlg(alg), /not signed/]),
    ...['none', 'NONE', ''].map((alg): [string, RegExp] => [
      bareAlg(alg, signatureText),
      /not configured for/,
    ]),
    [bareAlg(undefined, signatureText), /names no algorithm/],
    [bareAlg(null, signatureText), /names no algorithm/],
    [bareAlg(['RS256'], signatureText), /names no algorithm/],
    [bareAlg({ toString: 'RS256' }, signatureText), /names no algorithm/],
    [`${headerText}.${payloadText}.`, /not signed/],
  ],
  'signed with another algorithm': [
    ['rs256', /not configured for/],
    ['RS256 ', /not configured for/],
    ['Rs256', /not configured for/],
    ['RS384', /not configured for/],
    ['PS256', /not configured for/],
    ['RS1', /not configured for/],
    ['SHA256withRSA', /not configured for/],
    ['toString', /not configured for/],
    ['__proto__', /not configured for/],
    ['constructor', /not configured for/],
  ].map(([alg, why]) => [withHeader({ alg }), why as RegExp]),
  'HMAC with a public key': [
    [hmac(pem('spki')), /not configured for/],
    [hmac(pem('spki').trim()), /not configured for/],
    [hmac(pem('pkcs1')), /not configured for/],
    [hmac(rsa.publicKey.export({ type: 'spki', format: 'der' })), /not configured for/],
    [hmac(JSON.stringify(rsa.jwk)), /not configured for/],
    [hmac(bytes(rsa.jwk['n'] as string)), /not configured for/],
    [hmac(pem('spki'), 'HS512'), /not configured for/],
    [hmac(''), /not configured for/],
  ],
  'bringing its key along': [
    [forge({ ...header, jwk: stranger.jwk }, goodClaims(), stranger), /its own key \(jwk\)/],
    [forge({ ...header, jwk: rsa.jwk }, goodClaims(), rsa), /its own key \(jwk\)/],
    [withHeader({ jwk: null }), /its own key \(jwk\)/],
    [forge({ ...header, jku: 'https://evil.test/jwks' }, goodClaims(), stranger), /its own key \(jku\)/],
    [withHeader({ jku: `${issuer}/jwks` }), /its own key \(jku\)/],
    [withHeader({ x5u: 'https://evil.test/cert' }), /its own key \(x5u\)/],
    [withHeader({ x5c: ['MIIB'] }), /its own key \(x5c\)/],
  ],
  'another kid': [
    [forge({ ...header, kid: 'rsa-9' }, goodClaims(), rsa), /no key of its issuer/],
    [withHeader({ kid: '../../../../dev/null' }), /no key of its issuer/],
    [withHeader({ kid: "rsa-1' OR '1'='1" }), /no key of its issuer/],
    [withHeader({ kid: 'rsa-1 ' }), /no key of its issuer/],
    [withHeader({ kid: 'RSA-1' }), /no key of its issuer/],
    [withHeader({ kid: '__proto__' }), /no key of its issuer/],
    [withHeader({ kid: 'ec-1' }), /no key of its issuer/],
    [withHeader({ kid: 'rsa-2' }), /signature does not fit/],
    [withHeader({ kid: 'rsa-1\n' }), /kid is not a name/],
    [withHeader({ kid: 'rsa-1\u0000' }), /kid is not a name/],
    [withHeader({ kid: '' }), /kid is not a name/],
    [withHeader({ kid: ['rsa-1'] }), /kid is not a name/],
    [withHeader({ kid: 1 }), /kid is not a name/],
    [withHeader({ kid: null }), /kid is not a name/],
    [withHeader({ kid: 'k'.repeat(300) }), /kid is not a name/],
    [withHeader({ kid: undefined }), /more than one key/],
  ],
  'a header that says more': [
    [withHeader({ crit: ['exp'] }), /crit/],
    [withHeader({ crit: [] }), /crit/],
    [withHeader({ b64: false, crit: ['b64'] }), /crit/],
    [withHeader({ b64: false }), /b64/],
    [withHeader({ b64: true }), /b64/],
    [withHeader({ zip: 'DEF' }), /compressed/],
    [withHeader({ enc: 'A256GCM' }), /encrypted/],
    ...['JWE', 'JOSE', 'dpop+jwt', 'logout+jwt', 'secevent+jwt', '', 7, ['JWT'], null].map(
      (typ): [string, RegExp] => [withHeader({ typ }), /typ is neither/],
    ),
  ],
  'a bad signature': [
    [forge(header, goodClaims(), stranger), /signature does not fit/],
    [`${headerText}.${encode(goodClaims({ sub: 'root' }))}.${signatureText}`, /signature does not fit/],
    [`${encode({ ...header, x: 1 })}.${payloadText}.${signatureText}`, /signature does not fit/],
    [
      `${headerText}.${payloadText}.${encode(bytes(signatureText).subarray(0, 255))}`,
      /signature does not fit/,
    ],
    [
      `${headerText}.${payloadText}.${encode(Buffer.concat([bytes(signatureText), Buffer.alloc(1)]))}`,
      /does not fit/,
    ],
    [
      `${headerText}.${payloadText}.${encode(Buffer.concat([Buffer.alloc(1), bytes(signatureText)]))}`,
      /does not fit/,
    ],
    [`${headerText}.${payloadText}.${encode(Buffer.alloc(256))}`, /signature does not fit/],
    [`${headerText}.${payloadText}.${encode(Buffer.alloc(256, 255))}`, /signature does not fit/],
    [`${headerText}.${payloadText}.AA`, /signature does not fit/],
  ],
  'spelled in another way': [
    [good.replace(/.$/, (last) => nextLetter(last)), /canonical/],
    [`${good}=`, /canonical/],
    [`${good}==`, /canonical/],
    [`${headerText}=.${payloadText}.${signatureText}`, /canonical/],
    [`${headerText}.${payloadText}.${bytes(signatureText).toString('base64')}`, /canonical/],
    [`${headerText}.${payloadText}\n.${signatureText}`, /canonical/],
    [`${headerText}. ${payloadText}.${signatureText}`, /canonical/],
    [`${headerText}.${payloadText}.${signatureText}A`, /canonical|does not fit/],
    [`${headerText}.${payloadText}.${signatureText}!`, /canonical/],
    [`${headerText}.${payloadText.slice(0, 4)}%2e${payloadText.slice(4)}.${signatureText}`, /canonical/],
    [`${good}.`, /three parts/],
    [`${good}.${signatureText}`, /three parts/],
    [`${headerText}..${payloadText}.${signatureText}`, /three parts/],
    [`${headerText}.${payloadText}`, /three parts/],
    [`${good}.a.b`, /JWE/],
  ],
  'other bytes inside': [
    [rawHeader('{"alg":"none","alg":"RS256","kid":"rsa-1"}'), /header is not/],
    [rawHeader('{"alg":"RS256","kid":"rsa-1","k\\u0069d":"rsa-1"}'), /header is not/],
    [rawHeader('["RS256"]'), /header is not/],
    [rawHeader('{"alg":"RS256","kid":"rsa-1"'), /header is not/],
    [rawHeader('\ufeff{"alg":"RS256","kid":"rsa-1"}'), /header is not/],
    [rawHeader('null'), /header is not/],
    [rawPayload(`{"iss":"${issuer}","aud":"headgate","exp":1,"exp":9999999999}`), /payload is not/],
    [
      rawPayload(`{"iss":"https://evil.test","iss":"${issuer}","aud":"headgate","exp":9999999999}`),
      /payload is not/,
    ],
    [
      rawPayload(`{"iss":"${issuer}","aud":"headgate","exp":9999999999,"s\\u0075b":"a","sub":"b"}`),
      /payload is not/,
    ],
    [rawPayload(`{"iss":"${issuer}","aud":"headgate","exp":9999999999,"o":{"a":1,"a":2}}`), /payload is not/],
    [rawPayload(`{"iss":"${issuer}","aud":"headgate","exp":NaN}`), /payload is not/],
    [rawPayload(''), /payload is not/],
    [rawPayload('"text"'), /payload is not/],
    [
      rawPayload(
        `{"iss":"${issuer}","aud":"headgate","exp":9999999999,"o":${'['.repeat(40)}${']'.repeat(40)}}`,
      ),
      /payload is not/,
    ],
    [forge(header, Buffer.from([0x7b, 0xff, 0x7d]), rsa), /payload is not/],
    [forge({ ...header, pad: 'x'.repeat(9000) }, goodClaims(), rsa), /longer than 8 KB/],
    [withClaims({ pad: 'x'.repeat(9000) }), /longer than 8 KB/],
  ],
  'not for us': [
    ...[undefined, null, '', [], {}, 7].map((aud): [string, RegExp] => [withClaims({ aud }), /\(aud\)/]),
    ...['other', 'headgate ', 'Headgate', ['other'], ['headgate', 7], [[audience]], 'headgate,other'].map(
      (aud): [string, RegExp] => [withClaims({ aud }), /\(aud\)/],
    ),
    [without('aud'), /\(aud\)/],
  ],
  'of another issuer': [
    ...[
      `${issuer}/`,
      issuer.toUpperCase(),
      ` ${issuer}`,
      'https://evil.test',
      '',
      null,
      7,
      [issuer],
      '__proto__',
    ].map((iss): [string, RegExp] => [withClaims({ iss }), /\(iss\)/]),
    [without('iss'), /\(iss\)/],
  ],
  'at another time': [
    [withClaims({ exp: nowSeconds() - 31 }), /expired/],
    [withClaims({ exp: 0 }), /expired/],
    [withClaims({ nbf: nowSeconds() + 60 }), /nbf/],
    [withClaims({ iat: nowSeconds() + 60 }), /iat/],
    [without('exp'), /no expiry/],
    ...[
      String(nowSeconds() + 600),
      '9999999999',
      true,
      null,
      [nowSeconds() + 600],
      {},
      -1,
      1e308,
      253402300800,
    ].map((exp): [string, RegExp] => [withClaims({ exp }), /exp is not a moment/]),
    [rawPayload(`{"iss":"${issuer}","aud":"headgate","exp":1e400}`), /exp is not a moment/],
    [withClaims({ nbf: '0' }), /nbf is not a moment/],
    [withClaims({ nbf: null }), /nbf is not a moment/],
    [withClaims({ iat: 'now' }), /iat is not a moment/],
    [withClaims({ jti: 7 }), /jti/],
  ],
  'with claims of the wrong kind': [
    ...[
      7,
      null,
      '',
      true,
      ['ann'],
      {},
      'x'.repeat(257),
      'a\nb',
      'a\u0000',
      '\u009b31m',
      'a\u2028b',
      '\ud800',
    ].map((sub): [string, RegExp] => [withClaims({ sub }), /claim for user/]),
    [withClaims({ org: ['core'] }), /claim for team/],
  ],
}

function nextLetter(letter: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return letters[letters.indexOf(letter) + 1] ?? 'B'
}

for (const [what, cases] of Object.entries(forged)) {
  describe(what, () => {
    for (const [index, [token, why]] of cases.entries()) {
      test(`${index + 1}: ${why.source}`, () => expect(judge(tokens, token)).toMatch(why))
    }
  })
}

describe('where several algorithms are allowed', () => {
  const over = (alg: string, signature: Uint8Array, kid = 'ec-1') => {
    const text = `${encode({ alg, kid })}.${encode(goodClaims())}`
    return `${text}.${Buffer.from(signature).toString('base64url')}`
  }
  const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
  const cases: [string, string][] = [
    ['an ECDSA signature of zeros', over('ES256', Buffer.alloc(64))],
    [
      'an ECDSA signature whose r is zero',
      over('ES256', Buffer.concat([Buffer.alloc(32), Buffer.alloc(32, 1)])),
    ],
    ['an ECDSA signature of the curve order', over('ES256', Buffer.concat([order, order]))],
    ['an ECDSA signature in DER', over('ES256', Buffer.from('3006020100020100', 'hex'))],
    ['a short ECDSA signature', over('ES256', Buffer.alloc(63, 1))],
    ['an EdDSA signature of zeros', over('EdDSA', Buffer.alloc(64), 'ed-1')],
    ['ES256 with an RSA key', over('ES256', Buffer.alloc(64, 1), 'rsa-1')],
    ['RS256 with an EC key', over('RS256', Buffer.alloc(256, 1), 'ec-1')],
    ['EdDSA with an EC key', over('EdDSA', Buffer.alloc(64, 1), 'ec-1')],
    ['PS256 with a key that is for RS256', forge({ alg: 'PS256', kid: 'rsa-1' }, goodClaims(), rsa)],
  ]
  test.each(cases)('%s is refused', (_, token) =>
    expect(judge(many, token)).toMatch(/signature does not fit|no key of its issuer/),
  )

  test('a PKCS #1 signature is none of PSS, and the other way round', () => {
    const body = (alg: string) => `${encode({ alg, kid: 'rsa-2' })}.${encode(goodClaims())}`
    for (const [alg, other] of [
      ['RS256', 'PS256'],
      ['PS256', 'RS256'],
    ] as const) {
      const text = body(alg)
      const signed = (how: string) =>
        `${text}.${signText(text, how, second.privateKey).toString('base64url')}`
      expect(judge(many, signed(alg))).toMatchObject({ user: 'ann' })
      expect(judge(many, signed(other))).toMatch(/does not fit/)
    }
  })
})

test('a key of another kind fits no algorithm, whoever asks', () => {
  const signed = Buffer.from('text')
  const signature = signText('text', 'ES256', ec.privateKey)
  const [rsaKey, ecKey] = readKeySet(Buffer.from(JSON.stringify({ keys: [rsa.jwk, ec.jwk] }))).keys
  expect(isSignedBy(ecKey!, 'ES256', { signed, signature })).toBe(true)
  for (const name of algorithmNames.filter((each) => each !== 'ES256'))
    expect(isSignedBy(ecKey!, name, { signed, signature })).toBe(false)
  expect(isSignedBy(rsaKey!, 'ES256', { signed, signature })).toBe(false)
  const mislabelled = { ...ecKey!, kty: 'RSA', curve: null }
  expect(isSignedBy(mislabelled, 'ES256', { signed, signature })).toBe(false)
})

describe('key sets', () => {
  const refusedKeys: [string, Record<string, unknown>, RegExp][] = [
    ['of 1024 bits', { kty: 'RSA', n: encode(Buffer.alloc(128, 0xc5)), e: 'AQAB' }, /1024 bits/],
    ['with the exponent 1', { ...rsa.jwk, e: 'AQ' }, /exponent/],
    ['with an even exponent', { ...rsa.jwk, e: 'BA' }, /exponent/],
    ['that are private', rsa.privateKey.export({ format: 'jwk' }) as Record<string, unknown>, /private/],
    ['that are shared secrets', { kty: 'oct', k: 'c2VjcmV0', kid: 'a' }, /shared secret/],
    ['for encryption', { ...rsa.jwk, use: 'enc' }, /no usable key$/],
    ['not on their curve', { ...ec.jwk, y: ec.jwk['x'] }, /not a valid key/],
    ['of another curve', { ...ec.jwk, crv: 'secp256k1', alg: undefined }, /not supported/],
    ['with an alg of another kind', { ...rsa.jwk, alg: 'ES256' }, /alg does not go/],
    ['with a kid that is a number', { ...rsa.jwk, kid: 7 }, /kid is not text/],
  ]
  test.each(refusedKeys)('keys %s are left aside', (_, key, why) => {
    expect(() => verifierOf({ keys: [key] })).toThrow(why)
    expect(judge(verifierOf({ keys: [key, rsa.jwk] }), good)).toMatchObject({ user: 'ann' })
  })

  const sets = [
    {},
    [],
    { keys: {} },
    { keys: [] },
    { keys: ['text'] },
    { keys: Array(101).fill(rsa.jwk) },
    'text',
    null,
  ]
  for (const [index, set] of sets.entries()) {
    test(`a set that is none is refused: ${index + 1}`, () =>
      expect(() => verifierOf(set)).toThrow(/jwks\.json: it /))
  }

  test('two keys of one name are ambiguous', () => {
    expect(judge(verifierOf({ keys: [rsa.jwk, stranger.jwk] }), good)).toMatch(/more than one key/)
  })
})

describe('what was seen before', () => {
  test('tokens with a long common beginning are told apart', () => {
    const long = { org: 'o'.repeat(200), user: 'ann' }
    const one = goodToken(ed, { ...long, sub: 'one' })
    const two = goodToken(ed, { ...long, sub: 'two' })
    const start = [...one].findIndex((letter, index) => letter !== two[index])
    expect(judge(many, one)).toMatchObject({ user: 'one' })
    expect(judge(many, one)).toMatchObject({ user: 'one' })
    expect(judge(many, two)).toMatchObject({ user: 'two' })
    expect(judge(many, one.slice(0, start) + two.slice(start))).toMatchObject({ user: 'two' })
    expect(judge(many, `${one.slice(0, -4)}AAAA`)).toMatch(/does not fit|canonical/)
    expect(judge(many, one.slice(0, one.lastIndexOf('.') + 1))).toMatch(/not signed/)
  })
})

test('no byte of a token can be changed; whatever is accepted, jose accepts too', async () => {
  const keys = createLocalJWKSet(jwks)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ '
  await fc.assert(
    fc.asyncProperty(
      fc.nat(good.length - 1),
      fc.constantFrom(...alphabet),
      fc.constantFrom('set', 'insert', 'cut'),
      async (at, letter, how) => {
        const rest = good.slice(how === 'insert' ? at : at + 1)
        const changed = good.slice(0, at) + (how === 'cut' ? '' : letter) + rest
        const found = judge(tokens, changed)
        if (changed === good) expect(found).toMatchObject({ user: 'ann' })
        else expect(typeof found).toBe('string')
      },
    ),
    { numRuns: 500 },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.constantFrom('ES256', 'EdDSA'),
      async (claims, alg) => {
        const token = goodToken(alg === 'ES256' ? ec : ed, { ...claims, ...goodClaims() })
        const found = judge(many, token)
        await compactVerify(token, keys)
        if (typeof found !== 'string')
          await jwtVerify(token, keys, { issuer, audience, requiredClaims: ['exp'] })
      },
    ),
    { numRuns: 200 },
  )
})
