import { expect, test } from 'bun:test'
import { Pepper } from './pepper.ts'

const pepper = new Pepper('p'.repeat(40), 'a test')
const bytes = Buffer.from('{"answer":"secret"}')

test('what is sealed opens at its place, and only there', () => {
  const sealer = pepper.sealer('idempotency-answer')
  const sealed = sealer.seal(bytes, 'place 1')
  expect(Buffer.from(sealed, 'base64').includes('secret')).toBe(false)
  expect(sealer.seal(bytes, 'place 1')).not.toBe(sealed)
  expect(Buffer.from(sealer.open(sealed, 'place 1')!).equals(bytes)).toBe(true)
  expect(sealer.open(sealed, 'place 2')).toBeNull()
  expect(pepper.sealer('idempotency-scope').open(sealed, 'place 1')).toBeNull()
  expect(new Pepper('q'.repeat(40), 'a test').sealer('idempotency-answer').open(sealed, 'place 1')).toBeNull()
})

test('what was changed or is none does not open', () => {
  const sealer = pepper.sealer('idempotency-answer')
  const sealed = Buffer.from(sealer.seal(bytes, 'x'), 'base64')
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed)
    changed[at]! ^= 1
    expect(sealer.open(changed.toString('base64'), 'x')).toBeNull()
  }
  for (const text of ['', 'AAAA', '%%%']) expect(sealer.open(text, 'x')).toBeNull()
})
