import { expect, test } from 'bun:test'
import { parseRate } from './rate.ts'

test.each([
  ['20/1m', 20, 60_000],
  ['1/1s', 1, 1000],
  ['5000/1h', 5000, 3_600_000],
  ['3/250ms', 3, 250],
  ['2/1.5s', 2, 1500],
])('%s', (text, count, windowMs) => expect(parseRate(text)).toEqual({ count, windowMs }))

test.each([
  '',
  '20',
  '20/m',
  '/1m',
  '0/1m',
  '-1/1m',
  '1.5/1m',
  '20/0s',
  '20/1',
  '20 / 1m',
  '1/1m/1',
  '10000000000/1s',
  '5/0ms',
])('%p is none', (text) => expect(parseRate(text)).toBeNull())
