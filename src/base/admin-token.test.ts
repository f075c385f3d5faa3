import { expect, test } from 'bun:test'
import { createAdminToken, isWellFormedAdminToken, plainTokenHash, storedTokenHash } from './admin-token.ts'
import { isWellFormedClientKey } from './client-key.ts'

test('a new token has 40 random characters and a fitting checksum, and is no client key', () => {
  const tokens = Array.from({ length: 100 }, createAdminToken)
  expect(new Set(tokens).size).toBe(100)
  for (const token of tokens) {
    expect(token).toMatch(/^hga_[A-Za-z0-9]{46}$/)
    expect(isWellFormedAdminToken(token)).toBe(true)
    expect(isWellFormedClientKey(token)).toBe(false)
    expect(isWellFormedAdminToken(token.slice(0, -1))).toBe(false)
    const swapped = token.replace(
      /^(hga_.)(.)/,
      (_, head: string, next: string) => head + (next === 'a' ? 'b' : 'a'),
    )
    expect(isWellFormedAdminToken(swapped)).toBe(false)
  }
})

test('what is kept of it is bound to its purpose', () => {
  const token = createAdminToken()
  expect(storedTokenHash(token)).toHaveLength(32)
  expect(storedTokenHash(token).equals(plainTokenHash(token))).toBe(false)
})
