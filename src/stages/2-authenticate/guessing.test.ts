import { expect, test } from 'bun:test'
import { parseAddress } from '../../base/address.ts'
import { createGuessing, sendersMax } from './guessing.ts'

function guessing(count: number, windowMs: number, burst?: number) {
  const clock = { now: 1000, nowMs: () => clock.now, wallMs: () => 0 }
  const kept = createGuessing({ failures: { count, windowMs }, burst }, clock)
  return { clock, at: (text: string) => kept.failed(parseAddress(text)), unknown: () => kept.failed(null) }
}

test('so many at once, then one for each share of the window', () => {
  const { clock, at } = guessing(20, 60_000, 5)
  expect(Array.from({ length: 7 }, () => at('192.0.2.1'))).toEqual([0, 0, 0, 0, 0, 3000, 3000])
  clock.now += 2999
  expect(at('192.0.2.1')).toBe(1)
  clock.now += 1
  expect([at('192.0.2.1'), at('192.0.2.1')]).toEqual([0, 3000])
  clock.now += 60_000
  expect(Array.from({ length: 6 }, () => at('192.0.2.1'))).toEqual([0, 0, 0, 0, 0, 3000])
})

test('in the long run no more than the rate, whatever is tried', () => {
  const { clock, at } = guessing(7, 1000)
  let taken = 0
  for (let step = 0; step < 10_000; step++) {
    if (at('192.0.2.1') === 0) taken++
    clock.now += 1
  }
  expect(taken).toBeWithin(75, 79)
})

test('senders are apart, and one of IPv6 is a /64', () => {
  const { at, unknown } = guessing(1, 60_000)
  expect([at('192.0.2.1'), at('192.0.2.2'), at('192.0.2.1')]).toEqual([0, 0, 60_000])
  expect([at('2001:db8::1'), at('2001:db8::2'), at('2001:db8:0:1::1')]).toEqual([0, 60_000, 0])
  expect([at('::ffff:192.0.2.2'), unknown(), unknown()]).toEqual([60_000, 0, 60_000])
})

test('beyond 100,000 senders the least recent one is forgotten', () => {
  const { at } = guessing(1, 60_000)
  const sender = (index: number) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
  for (let index = 0; index < sendersMax; index++) at(sender(index))
  expect(at(sender(0))).toBeGreaterThan(0)
  at(sender(sendersMax))
  expect(at(sender(1))).toBeGreaterThan(0)
  expect(at(sender(0))).toBe(0)
})
