import { expect, test } from 'bun:test'
import { mayAsk } from './host-guard.ts'

test.each([
  ['localhost', true],
  ['LOCALHOST:8081', true],
  ['127.0.0.1', true],
  ['127.9.9.9:80', true],
  ['[::1]:8081', true],
  ['[::1]', true],
  ['admin.test:8081', true],
  [null, false],
  ['', false],
  [':8081', false],
  ['::1', false],
  ['[::2]', false],
  ['localhost.', false],
  ['localhost:x', false],
  ['localhost:8081:8081', false],
  ['a@localhost', false],
  ['evil.test', false],
  ['xadmin.test', false],
  ['0.0.0.0', false],
  ['2130706433', false],
  ['127.1', false],
  ['[::ffff:127.0.0.1]', false],
] as const)('on loopback, Host %p: %p', (host, wanted) => {
  expect(mayAsk(host, '127.0.0.1', ['admin.test'])).toBe(wanted)
})

test('elsewhere any Host may ask where no names are given, otherwise those, the address itself and this machine', () => {
  expect(mayAsk('evil.test', '0.0.0.0', [])).toBe(true)
  expect(mayAsk(null, '0.0.0.0', [])).toBe(true)
  expect(mayAsk('evil.test', '10.0.0.1', ['admin.test'])).toBe(false)
  for (const host of ['admin.test', '10.0.0.1:8081', 'localhost'])
    expect(mayAsk(host, '10.0.0.1', ['admin.test'])).toBe(true)
})
