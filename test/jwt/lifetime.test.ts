// Promise: a token counts from when it is issued until it expires and not a moment longer, seen before or not, whatever
// becomes of the machine's clock.

import { describe, expect, test } from 'bun:test'
import { JwtKeeper } from '../../src/stages/2-authenticate/jwt-keeper.ts'
import { goodToken, makeSigner } from './tokens.ts'
import { HandClock, judge, verifierOf } from './verifier.ts'

const signer = makeSigner('one', 'ES256')
const jwks = { keys: [signer.jwk] }
const options = { algorithms: ['ES256'] as const }
const good = { kind: 'jwt', user: 'ann' }
const hour = 3_600_000

/** A verifier, a clock at a whole second, and a token that holds for ten minutes from then. */
function setting() {
  const clock = new HandClock(Math.floor(Date.now() / 1000) * 1000)
  const at = clock.shownMs / 1000
  const token = goodToken(signer, { iat: at, exp: at + 600 })
  return { clock, at, token, tokens: verifierOf(jwks, options, clock) }
}

test('one that was seen before ends when it expires', () => {
  const { clock, token, tokens } = setting()
  for (let step = 0; step < 10; step++) {
    expect(judge(tokens, token)).toMatchObject(good)
    clock.pass(60_000)
  }
  clock.pass(29_999)
  expect(judge(tokens, token)).toMatchObject(good)
  clock.pass(1)
  expect(judge(tokens, token)).toBe('token: expired')
})

describe('a wall clock that is set back', () => {
  test.each([60_000, hour, 100 * hour])('does not make an expired token good: %d ms', (backMs) => {
    const { clock, token, tokens } = setting()
    clock.pass(700_000)
    expect(judge(tokens, token)).toBe('token: expired')
    clock.shownMs -= backMs
    expect(judge(tokens, token)).toBe('token: expired')
    clock.pass(59 * 60_000)
    expect(judge(tokens, token)).toBe('token: expired')
  })

  test('does not lengthen the life of one that was seen before', () => {
    const { clock, token, tokens } = setting()
    expect(judge(tokens, token)).toMatchObject(good)
    clock.shownMs -= hour
    expect(judge(tokens, token)).toMatchObject(good)
    clock.pass(630_000)
    expect(judge(tokens, token)).toBe('token: expired')
  })

  test('locks nobody out: fresh tokens still count', () => {
    const { clock, at, tokens } = setting()
    clock.shownMs -= hour
    for (let minute = 0; minute < 59; minute++) {
      expect(
        judge(tokens, goodToken(signer, { iat: at + minute * 60, exp: at + minute * 60 + 300 })),
      ).toMatchObject(good)
      clock.pass(60_000)
    }
  })
})

test('one that jumps ahead and back refuses for no longer than it was ahead', () => {
  const { clock, token, tokens } = setting()
  clock.shownMs += hour
  expect(judge(tokens, token)).toBe('token: expired')
  clock.shownMs -= hour
  expect(judge(tokens, token)).toMatchObject(good)
})

test('a reload does not trust a clock that has just been set back', () => {
  const { clock, token } = setting()
  const keeper = new JwtKeeper({ clock, tell: () => {} })
  expect(judge(verifierOf(jwks, options, clock, keeper), token)).toMatchObject(good)
  clock.pass(700_000)
  clock.shownMs -= hour
  expect(judge(verifierOf(jwks, options, clock, keeper), token)).toBe('token: expired')
})
