// What a token says, checked and turned into a principal. Who issued it, whom it is for and until when are required;
// what the configuration maps may be missing (then it is null), but where it is there it must be of the right kind.

import { nobody, type Principal } from '../../exchange.ts'
import { invalidKey } from './invalid-key.ts'
import { member, type JsonObject } from './jwt-json.ts'

/** Fields of a principal that a claim can fill. */
export const mappedFields = ['user', 'team', 'app', 'env', 'models', 'endpoints'] as const
export type MappedField = (typeof mappedFields)[number]

/** What an issuer's tokens must say, and what is read from them. */
export interface ClaimRules {
  /** Who they are for: one of these. */
  readonly audience: readonly string[]
  /** Path of the claim behind each field, such as `sub` or `realm.team`. */
  readonly claims: { readonly [field in MappedField]?: string | undefined }
  /** Fields whose claim must be there. */
  readonly required: readonly MappedField[]
  /** How far the issuer's clock may be off, ms. */
  readonly clockTolerance: number
  /** Longest time since it was issued, ms; then `iat` is required. */
  readonly maxAge?: number | undefined
  /** Ids (`jti`) of tokens that count no more. */
  readonly revoked: readonly string[]
}

/** Far enough for any date, near enough for exact arithmetic: the end of the year 9999. */
const secondsMax = 253_402_300_799
const listMax = 256
const oneLine = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,256}$/

/**
 * The principal behind a token of this issuer. `nowMs` is wall time. `expiresAtMs` of the result includes the tolerance.
 * @throws Failure('invalid_api_key')
 */
export function principalOf(payload: JsonObject, rules: ClaimRules, nowMs: number): Principal {
  checkAudience(member(payload, 'aud'), rules.audience)
  const expiresAtMs = checkTimes(payload, rules, nowMs)
  const jti = member(payload, 'jti')
  if (jti !== undefined && typeof jti !== 'string') throw invalidKey('token: its jti is not text')
  if (jti !== undefined && rules.revoked.includes(jti)) throw invalidKey('token: revoked (jti)')
  const text = (field: MappedField) => mapped(payload, rules, { field, read: readText }) as string | null
  const names = (field: MappedField) =>
    mapped(payload, rules, { field, read: readNames }) as readonly string[] | null
  return {
    ...nobody,
    kind: 'jwt',
    user: text('user'),
    team: text('team'),
    app: text('app'),
    env: text('env'),
    ...issuerOf(payload),
    models: names('models'),
    endpoints: names('endpoints'),
    addresses: null,
    userAgents: null,
    expiresAtMs,
  }
}

function checkAudience(value: unknown, audience: readonly string[]): void {
  const named: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (!named.every((each) => typeof each === 'string')) throw invalidKey('token: names no audience (aud)')
  if (!named.some((each) => audience.includes(each)))
    throw invalidKey('token: meant for another audience (aud)')
}

/** When it ends, in ms. */
function checkTimes(payload: JsonObject, rules: ClaimRules, nowMs: number): number {
  const { clockTolerance, maxAge } = rules
  const [exp, nbf, iat] = ['exp', 'nbf', 'iat'].map((name) => moment(payload, name))
  if (exp === null || exp === undefined) throw invalidKey('token: has no expiry (exp)')
  if (nbf != null && nbf > nowMs + clockTolerance) throw invalidKey('token: not valid yet (nbf)')
  if (iat != null && iat > nowMs + clockTolerance) throw invalidKey('token: issued in the future (iat)')
  let endsAtMs = exp
  if (maxAge !== undefined) {
    if (iat == null) throw invalidKey('token: does not say when it was issued (iat), and maxAge is set')
    endsAtMs = Math.min(endsAtMs, iat + maxAge)
  }
  endsAtMs += clockTolerance
  if (nowMs >= endsAtMs)
    throw invalidKey(exp + clockTolerance <= nowMs ? 'token: expired' : 'token: too old (maxAge)')
  return endsAtMs
}

/** A NumericDate of RFC 7519 in ms; fractions are allowed there. Null where it is missing. */
function moment(payload: JsonObject, name: string): number | null {
  const value = member(payload, name)
  if (value === undefined) return null
  if (typeof value !== 'number' || !(value >= 0 && value <= secondsMax))
    throw invalidKey(`token: its ${name} is not a moment`)
  return value * 1000
}

interface Reading {
  readonly field: MappedField
  /** Undefined where the value is of the wrong kind. */
  readonly read: (value: unknown) => unknown
}

function mapped(payload: JsonObject, rules: ClaimRules, { field, read }: Reading): unknown {
  const path = rules.claims[field]
  const value = path === undefined ? undefined : valueAt(payload, path)
  if (value === undefined) {
    if (rules.required.includes(field))
      throw invalidKey(`token: has no claim for ${field}, which is required`)
    return null
  }
  const found = read(value)
  if (found === undefined) throw invalidKey(`token: the claim for ${field} is of the wrong kind`)
  return found
}

/** The claim at a path. A name that itself holds dots, such as a URL, is taken whole where it is there. */
function valueAt(payload: JsonObject, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path]
  let value: unknown = payload
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    value = member(value as JsonObject, step)
  }
  return value
}

function readText(value: unknown): string | undefined {
  return typeof value === 'string' && oneLine.test(value) && value.isWellFormed() ? value : undefined
}

/** A list of names, or one text with spaces between them, as `scope` has it. An empty one allows nothing. */
function readNames(value: unknown): readonly string[] | undefined {
  const names: readonly unknown[] | null =
    typeof value === 'string'
      ? value.split(' ').filter((name) => name !== '')
      : Array.isArray(value)
        ? value
        : null
  if (names === null || names.length > listMax) return undefined
  return names.every((name) => readText(name) !== undefined) ? (names as readonly string[]) : undefined
}

function issuerOf(payload: Parameters<typeof member>[0]): { issuer?: string } {
  const issuer = member(payload, 'iss')
  return typeof issuer === 'string' ? { issuer } : {}
}
