// Cells that give way, for any text and any terminal.

import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { cellMax, fittedWidths, shortened } from './shortened.ts'

test('a text is no wider than it may be, keeps both ends, and is left alone where it fits', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'Z', '-', 'ü', '漢', '😀', 'é'), maxLength: 80 })
  fc.assert(
    fc.property(text, fc.integer({ min: 12, max: 70 }), (given, most) => {
      const short = shortened(given, most)
      expect(Bun.stringWidth(short)).toBeLessThanOrEqual(most)
      if (Bun.stringWidth(given) <= most) expect(short).toBe(given)
      else {
        const [head, tail] = short.split('…')
        expect(given).toStartWith(head!)
        expect(given).toEndWith(tail!)
        // No more than a wide character is wasted at either end.
        expect(Bun.stringWidth(short)).toBeGreaterThanOrEqual(most - 2)
      }
    }),
  )
})

test('columns of texts give way until the line fits, numbers never', () => {
  expect(fittedWidths([100, 20, 9], [true, true, false], 0)).toEqual([cellMax, 20, 9])
  expect(fittedWidths([100, 20, 9], [true, true, false], 60)).toEqual([27, 20, 9])
  expect(fittedWidths([100, 20, 9], [true, true, false], 40)).toEqual([13, 14, 9])
  expect(fittedWidths([100, 5, 90], [true, true, false], 40)).toEqual([12, 5, 90])
})
