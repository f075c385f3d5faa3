// Tokens for tests, made by hand: a library would refuse to make most of them.

import { constants, createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'

export interface Signer {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** Its public part as an entry of a key set. */
  readonly jwk: Record<string, unknown>
}

const bits = 2048
const curves: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

/** A new key for an algorithm. `more`: other members of its JWK. */
export function makeSigner(kid: string, alg = 'RS256', more: Record<string, unknown> = {}): Signer {
  const { publicKey, privateKey } = makePair(alg)
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig', ...more }
  return { kid, alg, privateKey, publicKey, jwk }
}

function makePair(alg: string): { publicKey: KeyObject; privateKey: KeyObject } {
  if (alg in curves) return generateKeyPairSync('ec', { namedCurve: curves[alg]! })
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: bits })
}

export function encode(value: unknown): string {
  const bytes = typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value)
  return Buffer.from(bytes as string).toString('base64url')
}

/** Signature over any text with any algorithm, whether or not the key is meant for it. */
export function signText(text: string, alg: string, key: KeyObject | Uint8Array): Buffer {
  const hash = `sha${alg.slice(2)}`
  if (key instanceof Uint8Array) return createHmac(hash, key).update(text).digest()
  if (alg.startsWith('ES')) return sign(hash, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  if (alg === 'EdDSA') return sign(null, Buffer.from(text), key)
  if (alg.startsWith('RS')) return sign(hash, Buffer.from(text), key)
  const saltLength = Number(alg.slice(2)) / 8
  return sign(hash, Buffer.from(text), { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
}

/** A token of any header and payload (objects, or texts taken as they are), signed as the header would have it. */
export function forge(header: unknown, payload: unknown, signer: Signer): string {
  const text = `${encode(header)}.${encode(payload)}`
  const alg = (header as { alg?: unknown } | null)?.alg
  const known = typeof alg === 'string' && /^(RS|PS|ES)(256|384|512)$|^EdDSA$/.test(alg)
  const fits =
    known &&
    (alg === 'EdDSA' ? 'ed25519' : alg.startsWith('ES') ? 'ec' : 'rsa') ===
      signer.privateKey.asymmetricKeyType
  return `${text}.${signText(text, fits ? alg : signer.alg, signer.privateKey).toString('base64url')}`
}

export const issuer = 'https://idp.test'
export const audience = 'headgate'

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

/** Claims of a good token. */
export function goodClaims(more: Record<string, unknown> = {}): Record<string, unknown> {
  const at = nowSeconds()
  return { iss: issuer, aud: audience, sub: 'ann', org: 'core', iat: at, exp: at + 600, ...more }
}

/** A good token of a signer. */
export function goodToken(signer: Signer, claims: Record<string, unknown> = {}): string {
  return forge({ alg: signer.alg, kid: signer.kid, typ: 'JWT' }, goodClaims(claims), signer)
}
