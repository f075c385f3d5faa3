// The contract of pickers, which all kinds pass: only what is usable is picked, something is picked where anything is, and
// nothing is written but where the rotation stands. Then what each promises by itself.

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { systemClock } from '../../base/clock.ts'
import { usualBreaker } from './breaker.ts'
import { Choice, ChoiceSet, seedOf, type Target } from './choice.ts'
import { headroom } from './headroom.ts'
import { AccountMemory } from './health.ts'
import { leastBusy } from './least-busy.ts'
import { leastLatency } from './least-latency.ts'
import { prefixAffinity } from './prefix-affinity.ts'
import { priority } from './priority.ts'
import { roundRobin } from './round-robin.ts'
import type { Ask, Picker } from './router.ts'
import { weighted } from './weighted.ts'

const pickers: Record<string, Picker> = {
  weighted,
  roundRobin,
  leastBusy,
  leastLatency,
  headroom,
  priority,
  prefixAffinity,
}

function setOf(weights: readonly number[]): ChoiceSet {
  const memory = new AccountMemory()
  return new ChoiceSet(
    weights.map((weight, index) => {
      const target: Target = {
        name: `u${index}`,
        account: `u${index}`,
        env: null,
        providerName: 'openai',
        spareKeys: false,
        keyInUse: () => null,
        hasKey: () => true,
      }
      const health = memory.of(target.name).model('')
      return new Choice({ target, health, model: null, weight, rules: usualBreaker, clock: systemClock })
    }),
  )
}

/** Draws that come from a seed, so that a run can be had again. */
function drawsOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 0) / 2 ** 32
  }
}

function askOf(more: Partial<Ask> = {}): Ask {
  return {
    nowMs: 1000,
    random: drawsOf(7),
    prefix: () => 42,
    usable: () => true,
    room: () => Infinity,
    ...more,
  }
}

/** How often each place is picked. */
function counts(
  picker: Picker,
  set: ChoiceSet,
  { times, ask = askOf() }: { times: number; ask?: Ask },
): number[] {
  const found = set.choices.map(() => 0)
  for (let count = 0; count < times; count++) found[picker.pick(set, ask)]! += 1
  return found
}

for (const [name, picker] of Object.entries(pickers))
  describe(name, () => {
    test('picks what is usable, and something where anything is', () => {
      const usable = fc.array(
        fc.record({ on: fc.boolean(), weight: fc.integer({ min: 1, max: 9 }), busy: fc.nat(50) }),
        {
          maxLength: 40,
        },
      )
      fc.assert(
        fc.property(usable, fc.integer(), fc.nat(100), (ways, seed, turn) => {
          const set = setOf(ways.map(({ weight }) => weight))
          set.turn = turn
          for (const [at, { busy }] of ways.entries()) set.choices[at]!.account.busy = busy
          const open = new Set(set.choices.filter((_, at) => ways[at]!.on))
          const ask = askOf({
            random: drawsOf(seed),
            prefix: () => seed,
            usable: (choice) => open.has(choice),
          })
          const at = picker.pick(set, ask)
          if (open.size === 0) expect(at).toBe(-1)
          else expect(open.has(set.choices[at]!)).toBe(true)
        }),
      )
    })

    test('looks at each way a few times at most', () => {
      const set = setOf(Array.from({ length: 100 }, () => 1))
      let looks = 0
      picker.pick(set, askOf({ usable: () => (looks++, false) }))
      expect(looks).toBeLessThanOrEqual(110)
    })
  })

test('weighted gives each its share, and that of one that is out to all others', () => {
  const set = setOf([1, 2, 5])
  const [a, b, c] = counts(weighted, set, { times: 8000 })
  expect(a).toBeWithin(850, 1150)
  expect(b).toBeWithin(1800, 2200)
  expect(c).toBeWithin(4700, 5300)
  const rest = counts(weighted, set, {
    times: 3000,
    ask: askOf({ usable: (choice) => choice !== set.choices[2] }),
  })
  expect(rest[0]).toBeWithin(850, 1150)
  expect(rest[2]).toBe(0)
})

