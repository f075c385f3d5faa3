import { expect, test } from 'bun:test'
import { FailedAttempts } from './failed-attempts.ts'

const clock = { ms: 0, nowMs: () => clock.ms, wallMs: () => clock.ms }

test('an address has ten wrong tokens, then ten a minute', () => {
  clock.ms = 0
  const failures = new FailedAttempts(clock)
  const waits = Array.from({ length: 12 }, () => failures.book('a'))
  expect(waits.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 0))
  expect(waits.slice(10)).toEqual([6, 6])
  expect(failures.book('b')).toBe(0)
  clock.ms = 6000
  expect(failures.book('a')).toBe(0)
  expect(failures.book('a')).toBe(6)
  clock.ms += 3_600_000
  expect(Array.from({ length: 10 }, () => failures.book('a'))).toEqual(Array.from({ length: 10 }, () => 0))
  expect(failures.book('a')).toBeGreaterThan(0)
})

test('any number of addresses takes bounded memory, and the busy ones are remembered', () => {
  clock.ms = 0
  const failures = new FailedAttempts(clock)
  for (let count = 0; count < 11; count++) failures.book('busy')
  for (let count = 0; count < 50_000; count++) {
    failures.book(`address ${count}`)
    if (count % 5000 === 0) expect(failures.book('busy')).toBeGreaterThan(0)
  }
  expect(failures.size).toBe(10_000)
})

test('the addresses of one IPv6 network are one', () => {
  clock.ms = 0
  const failures = new FailedAttempts(clock)
  for (let count = 0; count < 10; count++) expect(failures.book(`2001:db8::${count + 1}`)).toBe(0)
  expect(failures.book('2001:db8::ffff:1')).toBeGreaterThan(0)
  expect(failures.book('2001:db8:0:1::1')).toBe(0)
})
