import { expect, test } from 'bun:test'
import { formatDuration, parseDuration } from './duration.ts'

test('a number and a unit become milliseconds', () => {
  const cases: [string, number][] = [
    ['250ms', 250],
    ['0s', 0],
    ['10s', 10_000],
    ['1.5h', 5_400_000],
    ['5m', 300_000],
    ['30d', 2_592_000_000],
    ['1w', 604_800_000],
    ['1y', 31_536_000_000],
  ]
  for (const [text, ms] of cases) expect([text, parseDuration(text)]).toEqual([text, ms])
})

test('anything else is refused', () => {
  for (const text of [
    '',
    '10',
    's',
    '10 s',
    '10S',
    '-1s',
    '1e3s',
    '10s ',
    '1h30m',
    '.5s',
    '99999999999999y',
    '١s',
  ]) {
    expect([text, parseDuration(text)]).toEqual([text, null])
  }
})

test('what is formatted reads back as the same', () => {
  for (const ms of [0, 1, 999, 1000, 1500, 60_000, 600_000, 3_600_000, 86_400_000, 90_000_000]) {
    expect(parseDuration(formatDuration(ms))).toBe(ms)
  }
  expect(formatDuration(600_000)).toBe('10m')
})
