import { expect, test } from 'bun:test'
import { believedAfterMs, SteadyWall } from './steady-wall.ts'

const hourMs = 3_600_000
const start = Date.UTC(2026, 10, 25)

function machine() {
  const time = { nowMs: 1000, wallMs: start }
  const wall = new SteadyWall({ nowMs: () => time.nowMs, wallMs: () => time.wallMs })
  return {
    pass(ms: number): number {
      time.nowMs += ms
      time.wallMs += ms
      return this.read()
    },
    jump: (ms: number) => (time.wallMs += ms),
    read: () => wall.now(time.nowMs) - start,
  }
}

test('a clock that is slewed is followed, and never goes back', () => {
  const m = machine()
  m.pass(1000)
  m.jump(-300)
  expect(m.read()).toBe(1000)
  expect(m.pass(200)).toBe(1000)
  expect(m.pass(200)).toBe(1100)
  m.jump(500)
  expect(m.read()).toBe(1600)
})

test('a jump ahead and back is not seen at all', () => {
  const m = machine()
  for (const by of [hourMs, 40 * 24 * hourMs, -hourMs]) {
    const before = m.read()
    m.jump(by)
    expect(m.pass(1000)).toBe(before + 1000)
    expect(m.pass(believedAfterMs - 2000)).toBe(before + believedAfterMs - 1000)
    m.jump(-by)
    expect(m.pass(1000)).toBe(before + believedAfterMs)
  }
})

test('a jump that lasts is believed; back by an hour, time stands still until it has caught up', () => {
  const ahead = machine()
  ahead.jump(hourMs)
  ahead.read()
  expect(ahead.pass(believedAfterMs)).toBe(hourMs + believedAfterMs)
  const back = machine()
  back.jump(-hourMs)
  back.read()
  expect(back.pass(believedAfterMs)).toBe(believedAfterMs - 0)
  expect(back.pass(hourMs / 2)).toBe(believedAfterMs)
  expect(back.pass(hourMs)).toBe(believedAfterMs + hourMs / 2)
})

test('a machine that came up in the wrong year comes back from it', () => {
  const m = machine()
  m.jump(-400 * 24 * hourMs)
  m.read()
  expect(m.pass(believedAfterMs)).toBe(believedAfterMs - 400 * 24 * hourMs)
})
