import { expect, test } from 'bun:test'
import { Breaker } from './breaker.ts'
import { AccountMemory, type BreakerShare } from './health.ts'

const rules = { failures: 3, window: 30_000, cooldown: 15_000 }

test('failures within the window open it, older ones do not', () => {
  const breaker = new Breaker()
  expect([breaker.failed(0, rules), breaker.failed(20_000, rules), breaker.failed(40_000, rules)]).toEqual([
    false,
    false,
    false,
  ])
  expect(breaker.state(40_000)).toBe('closed')
  expect(breaker.failed(45_000, rules)).toBe(true)
  expect(breaker.state(45_000)).toBe('open')
  expect(breaker.allows(59_999)).toBe(false)
})

test('after the cooldown one probe passes; its outcome decides, and each failure doubles the wait', () => {
  const breaker = new Breaker()
  for (let count = 0; count < 3; count++) breaker.failed(count, rules)
  let openedAtMs = 2
  for (const times of [1, 2, 4, 8, 8]) {
    const dueAtMs = openedAtMs + 15_000 * times
    expect(breaker.allows(dueAtMs - 1)).toBe(false)
    expect([breaker.allows(dueAtMs), breaker.state(dueAtMs)]).toEqual([true, 'half-open'])
    breaker.asked(dueAtMs)
    expect(breaker.allows(dueAtMs + 1)).toBe(false)
    expect(breaker.failed(dueAtMs + 100, rules)).toBe(true)
    openedAtMs = dueAtMs + 100
  }
  const dueAtMs = openedAtMs + 120_000
  breaker.asked(dueAtMs)
  expect([breaker.succeeded(), breaker.succeeded()]).toEqual([true, false])
  expect([breaker.state(dueAtMs), breaker.allows(dueAtMs), breaker.doubted(dueAtMs)]).toEqual([
    'closed',
    true,
    false,
  ])
})

test('a probe that tells nothing, or never comes back, lets the next one through', () => {
  const breaker = new Breaker()
  for (let count = 0; count < 3; count++) breaker.failed(0, rules)
  breaker.asked(15_000)
  expect(breaker.allows(15_001)).toBe(false)
  breaker.nothing()
  expect(breaker.allows(15_001)).toBe(true)
  breaker.asked(15_001)
  expect(breaker.allows(80_000)).toBe(true)
})

test('one failure is doubt: others are preferred for a moment, longer with each', () => {
  const breaker = new Breaker()
  breaker.failed(0, rules)
  expect([breaker.allows(0), breaker.doubted(999), breaker.doubted(1000)]).toEqual([true, true, false])
  breaker.failed(1000, rules)
  expect([breaker.doubted(4999), breaker.doubted(5000)]).toEqual([true, false])
})

test('gateways share breakers: what opens at one opens at the others, for the rest of the time', () => {
  const heard: ((change: { account: string; model: string; openForMs: number }) => void)[] = []
  const share: BreakerShare = {
    tell: (change) => heard.forEach((hear) => hear(change)),
    listen: (hear) => void heard.push(hear),
  }
  const [one, other] = [new AccountMemory(), new AccountMemory()]
  // Each machine has a monotonic clock of its own.
  one.shareOver(share, { nowMs: () => 1000, wallMs: () => 0 })
  other.shareOver(share, { nowMs: () => 500_000, wallMs: () => 0 })
  one.of('main').model('gpt').told('opened', 16_000)
  const { breaker } = other.of('main').model('gpt')
  expect([breaker.state(514_999), breaker.state(515_000)]).toEqual(['open', 'half-open'])
  expect(other.of('main').model('other').breaker.state(500_000)).toBe('closed')
  one.of('main').model('gpt').told('closed', 0)
  expect(breaker.state(500_000)).toBe('closed')
})

test('models that are told apart have a bound', () => {
  const account = new AccountMemory().of('main')
  for (let count = 0; count < 1000; count++) account.model(`made-up-${count}`)
  expect(account.models.size).toBeLessThanOrEqual(257)
  expect(account.model('another')).toBe(account.model('yet another'))
})
