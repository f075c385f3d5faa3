import { expect, test } from 'bun:test'
import { nobody } from '../../exchange.ts'
import { TokenCache, type KnownToken } from './jwt-cache.ts'
import type { TokenKey } from './jwt-key-set.ts'

const key = () => ({ live: true }) as TokenKey

function known(expiresAtMs: number, more: Partial<KnownToken> = {}): KnownToken {
  return { principal: { ...nobody, kind: 'jwt', expiresAtMs }, key: key(), usable: () => true, ...more }
}

test('a token counts until the moment it expires, and is forgotten then', () => {
  const cache = new TokenCache()
  cache.add('a', known(1_000))
  expect(cache.get('a', 999)).toMatchObject({ kind: 'jwt' })
  expect(cache.get('a', 1_000)).toBeNull()
  expect(cache.get('a', 999)).toBeNull()
})

test('a token goes with the key that signed it, and with the right to use its issuer’s keys', () => {
  const cache = new TokenCache()
  const signing = key()
  let usable = true
  cache.add('a', known(1_000, { key: signing }))
  cache.add('b', known(1_000, { usable: () => usable }))
  expect(cache.get('a', 0)).not.toBeNull()
  expect(cache.get('b', 0)).not.toBeNull()
  signing.live = false
  usable = false
  expect(cache.get('a', 0)).toBeNull()
  expect(cache.get('b', 0)).toBeNull()
})

test('it holds 10,000 at most, and keeps those that are asked for', () => {
  const cache = new TokenCache()
  cache.add('mine', known(1_000))
  for (let index = 0; index < 50_000; index++) {
    cache.add(String(index), known(1_000))
    if (index % 1_000 === 0) expect(cache.get('mine', 0)).not.toBeNull()
    expect(cache.size).toBeLessThanOrEqual(10_001)
  }
  expect(cache.size).toBeLessThanOrEqual(10_000)
  expect(cache.get('1', 0)).toBeNull()
  expect(cache.get('49999', 0)).not.toBeNull()
})

test('what it keeps a token under tells nothing of it', () => {
  const name = TokenCache.keyOf('eyJhbGciOiJSUzI1NiJ9.e30.AAAA')
  expect(name).toHaveLength(44)
  expect(name).not.toBe(TokenCache.keyOf('eyJhbGciOiJSUzI1NiJ9.e30.AAAB'))
})
