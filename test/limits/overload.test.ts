// The gateway's overload, against a model of its one thread: turns in which what the kernel has is read, what it may begin
// is begun, and at whose end some of what waits is.

import { expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { nobody } from '../../src/exchange.ts'
import { Lines, linesMax } from '../../src/stages/3-limit/lines.ts'
import { Overload, type Caller } from '../../src/stages/3-limit/overload.ts'

setDefaultTimeout(60_000)

const readMs = 0.01
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

interface Arrival extends Caller {
  readonly authorization: 'small' | 'big'
  readonly atMs: number
}

interface Machine {
  readonly serveMs?: number
  readonly targetMs?: number
  /** Another process takes the thread's processor for so long, ten times a second. */
  readonly pauseMs?: number
}

/** Twelve seconds at a load, in units of what the thread can do; the first two do not count. */
function simulate(load: number, { serveMs = 0.2, targetMs = 100, pauseMs = 0 }: Machine = {}): Outcome {
  let nowMs = 0
  let idleMs = 0
  const occupiedMs = (): number => nowMs - idleMs
  const clock = { nowMs: () => nowMs, wallMs: () => 0 }
  const overload = new Overload<Arrival>(clock, { targetMs, occupiedMs }, () => {})
  let seed = 7
  const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff) / 0x7fff_ffff
  let nextMs = 0
  let pausedAtMs = 0
  const waits: number[] = []
  const shedWaits: number[] = []
  const asked = { small: 0, big: 0 }
  const admitted = { small: 0, big: 0 }
  const serve = (request: Arrival): void => {
    nowMs += serveMs - readMs
    overload.knew(request, { ...nobody, kind: 'key', key: request.authorization })
    if (request.atMs < 2000) return
    admitted[request.authorization] += 1
    waits.push(nowMs - request.atMs)
  }
  overload.serve(serve)
  while (nowMs < 12_000) {
    if (nowMs - pausedAtMs > 100) {
      nowMs += pauseMs
      pausedAtMs = nowMs
    }
    const ready: number[] = []
    for (; nextMs <= nowMs && ready.length < eventsMax; nextMs -= (Math.log(1 - random()) * serveMs) / load)
      ready.push(nextMs)
    // The loop sleeps until something comes, or the next turn.
    if (ready.length === 0) {
      const untilMs = overload.waiting === 0 ? nextMs : Math.min(nextMs, nowMs + 0.2)
      idleMs += untilMs - nowMs
      nowMs = untilMs
    }
    for (const atMs of ready) {
      nowMs += readMs
      const request: Arrival = { authorization: random() < 0.1 ? 'small' : 'big', atMs, hasLeft: false }
      if (atMs >= 2000) asked[request.authorization] += 1
      if (overload.begins()) {
        serve(request)
        overload.worked()
      } else if (!overload.waits(request) && atMs >= 2000) shedWaits.push(nowMs - atMs)
    }
    overload.turn()
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
  for (const load of [0.1, 0.5, 0.8, 0.95])
    expect(simulate(load)).toMatchObject({
      shedP99Ms: 0,
      small: expect.closeTo(1, 2),
      big: expect.closeTo(1, 2),
    })
})

test('nor where the process pauses again and again, while there is time to make up for it', () => {
  for (const pauseMs of [5, 15, 30]) {
    const { shedP99Ms, p99Ms } = simulate(0.6, { pauseMs })
    expect(shedP99Ms).toBe(0)
    expect(p99Ms).toBeLessThan(2.5 * pauseMs + 10)
  }
})

test('at twice what it can do, its time still goes to finished work, and what is turned away hears it at once', () => {
  const { good, p99Ms, shedP99Ms, small, big } = simulate(2)
  expect(good).toBeGreaterThan(0.9)
  // Others come meanwhile, and have their turns too.
  expect(p99Ms).toBeLessThan(145)
  expect(shedP99Ms).toBeLessThan(6)
  // Who asks for less than its share gets all of it.
  expect(small).toBeGreaterThan(0.99)
  expect(big).toBeLessThan(0.5)
})

