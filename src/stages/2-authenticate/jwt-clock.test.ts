import { expect, test } from 'bun:test'
import { HandClock } from '../../../test/jwt/verifier.ts'
import { TokenClock } from './jwt-clock.ts'

const minute = 60_000
const hour = 60 * minute
const start = 1_800_000_000_000

function clocks() {
  const hands = new HandClock(start)
  return { hands, clock: new TokenClock(hands) }
}

test('in ordinary times it is the wall clock, small corrections included', () => {
  const { hands, clock } = clocks()
  for (let step = 0; step < 100; step++) {
    hands.pass(minute)
    hands.shownMs += step % 2 === 0 ? 3_000 : -2_000
    expect(clock.nowMs()).toBe(hands.shownMs)
  }
})

test('a wall clock set back does not turn time back', () => {
  for (const backMs of [6_000, hour, 30 * hour]) {
    const { hands, clock } = clocks()
    hands.shownMs -= backMs
    expect(clock.nowMs()).toBe(start)
    hands.pass(59 * minute)
    expect(clock.nowMs()).toBe(start + 59 * minute)
  }
})

test('one that keeps its new time for an hour is trusted anew', () => {
  const { hands, clock } = clocks()
  hands.shownMs -= 2 * hour
  clock.nowMs()
  hands.pass(hour)
  expect(clock.nowMs()).toBe(start - hour)
})

test('one that jumps again begins its hour anew', () => {
  const { hands, clock } = clocks()
  hands.shownMs -= hour
  clock.nowMs()
  hands.pass(59 * minute)
  hands.shownMs -= hour
  clock.nowMs()
  hands.pass(59 * minute)
  expect(clock.nowMs()).toBe(start + 118 * minute)
})

test('one that jumps ahead is followed at once, and back again', () => {
  const { hands, clock } = clocks()
  hands.shownMs += hour
  expect(clock.nowMs()).toBe(start + hour)
  hands.pass(minute)
  hands.shownMs -= hour
  expect(clock.nowMs()).toBe(start + minute)
})
