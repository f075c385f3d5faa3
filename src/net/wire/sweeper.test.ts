import { expect, test } from 'bun:test'
import { Sweeper, type Waiting } from './sweeper.ts'

test('a deadline is met once, not early, and whoever is removed hears nothing', () => {
  let nowMs = 1000
  const sweeper = new Sweeper({ nowMs: () => nowMs, wallMs: () => 0 })
  const heard: string[] = []
  const waiting = (name: string, deadlineAtMs: number): Waiting => ({
    deadlineAtMs,
    onDeadline: () => void heard.push(name),
  })
  const [early, late, never] = [waiting('early', 1010), waiting('late', 1020), waiting('never', Infinity)]
  for (const each of [early, late, never]) sweeper.add(each)
  sweeper.sweep()
  expect(heard).toEqual([])
  nowMs = 1010
  sweeper.sweep()
  sweeper.sweep()
  expect(heard).toEqual(['early'])
  expect(early.deadlineAtMs).toBe(Infinity)
  sweeper.remove(late)
  nowMs = 9999
  sweeper.sweep()
  expect(heard).toEqual(['early'])
  for (const each of [early, never]) sweeper.remove(each)
  expect(sweeper.watching).toBe(0)
})

test('a deadline set anew by its own meeting is met at its time', () => {
  let nowMs = 0
  const sweeper = new Sweeper({ nowMs: () => nowMs, wallMs: () => 0 })
  let met = 0
  const again: Waiting = {
    deadlineAtMs: 10,
    onDeadline() {
      met += 1
      again.deadlineAtMs = nowMs + 10
      if (met === 3) sweeper.remove(again)
    },
  }
  sweeper.add(again)
  for (nowMs = 0; nowMs < 100; nowMs += 5) sweeper.sweep()
  expect(met).toBe(3)
  expect(sweeper.watching).toBe(0)
})

test('the tick behind a standstill judges nobody, the one behind that does, also where every tick is late', () => {
  let nowMs = 0
  const sweeper = new Sweeper({ nowMs: () => nowMs, wallMs: () => 0 })
  const metAtMs: number[] = []
  const waiting: Waiting = { deadlineAtMs: 40, onDeadline: () => void metAtMs.push(nowMs) }
  sweeper.add(waiting)
  const tickAt = (ms: number) => {
    nowMs = ms
    sweeper.tick()
  }
  tickAt(25)
  tickAt(525)
  expect(metAtMs).toEqual([])
  tickAt(550)
  expect(metAtMs).toEqual([550])
  waiting.deadlineAtMs = 600
  for (const ms of [1000, 1500, 2000]) tickAt(ms)
  expect(metAtMs).toEqual([550, 1500])
  sweeper.remove(waiting)
})