test('on fast and slow machines, with a long and a short target, and far beyond what it can do', () => {
  for (const serveMs of [0.05, 0.2, 1])
    for (const targetMs of [20, 100])
      for (const load of [1.5, 3]) {
        const { good, p99Ms, shedP99Ms } = simulate(load, { serveMs, targetMs })
        // What reading the rest takes cannot go to work that is finished.
        expect(good).toBeGreaterThan(0.95 * ((1 - (load * readMs) / serveMs) / (1 - readMs / serveMs)))
        // A hundred may wait in any case.
        expect(p99Ms).toBeLessThan(Math.max(targetMs, 100 * serveMs) * 1.7 + 25)
        // Where reading alone takes most of the time, turns are longer.
        expect(shedP99Ms).toBeLessThan(serveMs < 0.1 ? 40 : 12)
      }
})

/** So many clients that ask again at once, whatever they hear, of a process that has just started: good share by second. */
function hammer(clients: number): number[] {
  let nowMs = 0
  const clock = { nowMs: () => nowMs, wallMs: () => 0 }
  const overload = new Overload(clock, { targetMs: 100, occupiedMs: () => nowMs }, () => {})
  const served: number[] = [0, 0, 0, 0, 0, 0]
  let ready = clients
  const serve = (): void => {
    const serveMs = nowMs < 300 ? 5 : 0.2
    nowMs += serveMs - readMs
    served[Math.floor(nowMs / 1000)]! += serveMs / 1000
    ready += 1
  }
  overload.serve(serve)
  while (nowMs < 5000) {
    const reading = Math.min(ready, eventsMax)
    for (let at = 0; at < reading; at++) {
      nowMs += readMs
      ready -= 1
      if (overload.begins()) {
        serve()
        overload.worked()
      } else if (!overload.waits({ authorization: null, hasLeft: false })) ready += 1
    }
    overload.turn()
    if (ready === 0) nowMs += 0.01
  }
  overload.close()
  return served.slice(0, 5)
}

test('who asks again at once, over and over, takes the time that is left, and not that of work', () => {
  // Fewer than may wait are never turned away, however slow the start is.
  expect(Math.min(...hammer(64).slice(1))).toBeGreaterThan(0.9)
  for (const clients of [150, 300, 1000]) {
    const shares = hammer(clients)
    // Of what is read in more than a few milliseconds, a third.
    expect(Math.min(...shares.slice(1))).toBeGreaterThan(0.13)
    expect(shares.at(-1)).toBeGreaterThan(0.13)
  }
})

test('switched off, nothing waits and nobody is turned away', () => {
  let nowMs = 0
  const off = new Overload({ nowMs: () => nowMs, wallMs: () => 0 }, { targetMs: null }, () => {})
  for (let at = 0; at < 1000; at++, nowMs += 100) {
    expect(off.begins()).toBe(true)
    off.worked()
  }
})

test('one long pause turns nobody away, and who has left meanwhile is not begun', () => {
  let nowMs = 0
  const overload = new Overload({ nowMs: () => nowMs, wallMs: () => 0 }, { targetMs: 20 }, () => {})
  const begun: Caller[] = []
  overload.serve((request) => begun.push(request))
  overload.begins()
  nowMs += 5000
  overload.worked()
  const callers = Array.from({ length: 500 }, (_, at) => ({ authorization: null, hasLeft: at % 2 === 1 }))
  nowMs += 0.5
  for (const caller of callers) expect(overload.begins() || overload.waits(caller)).toBe(true)
  overload.turn()
  expect(overload.waiting).toBe(0)
  expect(begun).toEqual(callers.filter(({ hasLeft }) => !hasLeft))
  overload.close()
})

test('a flood of long ago says nothing of a burst', () => {
  let nowMs = 0
  const clock = { nowMs: () => nowMs, wallMs: () => 0 }
  const overload = new Overload(clock, { targetMs: 100, occupiedMs: () => nowMs }, () => {})
  overload.serve(() => (nowMs += 0.5))
  const burst = (count: number, hasLeft = false): number => {
    let shed = 0
    for (let at = 0; at < count; at++) if (!overload.waits({ authorization: null, hasLeft })) shed++
    return shed
  }
  burst(10)
  overload.turn()
  // It is over before anything was measured.
  expect(burst(11_000, true)).toBeGreaterThan(900)
  while (overload.waiting > 0) overload.turn()
  nowMs += 480_000
  expect(burst(500)).toBe(0)
  overload.turn()
  expect(burst(200)).toBe(0)
  overload.close()
})

