// The public keys of one issuer, read from a JSON Web Key Set (RFC 7517). A key that is not fit for signatures, too
// small, known to be weak, symmetric or private is left aside and told about; the rest of the set still counts. A token
// selects among these keys and can bring none along.

import { createPublicKey } from 'node:crypto'
import { algorithmNames, fitsKey, type AlgorithmName, type KeyMaterial } from './jwt-algorithms.ts'
import { member, readJsonObject, type JsonObject } from './jwt-json.ts'
import { isRoca } from './jwt-weak-rsa.ts'

/** Largest set that is read. */
export const keySetBytesMax = 256 * 1024
const keysMax = 100
const rsaBitsMin = 2048
const rsaBitsMax = 8192
const forOtherUse = 'not for signatures'

/** One usable key. */
export interface TokenKey extends KeyMaterial {
  readonly kid: string | null
  /** The only algorithm it may be used with; null = any that fits. */
  readonly alg: string | null
  /** All that makes it this key: a key with the same text is the same key. */
  readonly identity: string
  /** False once its set no longer holds it: what it vouched for counts no more. */
  live: boolean
}

export interface KeySet {
  readonly keys: readonly TokenKey[]
  /** Why keys were left aside that are meant for signatures, one entry a key. */
  readonly leftAside: readonly string[]
}

/**
 * Reads a key set. Keys that `previous` had too are taken over as they are, those it had alone are no longer live.
 * @throws Error whose message follows `cannot be used: `
 */
export function readKeySet(bytes: Uint8Array, previous: KeySet | null = null): KeySet {
  if (bytes.length > keySetBytesMax) throw new Error('it is larger than 256 KB')
  const root = readJsonObject(bytes)
  const listed = root === null ? undefined : member(root, 'keys')
  if (!Array.isArray(listed)) throw new Error('it is not a JSON Web Key Set: an object with a list `keys`')
  if (listed.length > keysMax) throw new Error(`it holds more than ${keysMax} keys`)
  const keys: TokenKey[] = []
  const leftAside: string[] = []
  for (const [index, each] of listed.entries()) {
    const key = readKey(each)
    // A set may hold keys for other uses beside; that is nothing to tell of.
    if (key === forOtherUse) continue
    if (typeof key === 'string') leftAside.push(`key ${index + 1}: ${key}`)
    else keys.push(previous?.keys.find((old) => old.identity === key.identity) ?? key)
  }
  if (keys.length === 0) throw new Error(['it holds no usable key', ...leftAside.slice(0, 3)].join('; '))
  for (const old of previous?.keys ?? []) old.live = keys.includes(old)
  return { keys, leftAside }
}

/** The one key for a token; a reason where there is none, or where more than one could be meant. */
export function findKey(
  set: KeySet,
  kid: string | null,
  alg: AlgorithmName,
): TokenKey | 'unknown' | 'ambiguous' {
  const named = kid === null ? set.keys : set.keys.filter((key) => key.kid === kid)
  const fitting = named.filter((key) => fitsKey(alg, key) && (key.alg === null || key.alg === alg))
  if (fitting.length > 1) return 'ambiguous'
  return fitting[0] ?? 'unknown'
}

/** The key, or why it is left aside. */
function readKey(value: unknown): TokenKey | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not an object'
  const jwk = value as JsonObject
  const [kty, crv, alg, kid] = ['kty', 'crv', 'alg', 'kid'].map((name) => member(jwk, name))
  const use = member(jwk, 'use')
  const operations = member(jwk, 'key_ops')
  if (kty === 'oct') return 'a shared secret, which is not supported'
  if (['d', 'p', 'q', 'k'].some((name) => Object.hasOwn(jwk, name)))
    return 'a private key: it must not be published'
  if (use !== undefined && use !== 'sig') return forOtherUse
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return forOtherUse
  if (kid !== undefined && typeof kid !== 'string') return 'its kid is not text'
  const shape = { kty: String(kty), curve: kty === 'RSA' ? null : String(crv) }
  const possible = algorithmNames.filter((name) => fitsKey(name, shape))
  if (possible.length === 0) return 'of a kind that is not supported'
  if (alg !== undefined && !possible.some((name) => name === alg)) return 'its alg does not go with its kind'
  const made = kty === 'RSA' ? readRsa(jwk) : readCurve(jwk, { kty: shape.kty, curve: String(crv) })
  if (typeof made === 'string') return made
  const parts = ['kty', 'crv', 'n', 'e', 'x', 'y', 'kid', 'alg'].map((name) => member(jwk, name) ?? null)
  const names = { kid: kid ?? null, alg: (alg as string | undefined) ?? null }
  return { ...made, ...names, identity: JSON.stringify(parts), live: true }
}

function readRsa(jwk: JsonObject): KeyMaterial | string {
  const [modulus, exponent] = [number(member(jwk, 'n')), number(member(jwk, 'e'))]
  if (modulus === null || exponent === null) return 'its numbers are not base64url'
  if (exponent.length > 4 || exponent.at(-1)! % 2 === 0 || (exponent.length === 1 && exponent[0]! < 3))
    return 'its exponent is not safe'
  const bits = modulus.length * 8 - Math.clz32(modulus[0]!) + 24
  if (bits < rsaBitsMin || bits > rsaBitsMax)
    return `an RSA key of ${bits} bits: ${rsaBitsMin} to ${rsaBitsMax} count`
  if (isRoca(modulus)) return 'a weak RSA key (ROCA, CVE-2017-15361)'
  const object = publicKey({ kty: 'RSA', n: text(modulus), e: text(exponent) })
  return object === null
    ? 'not a valid key'
    : { kty: 'RSA', curve: null, modulusBytes: modulus.length, object }
}

function readCurve(jwk: JsonObject, { kty, curve }: { kty: string; curve: string }): KeyMaterial | string {
  const coordinates = kty === 'EC' ? ['x', 'y'] : ['x']
  const texts: Record<string, string> = {}
  for (const name of coordinates) {
    const value = member(jwk, name)
    if (typeof value !== 'string' || Buffer.from(value, 'base64url').toString('base64url') !== value)
      return 'its point is not base64url'
    texts[name] = value
  }
  const object = publicKey({ kty, crv: curve, ...texts })
  return object === null ? 'not a valid key' : { kty, curve, modulusBytes: 0, object }
}

/** A whole number without leading zeros, as bytes; null for anything else. */
function number(value: unknown): Uint8Array | null {
  if (typeof value !== 'string' || !/^[\w-]+$/.test(value)) return null
  const bytes = Buffer.from(value, 'base64url')
  const start = bytes.findIndex((byte) => byte !== 0)
  return start < 0 ? null : bytes.subarray(start)
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

function publicKey(jwk: Record<string, string>) {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return null
  }
}
