import { expect, test } from 'bun:test'
import { keyHash } from './fields.ts'

test('the hash of a key may be in upper case; without sha256: in front it is refused with that advice', () => {
  const digits = 'aB'.repeat(32)
  expect(keyHash().parse(`sha256:${digits}`)).toBe(`sha256:${digits.toLowerCase()}`)
  const said = (text: unknown): string | undefined => keyHash().safeParse(text).error?.issues[0]?.message
  expect(said(digits)).toBe('expected sha256: and 64 hex digits: put sha256: in front')
  expect(said('sha256:abc')).toBe('expected sha256: and 64 hex digits')
  expect(said(5)).toBe('expected sha256: and 64 hex digits')
  expect(said(undefined)).toBe('is required')
})
