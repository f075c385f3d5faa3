import { expect, test } from 'bun:test'
import { formatByteSize, parseByteSize } from './byte-size.ts'

test('a number and a unit become bytes, by powers of 1024', () => {
  const cases: [string, number][] = [
    ['512B', 512],
    ['32KB', 32_768],
    ['32KiB', 32_768],
    ['1.5MB', 1_572_864],
    ['1GB', 1_073_741_824],
    ['2TiB', 2_199_023_255_552],
  ]
  for (const [text, bytes] of cases) expect([text, parseByteSize(text)]).toEqual([text, bytes])
})

test('anything else is refused', () => {
  for (const text of ['', '32', 'KB', '32 KB', '32kb', '-1KB', '1PB', '32KB ', '99999999TB']) {
    expect([text, parseByteSize(text)]).toEqual([text, null])
  }
})

test('what is formatted reads back as the same', () => {
  for (const bytes of [0, 1, 1023, 1024, 1025, 32_768, 1_073_741_824, 5 * 1024 ** 4]) {
    expect(parseByteSize(formatByteSize(bytes))).toBe(bytes)
  }
  expect(formatByteSize(32_768)).toBe('32KB')
})
