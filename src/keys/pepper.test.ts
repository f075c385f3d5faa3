import { expect, test } from 'bun:test'
import { createHmac, hkdfSync } from 'node:crypto'
import { inspect } from 'node:util'
import { Pepper, type Purpose } from './pepper.ts'

const purposes: readonly Purpose[] = ['client-key', 'pepper-check', 'admin-token', 'admin-session']
const text = 'a pepper of forty characters, or so it is'

test('is HMAC-SHA256 under an HKDF key of its purpose, so that others can compute it', () => {
  const key = hkdfSync('sha256', text, '', 'headgate client-key v1', 32)
  const expected = createHmac('sha256', Buffer.from(key)).update('hg_dev_x')
  expect(new Pepper(text, 'a test').hasher('client-key').text('hg_dev_x')).toBe(expected.digest('base64'))
})

test('two purposes, or two peppers, never give one digest', () => {
  const peppers = [new Pepper(text, 'a test'), new Pepper(`${text}.`, 'a test')]
  const digests = peppers.flatMap((pepper) =>
    purposes.map((purpose) => pepper.hasher(purpose).text('headgate')),
  )
  expect(new Set(digests).size).toBe(peppers.length * purposes.length)
  expect(peppers[0]!.check).toBe(peppers[0]!.hasher('pepper-check').text('headgate'))
})

test('words and text are the same digest, also when calls alternate', () => {
  const hash = new Pepper(text, 'a test').hasher('client-key')
  for (const one of ['', 'a', 'b'.repeat(9000), 'a']) {
    const words = Buffer.from(new Uint8Array(hash.words(one).buffer, 0, 32)).toString('base64')
    hash.words('something else')
    expect(words).toBe(hash.text(one))
  }
})

test('cannot be printed', () => {
  const pepper = new Pepper(text, 'a test')
  const seen = [
    JSON.stringify(pepper),
    inspect(pepper, { showHidden: true, depth: 9 }),
    String(pepper),
    Bun.inspect(pepper),
  ]
  for (const each of seen) expect(each).not.toContain(text.slice(0, 8))
})
