import { expect, test } from 'bun:test'
import { formatListenAddress, isLoopback, parseListenAddress } from './listen-address.ts'

test('host and port are told apart, IPv6 stands in brackets', () => {
  const cases: [string, string, number][] = [
    ['127.0.0.1:8080', '127.0.0.1', 8080],
    ['0.0.0.0:0', '0.0.0.0', 0],
    ['localhost:65535', 'localhost', 65_535],
    ['gate-1.internal:80', 'gate-1.internal', 80],
    ['[::1]:443', '::1', 443],
    ['[::]:443', '::', 443],
  ]
  for (const [text, hostname, port] of cases) {
    const address = parseListenAddress(text)
    expect(address).toEqual({ hostname, port })
    expect(formatListenAddress({ hostname, port })).toBe(text)
  }
})

test('anything else says what is wrong and what to write', () => {
  const wrong = [
    '',
    '8080',
    ':8080',
    'host',
    'host:',
    'host:99999',
    'host:-1',
    'host:1e3',
    '1.2.3:80',
    '256.0.0.1:80',
    '::1:80',
  ]
  const more = [
    '[::1]',
    '[::1:80',
    '[1.2.3.4]:80',
    '[]:80',
    'http://host:80',
    'a_b:80',
    'a b:80',
    '-a:80',
    'a..b:80',
    'host:80/x',
  ]
  for (const text of [...wrong, ...more]) {
    expect([text, parseListenAddress(text)]).toEqual([
      text,
      { wrong: expect.any(String), hint: expect.any(String) },
    ])
  }
})

test('only addresses of this machine are loopback', () => {
  for (const host of ['127.0.0.1', '127.255.0.1', '::1', 'localhost', 'LOCALHOST'])
    expect(isLoopback(host)).toBe(true)
  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '127.evil.example',
    'localhost.example',
    '::ffff:127.0.0.1',
    '',
  ]) {
    expect([host, isLoopback(host)]).toEqual([host, false])
  }
})