test('roundRobin takes turns, leastBusy spreads what is under way by weight', () => {
  expect(counts(roundRobin, setOf([1, 9, 1]), { times: 9 })).toEqual([3, 3, 3])
  const set = setOf([1, 3])
  for (let count = 0; count < 40; count++) set.choices[leastBusy.pick(set, askOf())]!.account.busy++
  expect(set.choices.map(({ account }) => account.busy)).toEqual([10, 30])
})

test('leastLatency prefers the faster of two, and tries what it has not measured', () => {
  const set = setOf([1, 1, 1])
  for (const [at, ms] of [500, 20, 400].entries()) set.choices[at]!.health.measure(ms, 1000)
  const [slow, fast] = counts(leastLatency, set, { times: 3000 })
  expect(fast!).toBeGreaterThan(1800)
  expect(slow!).toBe(0)
  expect(leastLatency.pick(setOf([1]), askOf())).toBe(0)
})

test('headroom goes where most is left, and not by what was said long ago', () => {
  const set = setOf([1, 1])
  const [a, b] = [set.choices[0]!.health, set.choices[1]!.health]
  a.remains(5, null, 1000)
  b.remains(50, 4000, 1000)
  expect(headroom.pick(set, askOf())).toBe(0)
  b.remains(50, 400_000, 1000)
  expect(headroom.pick(set, askOf())).toBe(1)
  expect(headroom.pick(set, askOf({ nowMs: 100_000 }))).toBe(0)
})

describe('prefixAffinity', () => {
  const prefixes = Array.from({ length: 2000 }, (_, index) => seedOf(`prompt ${index}`))
  const placesOf = (set: ChoiceSet, usable: Ask['usable'] = () => true) =>
    prefixes.map((prefix) => prefixAffinity.pick(set, askOf({ prefix: () => prefix, usable })))

  test('spreads prefixes by weight, the same way each time', () => {
    const set = setOf([1, 1, 2])
    const places = placesOf(set)
    expect(placesOf(set)).toEqual(places)
    expect(places.filter((at) => at === 2).length).toBeWithin(900, 1100)
    expect(places.filter((at) => at === 0).length).toBeWithin(420, 580)
  })

  test('moves only those of an upstream that is out', () => {
    const set = setOf([1, 1, 1, 1])
    const before = placesOf(set)
    const after = placesOf(set, (choice) => choice !== set.choices[1])
    for (const [index, at] of before.entries()) if (at !== 1) expect(after[index]).toBe(at)
    expect(after).not.toContain(1)
  })

  test('what is found by its hash alone is what looking at each finds', () => {
    const set = setOf([1, 2, 3, 1, 2, 3, 1, 1, 2.5])
    for (const out of set.choices) {
      // Where the highest may not be taken everybody is looked at; where it is not there nobody is.
      const rest = new ChoiceSet(set.choices.filter((choice) => choice !== out))
      const looked = placesOf(set, (choice) => choice !== out).map((at) => set.choices[at])
      expect(looked).toEqual(placesOf(rest).map((at) => rest.choices[at]))
    }
    let looks = 0
    for (const prefix of prefixes) {
      const usable = () => (looks++, true)
      prefixAffinity.pick(set, askOf({ prefix: () => prefix, usable }))
    }
    expect(looks).toBe(prefixes.length)
  })

  test('passes over one that has far more under way than its share', () => {
    const set = setOf([1, 1])
    const ask = askOf({ prefix: () => prefixes[0]! })
    const home = prefixAffinity.pick(set, ask)
    for (let count = 0; count < 100; count++) set.choices[prefixAffinity.pick(set, ask)]!.account.busy++
    expect(set.choices[home]!.account.busy).toBeWithin(55, 70)
  })
})
