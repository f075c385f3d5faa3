import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { calendarUnits, isTimeZone, periodAt } from './calendar.ts'

const at = (text: string): number => Date.parse(text)
const shown = (unit: Parameters<typeof periodAt>[0], zone: string, text: string): string[] => {
  const { startMs, endMs } = periodAt(unit, zone, at(text))
  return [startMs, endMs].map((ms) => new Date(ms).toISOString().replace(':00.000Z', 'Z'))
}

test('periods in UTC', () => {
  expect(shown('hour', 'UTC', '2026-11-25T14:30:00Z')).toEqual(['2026-11-25T14:00Z', '2026-11-25T15:00Z'])
  expect(shown('day', 'UTC', '2026-11-25T14:30:00Z')).toEqual(['2026-11-25T00:00Z', '2026-11-26T00:00Z'])
  expect(shown('week', 'UTC', '2026-11-29T23:59:59Z')).toEqual(['2026-11-23T00:00Z', '2026-11-30T00:00Z'])
  expect(shown('month', 'UTC', '2026-12-31T23:59:59Z')).toEqual(['2026-12-01T00:00Z', '2027-01-01T00:00Z'])
  expect(shown('year', 'UTC', '2028-02-29T00:00:00Z')).toEqual(['2028-01-01T00:00Z', '2029-01-01T00:00Z'])
})

test('summer time makes days of 23 and 25 hours, and an hour that comes twice is two hours', () => {
  const zone = 'Europe/Berlin'
  expect(shown('day', zone, '2026-03-29T12:00:00Z')).toEqual(['2026-03-28T23:00Z', '2026-03-29T22:00Z'])
  expect(shown('day', zone, '2026-10-25T12:00:00Z')).toEqual(['2026-10-24T22:00Z', '2026-10-25T23:00Z'])
  expect(shown('month', zone, '2026-10-25T12:00:00Z')).toEqual(['2026-09-30T22:00Z', '2026-10-31T23:00Z'])
  expect(shown('hour', zone, '2026-10-25T00:30:00Z')).toEqual(['2026-10-25T00:00Z', '2026-10-25T01:00Z'])
  expect(shown('hour', zone, '2026-10-25T01:30:00Z')).toEqual(['2026-10-25T01:00Z', '2026-10-25T02:00Z'])
})

test('a day whose midnight is left out begins behind the gap; half hours count', () => {
  expect(shown('day', 'America/Santiago', '2026-09-06T12:00:00Z')[0]).toBe('2026-09-06T04:00Z')
  expect(shown('hour', 'Asia/Kolkata', '2026-11-25T14:45:00Z')[0]).toBe('2026-11-25T14:30Z')
})

test('in every zone, a moment lies in its period, and periods follow each other without a gap', () => {
  const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/Santiago'] // prettier-ignore
  fc.assert(
    fc.property(
      fc.constantFrom(...calendarUnits),
      fc.constantFrom(...zones),
      fc.integer({ min: Date.UTC(2012, 0, 1), max: Date.UTC(2040, 0, 1) }),
      (unit, zone, wallMs) => {
        const period = periodAt(unit, zone, wallMs)
        expect(period.startMs).toBeLessThanOrEqual(wallMs)
        expect(period.endMs).toBeGreaterThan(wallMs)
        expect(periodAt(unit, zone, period.startMs)).toEqual(period)
        expect(periodAt(unit, zone, period.endMs).startMs).toBe(period.endMs)
      },
    ),
    { numRuns: 300 },
  )
})

test('names of time zones', () => {
  expect(['UTC', 'Europe/Berlin', 'Mars/Base', ''].map(isTimeZone)).toEqual([true, true, false, false])
})
