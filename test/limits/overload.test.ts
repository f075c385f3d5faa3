// The gateway's overload, against a model of its one thread: turns in which what became ready during the turn before is done.

import { expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { nobody } from '../../src/exchange.ts'
import { FairShare, levelFor } from '../../src/stages/3-limit/fair-share.ts'
import { Overload } from '../../src/stages/3-limit/overload.ts'

const stranger = { authorization: null }

setDefaultTimeout(60_000)

const shedMs = 0.004
/** What the kernel hands over in one turn at most. */
const eventsMax = 1024

interface Outcome {
  /** Share of the thread's time that went to finished work. */
  readonly good: number
  readonly p99Ms: number
  /** How long those who are turned away wait for it. */
  readonly shedP99Ms: number
  /** Share admitted of a tenant that asks for a tenth, and of one that asks for the rest. */
  readonly small: number
  readonly big: number
}

/** Twelve seconds at a load, in units of what the thread can do; the first two do not count. */
function simulate(load: number, { serveMs = 0.06, targetMs = 20, stolen = 0 } = {}): Outcome {
  const time = { nowMs: 0 }
  let occupiedMs = 0
  const clock = { nowMs: () => time.nowMs, wallMs: () => 0 }
  const overload = new Overload(clock, { targetMs, occupiedMs: () => occupiedMs }, () => {})
  let seed = 7
  const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff) / 0x7fff_ffff
  let nextMs = 0
  let turnEndsAtMs = Infinity
  const waits: number[] = []
  const shedWaits: number[] = []
  const asked = { small: 0, big: 0 }
  const admitted = { small: 0, big: 0 }
  while (time.nowMs < 12_000) {
    if (time.nowMs >= turnEndsAtMs) {
      turnEndsAtMs = Infinity
      overload.turnEnded()
    }
    const ready: number[] = []
    for (
      ;
      nextMs <= time.nowMs && ready.length < eventsMax;
      nextMs -= (Math.log(1 - random()) * serveMs) / load
    )
      ready.push(nextMs)
    if (ready.length === 0) time.nowMs = Math.min(nextMs, turnEndsAtMs)
    for (const arrivedAtMs of ready) {
      if (turnEndsAtMs === Infinity) turnEndsAtMs = time.nowMs + 1
      const who = random() < 0.1 ? 'small' : 'big'
      const passes = overload.admits({ authorization: who })
      const tookMs = passes ? serveMs : shedMs
      const startedAtMs = time.nowMs
      time.nowMs += tookMs
      // Another process has the processor now and then.
      if (stolen > 0 && random() < 0.02) time.nowMs += (tookMs * 50 * stolen) / (1 - stolen)
      occupiedMs += time.nowMs - startedAtMs
      if (passes) overload.knew({ authorization: who }, { ...nobody, kind: 'key', key: who })
      if (time.nowMs < 2000) continue
      asked[who] += 1
      if (!passes) {
        shedWaits.push(time.nowMs - arrivedAtMs)
        continue
      }
      admitted[who] += 1
      waits.push(time.nowMs - arrivedAtMs)
    }
  }
  overload.close()
  return {
    good: (waits.length * serveMs) / 10_000,
    p99Ms: p99Of(waits),
    shedP99Ms: p99Of(shedWaits),
    small: admitted.small / asked.small,
    big: admitted.big / asked.big,
  }
}

function p99Of(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0
}

test('below what it can do, nobody is turned away', () => {
  for (const load of [0.1, 0.5, 0.8, 0.95]) expect(simulate(load)).toMatchObject({ small: 1, big: 1 })
})

test('at twice what it can do, most of the time still goes to finished work, and what is admitted waits little', () => {
  const { good, p99Ms, shedP99Ms, small, big } = simulate(2)
  expect(good).toBeGreaterThan(0.9)
  expect(p99Ms).toBeLessThan(15)
  expect(shedP99Ms).toBeLessThan(15)
  // Who asks for less than its share gets nearly all of it.
  expect(small).toBeGreaterThan(0.75)
  expect(big).toBeLessThan(0.5)
})

test('on fast and slow machines, with a long and a short target, and far beyond what it can do', () => {
  for (const serveMs of [0.02, 0.06, 0.25])
    for (const targetMs of [20, 100])
      for (const load of [2, 4]) {
        const { good, p99Ms, shedP99Ms } = simulate(load, { serveMs, targetMs })
        // What turning away the rest takes cannot go to work that is finished.
        expect(good).toBeGreaterThan(0.95 * ((1 - (load * shedMs) / serveMs) / (1 - shedMs / serveMs)))
        expect(Math.max(p99Ms, shedP99Ms)).toBeLessThan(25)
      }
})

test('where others take a part of the processor, what is left of it is used', () => {
  for (const stolen of [0.2, 0.4])
    for (const load of [0.4, 0.8, 1.5]) {
      const { good } = simulate(load, { serveMs: 0.25, targetMs: 100, stolen })
      expect(good).toBeGreaterThan(0.88 * Math.min(load, 1 - stolen))
    }
})

test('switched off, it turns nobody away', () => {
  const time = { nowMs: 0 }
  const off = new Overload({ nowMs: () => time.nowMs, wallMs: () => 0 }, { targetMs: null }, () => {})
  for (let at = 0; at < 1000; at++, time.nowMs += 100) expect(off.admits(stranger)).toBe(true)
})

test('one long pause, or few requests on a slow machine, turn nobody away', () => {
  const time = { nowMs: 0 }
  const overload = new Overload({ nowMs: () => time.nowMs, wallMs: () => 0 }, { targetMs: 20 }, () => {})
  for (let turn = 0; turn < 100; turn++) {
    for (let at = 0; at < 10; at++) {
      expect(overload.admits(stranger)).toBe(true)
      time.nowMs += 100
    }
    overload.turnEnded()
  }
  overload.admits(stranger)
  overload.turnEnded()
  for (let at = 0; at < 100; at++) {
    if (at === 50) time.nowMs += 500
    expect(overload.admits(stranger)).toBe(true)
  }
  overload.close()
})

test('the level of a fair share: what is below it passes whole, and all that is there is given', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(1000), { minLength: 1, maxLength: 50 }),
      fc.nat(20_000),
      (asked, capacity) => {
        const level = levelFor(asked, capacity)
        const given = asked.map((each) => Math.min(each, level))
        const sum = given.reduce((all, each) => all + each, 0)
        const wanted = asked.reduce((all, each) => all + each, 0)
        expect(sum).toBeCloseTo(Math.min(wanted, capacity), 6)
        if (wanted <= capacity) expect(level).toBe(Infinity)
      },
    ),
  )
})

test('more tenants than are told apart share one place', () => {
  const fair = new FairShare()
  for (let at = 0; at < 5000; at++) fair.admits(`t${at}`)
  fair.next(500)
  const passed = Array.from({ length: 3000 }, (_, at) => fair.admits(`u${at}`)).filter(Boolean)
  expect(passed.length).toBeLessThan(1100)
})
