// The search itself: a canary that cannot sing proves nothing.

import { describe, expect, test } from 'bun:test'
import { findMarked } from './search.ts'

const random = 'q8ZtW3nLr6YvKc1BxHs5Jm0PdFg7Ua2E'
const secrets = [{ name: 'key', random }]
const found = (text: string | Uint8Array) => findMarked(secrets, [{ name: 'place', bytes: text }])

describe('finds', () => {
  const piece = random.slice(9, 17)
  const forms: Record<string, string> = {
    'the whole': `Bearer sk-${random}`,
    'eight characters': `…${piece}…`,
    'its first eight': random.slice(0, 8),
    'its last eight': random.slice(-8),
    'it backwards': [...random].toReversed().join(''),
    hex: Buffer.from(piece).toString('hex'),
    'hex in capitals': Buffer.from(`xx${piece}`).toString('hex').toUpperCase(),
    'percent encoding': [...piece].map((each) => `%${each.charCodeAt(0).toString(16)}`).join(''),
    'base64 of basic credentials': Buffer.from(`admin:${random}`).toString('base64'),
  }
  for (const before of ['', 'a', 'ab', 'abc'])
    forms[`base64 behind ${before.length} bytes`] = Buffer.from(before + random).toString('base64')
  test.each(Object.entries(forms))('%s', (_, text) => {
    expect(found(`before ${text} after`)).not.toEqual([])
  })

  test('bytes among binary', () => {
    const bytes = Buffer.concat([Buffer.from([0, 255, 1]), Buffer.from(piece), Buffer.from([0])])
    expect(found(bytes)).toEqual(['place: key'])
  })
})

test('finds nothing in fewer than eight characters, or in what is no part of it', () => {
  expect(found(random.slice(0, 7))).toEqual([])
  expect(found('sk-upstream-key, Bearer, hg_test_ and other usual words')).toEqual([])
})
