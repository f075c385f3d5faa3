import { describe, expect, test } from 'bun:test'
import { Secret } from '../../base/secret.ts'
import { KeyRing, type AccountKey, type RefusedKeys } from './key-ring.ts'

const clock = { ms: 0, nowMs: () => clock.ms, wallMs: () => 1_000_000 + clock.ms }
const key = (text: string, notAfter: number | null = null): AccountKey => ({
  value: new Secret(text),
  notAfter,
})

function ring(keys: readonly AccountKey[], refused: RefusedKeys = new Map()): KeyRing {
  clock.ms = 0
  return new KeyRing(keys, { account: 'main', clock, refused })
}

function text(each: KeyRing): string | null {
  return each.current()?.value.reveal() ?? null
}

describe('the key in use', () => {
  test('is the first that is not past its date', () => {
    const keys = ring([key('old', 999_999), key('ending', 1_000_100), key('lasting')])
    expect(text(keys)).toBe('ending')
    clock.ms = 101
    expect(text(keys)).toBe('lasting')
    expect(keys.counts()).toEqual({ total: 3, expired: 2, refused: 0 })
  })

  test('is the next one after a 401, and stays it', () => {
    const keys = ring([key('new'), key('old')])
    expect(keys.refuse(keys.current()!)).toBe(true)
    expect(text(keys)).toBe('old')
    keys.accept(keys.current()!)
    expect(text(keys)).toBe('old')
    expect(keys.trouble()).toBeNull()
    expect(keys.counts()).toEqual({ total: 2, expired: 0, refused: 1 })
  })

  test('is still set aside after a reload, under the same account only', () => {
    const refused: RefusedKeys = new Map()
    const before = ring([key('new'), key('old')], refused)
    before.refuse(before.current()!)
    expect(text(ring([key('new'), key('old')], refused))).toBe('old')
    const other = new KeyRing([key('new')], { account: 'other', clock, refused })
    expect(other.counts().refused).toBe(0)
  })

  test('is the one refused longest ago where all were refused, and one that is taken again counts again', () => {
    const keys = ring([key('a'), key('b')])
    keys.refuse(keys.current()!)
    clock.ms = 10
    keys.refuse(keys.current()!)
    expect(text(keys)).toBe('a')
    expect(keys.trouble()).toBe('every key was refused by the upstream (401) or has expired')
    keys.accept(keys.current()!)
    expect(keys.trouble()).toBeNull()
    expect(keys.counts().refused).toBe(1)
  })

  test('is none where all are past their date, and the account says so', () => {
    const keys = ring([key('old', 1), key('older', 0)])
    expect(keys.current()).toBeNull()
    expect(keys.trouble()).toBe('every key has expired')
    expect(ring([]).trouble()).toBeNull()
  })
})

test('an account with refused keys only may show after a minute whether that still holds', () => {
  const keys = ring([key('a')])
  const only = keys.current()!
  expect(keys.refuse(only)).toBe(true)
  expect(keys.refuse(only)).toBe(false)
  clock.ms = 59_999
  expect(keys.trouble()).not.toBeNull()
  clock.ms = 60_000
  expect(keys.trouble()).toBeNull()
  expect(text(keys)).toBe('a')
})
