// JSON web tokens (RFC 7519) of the issuers in the configuration. One that was seen before costs a hash; a new one is
// checked in the same call, since checking RS256 takes 20 µs and handing it to another thread takes longer. Only where
// a token names a key that is not here yet may the answer be a promise: of the next key set. A credential with a token's
// shape is a token: it is never tried as anything else. `jose` was measured (70 µs a token, asynchronous) and does not
// refuse what we must: names said twice, odd base64, keys in the header.

import { readFileSync } from 'node:fs'
import { Finding } from '../../base/known-bytes.ts'
import type { Principal } from '../../exchange.ts'
import type { Failure } from '../../failure.ts'
import type { Authenticator } from './authenticator.ts'
import { invalidKey, unjudgedKey } from './invalid-key.ts'
import type { AlgorithmName } from './jwt-algorithms.ts'
import { isSignedBy } from './jwt-algorithms.ts'
import { TokenCache } from './jwt-cache.ts'
import { principalOf, type ClaimRules } from './jwt-claims.ts'
import { member, readJsonObject, type JsonObject } from './jwt-json.ts'
import type { JwtKeeper } from './jwt-keeper.ts'
import { findKey, readKeySet, type KeySet } from './jwt-key-set.ts'
import { looksLikeToken, takeApart, type TokenParts } from './jwt-shape.ts'

/** One issuer as configured; exactly one of `jwksUrl` and `jwksFile` is set. */
export interface IssuerOptions extends ClaimRules {
  readonly issuer: string
  readonly jwksUrl?: string | undefined
  readonly jwksFile?: string | undefined
  readonly tls: { readonly caFile: string | null }
  readonly algorithms: readonly AlgorithmName[]
  /** Ms. */
  readonly refresh: number
  /** Ms. */
  readonly stale: number
}

export interface Tokens extends Authenticator {
  /** Why tokens of some issuer are refused, or may soon be: one line an issuer. */
  troubles(): string[]
  /** Lets go of the issuers' keys. */
  close(): void
}

/** Where an issuer's keys come from. */
interface Source {
  readonly set: KeySet | null
  readonly trouble: string | null
  usable(): boolean
  newer(): Promise<void> | null
}

interface Issuer {
  readonly options: IssuerOptions
  readonly source: Source
}

/** A token whose claims are right and whose signature is still to be checked. */
interface Claimed {
  readonly parts: TokenParts
  readonly issuer: Issuer
  readonly alg: AlgorithmName
  readonly principal: Principal
}

const cacheKeys = new Finding(TokenCache.keyOf)

/** @throws Error where a key set's file cannot be used; then nothing is left running */
export function createTokens(issuers: readonly IssuerOptions[], keeper: JwtKeeper): Tokens {
  const cache = new TokenCache()
  const byName = new Map<string, Issuer>()
  const releases: (() => void)[] = []
  const close = (): void => releases.forEach((release) => release())
  try {
    for (const options of issuers)
      byName.set(options.issuer, { options, source: open(options, keeper, releases) })
  } catch (cause) {
    close()
    throw cause
  }
  const judge = (token: string, cacheKey: string): Principal | Promise<Principal> => {
    const claimed = readClaims(token, byName, keeper)
    const known = check(claimed)
    if (typeof known !== 'string') return keep(known)
    const newer = claimed.issuer.source.newer()
    if (newer === null) throw missing(known)
    return newer.then(() => {
      const found = check(claimed)
      if (typeof found === 'string') throw missing(found)
      return keep(found)
    })

    function missing(why: string): Failure {
      return claimed.issuer.source.set === null ? unjudgedKey(why) : invalidKey(why)
    }

    function keep(key: Parameters<typeof cache.add>[1]['key']): Principal {
      const { source } = claimed.issuer
      cache.add(cacheKey, { principal: claimed.principal, key, usable: () => source.usable() })
      return claimed.principal
    }
  }
  return {
    identify(credential, head = null) {
      if (byName.size === 0 || credential === null || !credential.includes('.')) return null
      const cacheKey = cacheKeys.of(head, credential)
      const known = cache.get(cacheKey, keeper.clock.nowMs())
      if (known !== null) return known
      return looksLikeToken(credential) ? judge(credential, cacheKey) : null
    },
    troubles: () =>
      [...byName.values()].flatMap(({ options, source }) =>
        source.trouble === null ? [] : [`tokens of ${options.issuer}: ${source.trouble}`],
      ),
    close,
  }
}

function readClaims(token: string, issuers: ReadonlyMap<string, Issuer>, keeper: JwtKeeper): Claimed {
  const parts = takeApart(token)
  const payload: JsonObject | null = readJsonObject(parts.payload)
  if (payload === null) throw invalidKey('token: its payload is not a JSON object with distinct names')
  const iss = member(payload, 'iss')
  const issuer = typeof iss === 'string' ? issuers.get(iss) : undefined
  if (issuer === undefined) throw invalidKey('token: of no configured issuer (iss)')
  const alg = issuer.options.algorithms.find((name) => name === parts.alg)
  if (alg === undefined)
    throw invalidKey('token: signed with an algorithm that its issuer is not configured for (alg)')
  return { parts, issuer, alg, principal: principalOf(payload, issuer.options, keeper.clock.nowMs()) }
}

/** The key that signed it, or why there may be one later. @throws Failure where newer keys would change nothing */
function check({ parts, issuer, alg }: Claimed) {
  const { source } = issuer
  const { set } = source
  if (set === null) return `token: ${source.trouble ?? 'its issuer has no keys'}`
  const key = findKey(set, parts.kid, alg)
  if (key === 'ambiguous') throw invalidKey('token: more than one key could be meant (kid)')
  if (key === 'unknown') return 'token: signed with no key of its issuer (kid)'
  if (!isSignedBy(key, alg, parts)) throw invalidKey('token: its signature does not fit')
  return key
}

function open(options: IssuerOptions, keeper: JwtKeeper, releases: (() => void)[]): Source {
  const { jwksUrl, jwksFile, tls, refresh, stale } = options
  if (jwksUrl !== undefined) {
    const { keys, release } = keeper.use({ url: jwksUrl, caFile: tls.caFile, refresh, stale })
    releases.push(release)
    return keys
  }
  try {
    const set = readKeySet(readFileSync(jwksFile!))
    return { set, trouble: null, usable: () => true, newer: () => null }
  } catch (cause) {
    throw new Error(`keys of ${options.issuer} in ${jwksFile}: ${(cause as Error).message}`)
  }
}
