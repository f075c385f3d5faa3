// The algorithms a token may be signed with (RFC 7518 section 3, RFC 8037), each with the one kind of key it goes with.
// HMAC is left out on purpose: with it whoever can check a token can also make one, and a public key taken for a shared
// secret is the oldest forgery of tokens there is.

import { constants, verify, type KeyObject } from 'node:crypto'

interface Algorithm {
  readonly kty: 'RSA' | 'EC' | 'OKP'
  /** `crv` of the key; null for RSA. */
  readonly curve: string | null
  /** Null where the algorithm has its own. */
  readonly hash: string | null
  /** Bytes of the salt of RSA-PSS; null for PKCS #1 v1.5 and others. */
  readonly saltBytes: number | null
  /** Exact length of a signature; null = that of the modulus. */
  readonly signatureBytes: number | null
}

const rsa = (hash: string, saltBytes: number | null): Algorithm => ({
  kty: 'RSA',
  curve: null,
  hash,
  saltBytes,
  signatureBytes: null,
})
const ec = (curve: string, hash: string, signatureBytes: number): Algorithm => ({
  kty: 'EC',
  curve,
  hash,
  saltBytes: null,
  signatureBytes,
})

const table = {
  RS256: rsa('sha256', null),
  RS384: rsa('sha384', null),
  RS512: rsa('sha512', null),
  PS256: rsa('sha256', 32),
  PS384: rsa('sha384', 48),
  PS512: rsa('sha512', 64),
  ES256: ec('P-256', 'sha256', 64),
  ES384: ec('P-384', 'sha384', 96),
  ES512: ec('P-521', 'sha512', 132),
  EdDSA: { kty: 'OKP', curve: 'Ed25519', hash: null, saltBytes: null, signatureBytes: 64 },
} as const satisfies Record<string, Algorithm>

/** An algorithm an issuer may be configured for. */
export type AlgorithmName = keyof typeof table

export const algorithmNames = Object.keys(table) as [AlgorithmName, ...AlgorithmName[]]

/** A public key and what it is, as its set says. */
export interface KeyMaterial {
  readonly kty: string
  /** `crv`; null for RSA. */
  readonly curve: string | null
  /** Bytes of an RSA modulus; 0 for others. */
  readonly modulusBytes: number
  readonly object: KeyObject
}

/** Whether signatures of this algorithm can be checked with this kind of key. */
export function fitsKey(name: AlgorithmName, key: Pick<KeyMaterial, 'kty' | 'curve'>): boolean {
  return table[name].kty === key.kty && table[name].curve === key.curve
}

/**
 * Whether `signature` is the key's over `signed`. Synchronous on purpose: 20 µs for RS256, where the asynchronous way
 * takes longer to get going than that.
 */
export function isSignedBy(
  key: KeyMaterial,
  name: AlgorithmName,
  token: { readonly signed: Uint8Array; readonly signature: Uint8Array },
): boolean {
  const algorithm: Algorithm = table[name]
  if (!fitsKey(name, key)) return false
  if (token.signature.length !== (algorithm.signatureBytes ?? key.modulusBytes)) return false
  // Zero is no ECDSA signature. The library knows that; a mistake there has opened every door before (CVE-2022-21449).
  if (algorithm.kty === 'EC' && token.signature.every((byte) => byte === 0)) return false
  const how = { key: key.object, ...paddingOf(algorithm) }
  try {
    return verify(algorithm.hash, token.signed, how, token.signature)
  } catch {
    return false
  }
}

function paddingOf({ kty, saltBytes }: Algorithm) {
  if (kty === 'EC') return { dsaEncoding: 'ieee-p1363' as const }
  if (kty === 'OKP') return {}
  if (saltBytes === null) return { padding: constants.RSA_PKCS1_PADDING }
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: saltBytes }
}
