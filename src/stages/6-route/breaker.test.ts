import { expect, test } from 'bun:test'
import { Breaker } from './breaker.ts'
import type { BreakerShare, ShutOff } from './breaker-share.ts'
import { AccountMemory } from './health.ts'

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

/** Gateways that hear each other; `claims`: whether the probe is given. */
function shared(count: number, claims: () => boolean = () => true) {
  const ears: ((change: ShutOff) => void)[] = []
  const state = { up: true, claimed: 0, learned: 0, told: [] as ShutOff[] }
  const gates = Array.from({ length: count }, (_, index) => {
    const memory = new AccountMemory()
    const share: BreakerShare = {
      get up() {
        return state.up
      },
      tell: (change) => {
        state.told.push(change)
        ears.forEach((hear, at) => at !== index && hear(change))
      },
      listen: (hear) => void ears.push(hear),
      learn: () => void state.learned++,
      claim: () => {
        state.claimed++
        return Promise.resolve(claims())
      },
    }
    // Each machine has a monotonic clock of its own.
    const clock = { nowMs: () => 1000 + 500_000 * index, wallMs: () => 0 }
    memory.shareOver(share, clock)
    memory.of('main')
    return memory
  })
  return { gates, state }
}

test('gateways share breakers: what opens at one opens at the others, for the rest of the time', () => {
  const { gates, state } = shared(2)
  const [one, other] = gates as [AccountMemory, AccountMemory]
  const mine = one.of('main').model('gpt')
  for (let count = 0; count < 3; count++) mine.breaker.failed(1000, rules)
  mine.breakerMoved()
  const { breaker } = other.of('main').model('gpt')
  expect([breaker.state(515_999), breaker.state(516_000)]).toEqual(['open', 'half-open'])
  expect(other.of('main').model('other').breaker.state(501_000)).toBe('closed')
  // The next failure there waits for twice as long, as it would have here.
  breaker.failed(516_000, rules)
  expect([breaker.state(545_999), breaker.state(546_000)]).toEqual(['open', 'half-open'])
  mine.breaker.succeeded()
  mine.breakerMoved()
  expect(breaker.state(501_000)).toBe('closed')
  expect(state.told.map(({ forMs }) => forMs)).toEqual([15_000, 0])
})

test('one gateway alone probes: whoever has the claim, and each on its own where nobody can be asked', async () => {
  const given = [false, true]
  const { gates, state } = shared(1, () => given.shift()!)
  const model = gates[0]!.of('main').model('gpt')
  for (let count = 0; count < 3; count++) model.breaker.failed(1000, rules)
  expect([model.allows(15_999), state.claimed]).toEqual([false, 0])
  // Asked for once; until there is an answer, and where it is another's, nobody here probes.
  expect([model.allows(16_000), model.allows(16_001), state.claimed]).toEqual([false, false, 1])
  await Promise.resolve()
  expect([model.allows(16_999), state.claimed]).toEqual([false, 1])
  expect([model.allows(17_000), state.claimed]).toEqual([false, 2])
  state.up = false
  expect(model.allows(17_001)).toBe(true)
})

test('the claim that was given lets one request probe', async () => {
  const { gates, state } = shared(1)
  const model = gates[0]!.of('main').model('gpt')
  model.breaker.openUntil(900)
  expect(model.allows(1000)).toBe(false)
  await Promise.resolve()
  expect([model.allows(1001), state.claimed]).toEqual([true, 1])
  model.breaker.asked(1001)
  expect(model.allows(1002)).toBe(false)
})

test('a spent quota is shared, once; what is heard of accounts that are not ours is not kept', () => {
  const { gates, state } = shared(2)
  const [one, other] = gates as [AccountMemory, AccountMemory]
  for (const untilMs of [61_000, 61_000, 61_500]) one.of('main').empty(untilMs, 1000)
  expect(state.told).toHaveLength(1)
  expect(other.of('main').emptyUntilMs).toBe(561_000)
  one.of('strange').empty(61_000, 1000)
  expect(other.of('strange').emptyUntilMs).toBe(0)
  // Now that it is ours, the others are asked what they know.
  expect(state.learned).toBe(4)
})

test('nobody shuts an account off for longer than an hour', () => {
  const { gates } = shared(2)
  const [one, other] = gates as [AccountMemory, AccountMemory]
  one.of('main').empty(7 * 86_400_000, 1000)
  expect(other.of('main').emptyUntilMs).toBe(501_000 + 3_600_000)
})

test('models that are told apart have a bound', () => {
  const account = new AccountMemory().of('main')
  for (let count = 0; count < 1000; count++) account.model(`made-up-${count}`)
  expect(account.models.size).toBeLessThanOrEqual(257)
  expect(account.model('another')).toBe(account.model('yet another'))
})
