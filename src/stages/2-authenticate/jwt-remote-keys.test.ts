// The schedule of fetches, with a clock set by hand; what happens over a real connection is test/gateway/jwt.test.ts.

import { expect, test } from 'bun:test'
import { HandClock } from '../../../test/jwt/verifier.ts'
import { makeSigner } from '../../../test/jwt/tokens.ts'
import { RemoteKeys } from './jwt-remote-keys.ts'

const one = makeSigner('one', 'ES256')
const two = makeSigner('two', 'ES256')
const minute = 60_000

/** Keys whose issuer answers what `serves` says; a timer never fires, only `newer` does. */
function remote(more: { refresh?: number; stale?: number } = {}) {
  const clock = new HandClock()
  const told: string[] = []
  const state = { fetches: 0, serves: [one.jwk] as unknown[] | null }
  const fetch = async () => {
    state.fetches++
    await Promise.resolve()
    if (state.serves === null) throw new Error('connect ECONNREFUSED')
    return Buffer.from(JSON.stringify({ keys: state.serves }))
  }
  const options = { name: 'https://idp.test/jwks', refresh: 5 * minute, stale: 60 * minute, ...more }
  const keys = new RemoteKeys(options, {
    clock,
    tell: (level, text) => void told.push(`${level} ${text}`),
    fetch,
  })
  return { clock, told, state, keys }
}

test('ten thousand unknown keys are one fetch', async () => {
  const { keys, state } = remote()
  keys.start()
  await keys.newer()
  expect(state.fetches).toBe(1)
  const waits = Array.from({ length: 10_000 }, () => keys.newer()).filter((wait) => wait !== null)
  expect(waits).toHaveLength(1_000)
  await Promise.all(waits)
  for (let index = 0; index < 10_000; index++) expect(keys.newer()).toBeNull()
  expect(state.fetches).toBe(2)
  keys.close()
})

test('an unknown key may ask again an interval later', async () => {
  const { clock, keys, state } = remote()
  keys.start()
  await keys.newer()
  await keys.newer()
  clock.pass(5 * minute - 1)
  expect(keys.newer()).toBeNull()
  clock.pass(1)
  expect(keys.newer()).not.toBeNull()
  expect(state.fetches).toBe(3)
  keys.close()
})

test('the last good keys are used while the issuer is away, up to the bound', async () => {
  const { clock, keys, state, told } = remote()
  keys.start()
  await keys.newer()
  state.serves = null
  await keys.newer()
  expect(keys.trouble).toBe('its keys at https://idp.test/jwks cannot be fetched: connect ECONNREFUSED')
  clock.pass(65 * minute - 1)
  expect(keys.set?.keys.map(({ kid }) => kid)).toEqual(['one'])
  clock.pass(1)
  expect(keys.set).toBeNull()
  expect(told).toEqual([expect.stringMatching(/^warn .* The last good ones are used, for 65m at most/)])
  state.serves = [one.jwk]
  await keys.newer()
  expect(keys.set).not.toBeNull()
  expect(keys.trouble).toBeNull()
  expect(told.at(-1)).toMatch(/^info .* all is well$/)
  keys.close()
})

test('answers that are no key set leave the last good keys in force', async () => {
  const { clock, keys, state } = remote()
  keys.start()
  await keys.newer()
  for (const serves of [[], ['text'], [{ kty: 'oct', k: 'AAAA' }]]) {
    state.serves = serves
    clock.pass(5 * minute)
    await keys.newer()
    expect(keys.set?.keys).toHaveLength(1)
    expect(keys.trouble).toMatch(/cannot be used: it holds no usable key/)
  }
  keys.close()
})

test('a shorter interval is kept from now on, a longer one makes no fetch', async () => {
  const { keys, state } = remote({ refresh: 24 * 60 * minute })
  const options = { name: 'https://idp.test/jwks', stale: 0 }
  keys.start()
  await keys.newer()
  keys.reconfigure({ ...options, refresh: 48 * 60 * minute })
  expect(state.fetches).toBe(1)
  keys.reconfigure({ ...options, refresh: minute })
  expect(state.fetches).toBe(2)
  await keys.newer()
  keys.close()
})

test('a key that is dropped is dead, one that stays is the same object', async () => {
  const { clock, keys, state } = remote()
  state.serves = [one.jwk, two.jwk]
  keys.start()
  await keys.newer()
  const before = keys.set!.keys
  state.serves = [two.jwk]
  clock.pass(5 * minute)
  await keys.newer()
  expect(before.map(({ live }) => live)).toEqual([false, true])
  expect(keys.set!.keys[0]).toBe(before[1])
  keys.close()
})