test('what waits is bounded, also where each has a line of its own, and is served when the target is switched off', () => {
  let nowMs = 0
  const overload = new Overload({ nowMs: () => nowMs, wallMs: () => 0 }, { targetMs: 1000 }, () => {})
  let begun = 0
  overload.serve(() => {
    begun += 1
    nowMs += 0.5
  })
  for (let at = 0; at < 20_000; at++) {
    overload.knew({ authorization: `k${at}` }, { ...nobody, kind: 'key', key: `k${at}` })
    overload.waits({ authorization: `k${at}`, hasLeft: false })
  }
  expect(overload.waiting).toBe(10_000)
  overload.targetMs = null
  expect(overload.begins()).toBe(false)
  for (let turns = 0; overload.waiting > 0; turns++) {
    expect(turns).toBeLessThan(2000)
    overload.turn()
  }
  expect(begun).toBe(10_000)
  expect(overload.begins()).toBe(true)
  overload.close()
})

test('many tenants with one request each are turned away as well, once those before them wait too long', () => {
  let nowMs = 0
  const overload = new Overload({ nowMs: () => nowMs, wallMs: () => 0 }, { targetMs: 20 }, () => {})
  overload.serve(() => (nowMs += 1))
  let shed = 0
  for (let at = 0; at < 1000; at++, nowMs += 0.2)
    if (!overload.waits({ authorization: null, hasLeft: false })) shed++
  expect(shed).toBeGreaterThan(700)
  overload.close()
})

test('lines: each tenant keeps its order, none has two turns before another that waits has one, and none is lost', () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 0, max: 5 }) }),
    fc.constant({ take: true as const }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const lines = new Lines<{ tenant: string; number: number }>()
      const model = new Map<string, number[]>()
      let turns: string[] = []
      for (const [number, one] of steps.entries()) {
        if ('add' in one) {
          const tenant = `t${one.add}`
          lines.add(tenant, { request: { tenant, number }, readAtMs: number })
          if (!model.has(tenant)) turns.push(tenant)
          model.set(tenant, [...(model.get(tenant) ?? []), number])
        } else {
          const tenant = turns.shift()
          expect(lines.take()?.request ?? null).toEqual(
            tenant === undefined ? null : { tenant, number: model.get(tenant)![0]! },
          )
          if (tenant === undefined) continue
          const rest = model.get(tenant)!.slice(1)
          if (rest.length === 0) model.delete(tenant)
          else {
            model.set(tenant, rest)
            turns = [...turns, tenant]
          }
        }
        expect(lines.size).toBe([...model.values()].flat().length)
        expect(lines.nextAtMs).toBe(turns.length === 0 ? Infinity : model.get(turns[0]!)![0]!)
        for (let at = 0; at <= 5; at++) {
          const own = model.get(`t${at}`)?.length ?? 0
          const before = turns.map((tenant) => Math.min(model.get(tenant)!.length, own + 1))
          const least = before.reduce((sum, each) => sum + each, 0)
          expect(lines.before(`t${at}`)).toBeGreaterThanOrEqual(Math.min(least, lines.size))
          expect(lines.before(`t${at}`)).toBeLessThanOrEqual(lines.size)
        }
      }
    }),
  )
})

test('more tenants than are told apart share one line', () => {
  const lines = new Lines<number>()
  for (let at = 0; at < 3 * linesMax; at++) lines.add(`t${at}`, { request: at, readAtMs: at })
  const first = Array.from({ length: linesMax + 1 }, () => lines.take()!.request)
  expect(first).toEqual(Array.from({ length: linesMax + 1 }, (_, at) => at))
  expect(lines.size).toBe(2 * linesMax - 1)
  expect(lines.take()!.request).toBe(linesMax + 1)
})
