import { expect, test } from 'bun:test'
import type { Failure } from '../../failure.ts'
import { principalOf, type ClaimRules } from './jwt-claims.ts'

const nowMs = 1_800_000_000_000
const at = nowMs / 1000
const rules: ClaimRules = {
  audience: ['gate'],
  claims: {},
  required: [],
  clockTolerance: 30_000,
  revoked: [],
}

function read(payload: Record<string, unknown>, more: Partial<ClaimRules> = {}) {
  try {
    return principalOf({ aud: 'gate', exp: at + 60, ...payload }, { ...rules, ...more }, nowMs)
  } catch (cause) {
    return (cause as Failure).detail
  }
}

test('claims become the principal; what is not mapped or missing is null', () => {
  const claims = {
    user: 'sub',
    team: 'realm.team',
    app: 'https://x.test/app.name',
    env: 'none',
    models: 'm',
    endpoints: 'e',
  }
  const payload = {
    sub: 'ann',
    realm: { team: 'core' },
    'https://x.test/app.name': 'web',
    m: ['gpt-4o*'],
    e: 'models  chat.completions',
  }
  expect(read(payload, { claims })).toEqual({
    kind: 'jwt',
    key: null,
    keyId: null,
    user: 'ann',
    team: 'core',
    app: 'web',
    env: null,
    models: ['gpt-4o*'],
    endpoints: ['models', 'chat.completions'],
    addresses: null,
    userAgents: null,
    mayName: false,
    expiresAtMs: nowMs + 90_000,
  })
  expect(read({ sub: 'ann' })).toMatchObject({ user: null, models: null })
})

test('an empty list allows nothing', () => {
  for (const models of [[], '', '  '])
    expect(read({ models }, { claims: { models: 'models' } })).toMatchObject({ models: [] })
})

test('lists of the wrong kind are refused', () => {
  for (const models of [7, null, {}, [7], [''], ['a\n'], [['a']], Array(257).fill('a')])
    expect(read({ models }, { claims: { models: 'models' } })).toBe(
      'token: the claim for models is of the wrong kind',
    )
})

test('a path leads through objects only, and never to what every object has', () => {
  for (const team of [
    'a.b',
    'list.0',
    'list.length',
    'text.length',
    'toString',
    '__proto__',
    'a.constructor.name',
  ])
    expect(read({ list: ['x'], text: 'x', a: {} }, { claims: { team } })).toMatchObject({ team: null })
})

test('a required claim must be there', () => {
  const both: Partial<ClaimRules> = { claims: { team: 'org' }, required: ['team'] }
  expect(read({ org: 'core' }, both)).toMatchObject({ team: 'core' })
  expect(read({}, both)).toBe('token: has no claim for team, which is required')
})

test('the tolerance holds to the millisecond, both ways', () => {
  expect(read({ exp: at - 29.999 })).toMatchObject({ kind: 'jwt' })
  expect(read({ exp: at - 30 })).toBe('token: expired')
  expect(read({ nbf: at + 30, iat: at + 30 })).toMatchObject({ kind: 'jwt' })
  expect(read({ nbf: at + 30.1 })).toBe('token: not valid yet (nbf)')
  expect(read({ iat: at + 30.1 })).toBe('token: issued in the future (iat)')
  expect(read({ exp: at }, { clockTolerance: 0 })).toBe('token: expired')
})

test('maxAge ends a token before its exp, and needs iat', () => {
  const maxAge = 3_600_000
  expect(read({ iat: at - 3_629, exp: at + 9_999 }, { maxAge })).toMatchObject({ expiresAtMs: nowMs + 1_000 })
  expect(read({ iat: at - 3_631, exp: at + 9_999 }, { maxAge })).toBe('token: too old (maxAge)')
  expect(read({}, { maxAge })).toMatch(/iat/)
})

test('a revoked id counts no more', () => {
  expect(read({ jti: 'a' }, { revoked: ['b'] })).toMatchObject({ kind: 'jwt' })
  expect(read({ jti: 'b' }, { revoked: ['b'] })).toBe('token: revoked (jti)')
})
