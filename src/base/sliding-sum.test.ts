// Against a model that keeps every amount for ever.

import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { slabOfSums, slices, SlidingSum, sumWidth } from './sliding-sum.ts'

const windowMs = 1000

/** A sum of its own, somewhere in a larger piece of memory. */
function freshSum(slab = slabOfSums(), at = 3): SlidingSum {
  const sum = new SlidingSum(slab)
  sum.look(new Float64Array(at + sumWidth), at)
  sum.begin()
  return sum
}

const step = fc.record({
  waitMs: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1500 })),
  amount: fc.integer({ min: 1, max: 60 }),
  settle: fc.option(fc.integer({ min: 0, max: 60 })),
})

test('in no window can more be counted than the limit, and nothing is refused that fits the window and a 64th', () => {
  const limit = 100
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const sum = freshSum()
      const passed: { atMs: number; amount: number }[] = []
      let nowMs = 0
      const within = (lengthMs: number): number =>
        passed.filter(({ atMs }) => atMs > nowMs - lengthMs).reduce((all, { amount }) => all + amount, 0)
      for (const { waitMs, amount, settle } of steps) {
        nowMs += waitMs
        sum.trim(nowMs, windowMs)
        if (sum.total + amount <= limit) {
          const number = sum.add(nowMs, windowMs, amount)
          const kept = settle === null ? amount : Math.min(settle, amount)
          if (kept !== amount) expect(sum.change(number, kept - amount)).toBe(true)
          passed.push({ atMs: nowMs, amount: kept })
        } else {
          expect(within(windowMs + windowMs / slices) + amount).toBeGreaterThan(limit)
          const untilMs = sum.waitMs(nowMs, windowMs, limit - amount)
          const later = structuredClone(passed)
          expect(untilMs).toBeGreaterThan(0)
          sum.trim(nowMs + untilMs, windowMs)
          expect(sum.total + amount).toBeLessThanOrEqual(limit)
          nowMs += untilMs
          expect(later).toEqual(passed)
        }
        expect(within(windowMs)).toBeLessThanOrEqual(limit)
      }
    }),
    { numRuns: 500 },
  )
})

test('amounts far apart are kept exactly, and at the end of the window they leave', () => {
  const sum = freshSum()
  for (let at = 0; at < 5; at++) sum.add(at * 100, windowMs, 1)
  sum.trim(999.9, windowMs)
  expect(sum.total).toBe(5)
  sum.trim(1000, windowMs)
  expect(sum.total).toBe(4)
  expect(sum.clearMs(1000, windowMs)).toBe(400)
  expect(sum.change(0, 5)).toBe(false)
})

test('memory is bounded however much comes', () => {
  const sum = freshSum()
  for (let at = 0; at < 100_000; at++) {
    sum.trim(at / 10, windowMs)
    sum.add(at / 10, windowMs, 1)
  }
  expect(sum.entries).toBeLessThanOrEqual(slices + 2)
})

test('sums that share memory, and come and go, do not see one another', () => {
  const slab = slabOfSums()
  const many = 5
  const cells = new Float64Array(many * sumWidth)
  const view = new SlidingSum(slab)
  const at = (index: number): SlidingSum => {
    view.look(cells, index * sumWidth)
    return view
  }
  const moves = fc.array(
    fc.record({ which: fc.nat(many - 1), waitMs: fc.integer({ min: 0, max: 60 }), end: fc.boolean() }),
    { maxLength: 400 },
  )
  fc.assert(
    fc.property(moves, (steps) => {
      for (let index = 0; index < many; index++) at(index).begin()
      const alone = Array.from({ length: many }, () => freshSum())
      let nowMs = 0
      for (const { which, waitMs, end } of steps) {
        nowMs += waitMs
        for (const sum of [at(which), alone[which]!]) {
          sum.trim(nowMs, windowMs)
          if (end && waitMs === 0) sum.clear()
          else sum.add(nowMs, windowMs, which + 1)
        }
        expect(at(which).total).toBe(alone[which]!.total)
        expect(at(which).entries).toBe(alone[which]!.entries)
        expect(at(which).waitMs(nowMs, windowMs, 3)).toBe(alone[which]!.waitMs(nowMs, windowMs, 3))
      }
      for (let index = 0; index < many; index++) at(index).clear()
    }),
    { numRuns: 200 },
  )
  // What was given back is used again.
  expect(slab.length).toBeLessThan(100_000)
})
