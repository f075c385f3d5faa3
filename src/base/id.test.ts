import { expect, test } from 'bun:test'
import { newExchangeId } from './id.ts'

test('identifiers of exchanges differ, have one length, and stand in order', () => {
  const ids = Array.from({ length: 100_000 }, newExchangeId)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.every((id) => /^hgx_[0-9a-zA-Z]{10}[0-9a-z]{7}$/.test(id))).toBe(true)
  expect(ids.toSorted()).toEqual(ids)
  expect(Number.parseInt(ids.at(-1)!.slice(14), 36) - Number.parseInt(ids[0]!.slice(14), 36)).toBe(99_999)
})
