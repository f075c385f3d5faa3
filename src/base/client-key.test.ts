import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createClientKey, hashClientKey, isWellFormedClientKey } from './client-key.ts'

test('a new key has its environment, 40 random characters and a fitting checksum', () => {
  const key = createClientKey('dev')
  expect(key).toMatch(/^hg_dev_[A-Za-z0-9]{46}$/)
  expect(isWellFormedClientKey(key)).toBe(true)
  expect(createClientKey('dev')).not.toBe(key)
})

test('any one changed character is noticed', () => {
  const key = createClientKey('prod')
  for (let at = 0; at < key.length; at += 1) {
    const other = key[at] === 'a' ? 'b' : 'a'
    expect(isWellFormedClientKey(key.slice(0, at) + other + key.slice(at + 1))).toBe(false)
  }
})

test('text that only looks similar is not well formed, and nothing throws', () => {
  for (const text of ['', 'hg_dev_', 'sk-abc', `hg_dev_${'a'.repeat(46)}`, ` ${createClientKey('dev')}`]) {
    expect(isWellFormedClientKey(text)).toBe(false)
  }
  fc.assert(fc.property(fc.string(), (text) => !isWellFormedClientKey(text)))
})

test('an environment that could not stand in a key is refused', () => {
  for (const env of ['', 'Prod', 'a_b', 'a b', 'x'.repeat(33)])
    expect(() => createClientKey(env)).toThrow(RangeError)
})

test('the checksum is CRC-32 in six base62 digits, so that others can check keys too', () => {
  // Python: zlib.crc32(b'hg_dev_' + b'0' * 40) is 0x5c3267b7.
  expect(isWellFormedClientKey(`hg_dev_${'0'.repeat(40)}1ggFDb`)).toBe(true)
})

test('a hash is SHA-256 in hex', () => {
  expect(hashClientKey('abc')).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
