// Promise: of Project Wycheproof's signature vectors every one that is marked invalid is refused, and those that are
// valid under an algorithm we support are accepted. The vectors sign payloads that are no claims, so the verifier's core
// is asked: taking a token apart, reading the key set, finding the key, checking the signature.

import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../../src/failure.ts'
import { algorithmNames, isSignedBy } from '../../src/stages/2-authenticate/jwt-algorithms.ts'
import { findKey, readKeySet } from '../../src/stages/2-authenticate/jwt-key-set.ts'
import { looksLikeToken, takeApart } from '../../src/stages/2-authenticate/jwt-shape.ts'
import { judge, verifierOf } from './verifier.ts'
import { makeSigner } from './tokens.ts'

const data = process.env['HEADGATE_TEST_DATA'] ?? join(import.meta.dir, '../../../shared/data')
const folder = join(data, 'jose')
const missing = !existsSync(folder)

interface Vector {
  readonly tcId: number
  readonly comment: string
  readonly result: 'valid' | 'invalid'
  readonly jws?: unknown
  readonly jwe?: unknown
}

interface Group {
  readonly comment: string
  readonly public?: Record<string, unknown>
  readonly private?: Record<string, unknown>
  readonly tests: readonly Vector[]
}

function groupsOf(name: string): Group[] {
  const text = readFileSync(join(folder, `${name}.json`), 'utf8')
  return (JSON.parse(text) as { testGroups: Group[] }).testGroups
}

/** Whether the core takes a token signed with one of these keys. */
function accepts(key: Record<string, unknown>, jws: unknown): boolean {
  if (typeof jws !== 'string') return false
  try {
    const parts = takeApart(jws)
    const alg = algorithmNames.find((name) => name === parts.alg)
    if (alg === undefined) return false
    const set = readKeySet(Buffer.from(JSON.stringify('keys' in key ? key : { keys: [key] })))
    const found = findKey(set, parts.kid, alg)
    return typeof found !== 'string' && isSignedBy(found, alg, parts)
  } catch (cause) {
    // Nothing else may be thrown, whatever the input.
    if (cause instanceof Failure && cause.code === 'invalid_api_key') return false
    if (cause instanceof Error && /^it (holds|is)/.test(cause.message)) return false
    throw cause
  }
}

/** HMAC is not supported; and some keys of RFC 7520 are labelled with another algorithm than the token's, or with none there is. */
function isSupported(group: Group, jws: string): boolean {
  const key = group.public ?? group.private ?? {}
  if (JSON.stringify(key).includes('"oct"')) return false
  const { alg } = JSON.parse(Buffer.from(jws.split('.')[0]!, 'base64url').toString()) as { alg: string }
  return !group.comment.startsWith('rfc7520') || key['alg'] === undefined || key['alg'] === alg
}

describe.skipIf(missing)('signatures (needs Wycheproof in $HEADGATE_TEST_DATA)', () => {
  for (const name of ['json_web_signature_test', 'json_web_key_test', 'json_web_crypto_test']) {
    test(name, () => {
      const wrong: string[] = []
      const counts = { refused: 0, accepted: 0, 'valid but not supported': 0 }
      for (const group of missing ? [] : groupsOf(name)) {
        for (const vector of group.tests.filter(({ jws }) => jws !== undefined)) {
          const taken = accepts(group.public ?? group.private!, vector.jws)
          const wanted = vector.result === 'valid' && isSupported(group, vector.jws as string)
          if (taken !== wanted) wrong.push(`${group.comment} ${vector.tcId} ${vector.comment}: ${taken}`)
          if (vector.result === 'invalid') counts.refused++
          else if (wanted) counts.accepted++
          else counts['valid but not supported']++
        }
      }
      expect(wrong).toEqual([])
      expect(counts.refused).toBeGreaterThan(20)
      expect(counts.accepted).toBeGreaterThan(0)
    })
  }

  test('no vector, valid or not, is a token of a configured issuer', () => {
    const tokens = verifierOf({ keys: [makeSigner('a').jwk] })
    let count = 0
    for (const name of ['json_web_signature_test', 'json_web_crypto_test', 'json_web_encryption_test']) {
      for (const { tests } of groupsOf(name)) {
        for (const { jws, jwe } of tests) {
          const token = jws ?? jwe
          if (typeof token !== 'string') continue
          expect(typeof judge(tokens, token)).toBe('string')
          count++
        }
      }
    }
    expect(count).toBeGreaterThan(500)
  })

  test('encrypted tokens are refused as such, valid ones too', () => {
    const tokens = verifierOf({ keys: [makeSigner('a').jwk] })
    for (const { tests } of groupsOf('json_web_encryption_test')) {
      for (const { jwe, result } of tests) {
        if (typeof jwe !== 'string' || result !== 'valid') continue
        expect(looksLikeToken(jwe)).toBe(true)
        expect(judge(tokens, jwe)).toBe('token: encrypted (JWE), which is not supported')
      }
    }
  })
})
