import { describe, expect, test } from 'bun:test'
import { Failure } from '../../failure.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { createFindClient } from './client-address.ts'

const find = createFindClient(['10.0.0.0/8', '2001:db8:f::/48'])

/** The client, or `refused`. */
function client(lines: readonly string[], peerAddress = '10.0.0.1', by = find): string | null {
  const headers = HeaderBlock.parse(lines.map((line) => `${line}\r\n`).join(''))!
  try {
    const request = { method: 'GET', path: '/', query: '', headers, body: null, peerAddress, upgrade: null }
    return by(request)?.text ?? null
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause
    expect(cause.code).toBe('bad_request')
    return 'refused'
  }
}

describe('X-Forwarded-For of a trusted peer', () => {
  test.each<[string, string]>([
    ['192.0.2.1', '192.0.2.1'],
    ['198.51.100.1, 192.0.2.1', '192.0.2.1'],
    ['127.0.0.1, 192.0.2.1', '192.0.2.1'],
    ['192.0.2.1, 10.1.1.1', '192.0.2.1'],
    ['198.51.100.1, 192.0.2.1, 10.1.1.1,10.2.2.2', '192.0.2.1'],
    ['10.1.1.1, 10.2.2.2', '10.1.1.1'],
    ['192.0.2.1:4711', '192.0.2.1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['2001:DB8:0::1', '2001:db8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['192.0.2.1, ::ffff:10.0.0.9', '192.0.2.1'],
    ['192.0.2.1, 2001:db8:f::1', '192.0.2.1'],
    // Left of the client stands what it said itself: nobody reads that.
    ['garbage, 192.0.2.1', '192.0.2.1'],
    [', , 192.0.2.1', '192.0.2.1'],
    ['<script>, 1.2.3, 192.0.2.1', '192.0.2.1'],
    // What a trusted hop wrote and is no address.
    ['192.0.2.1, garbage', 'refused'],
    ['192.0.2.1, ', 'refused'],
    ['', 'refused'],
    ['unknown', 'refused'],
    ['_hidden', 'refused'],
    ['192.0.2.1, unknown, 10.1.1.1', 'refused'],
    ['192.0.2.01', 'refused'],
    ['\xa0192.0.2.1', 'refused'],
    ['\t192.0.2.1 \t', '192.0.2.1'],
    ['0300.0.2.1', 'refused'],
    ['0xc0000201', 'refused'],
    ['192.0.513', 'refused'],
    ['fe80::1%eth0', 'refused'],
    ['[fe80::1%25eth0]', 'refused'],
    ['[192.0.2.1]', 'refused'],
    ['192.0.2.1:', 'refused'],
    ['192.0.2.1:123456', 'refused'],
    ['"192.0.2.1"', 'refused'],
    ['192.0.2.1 192.0.2.2', 'refused'],
    [Array.from({ length: 32 }, () => '10.1.1.1').join(','), '10.1.1.1'],
    [Array.from({ length: 33 }, () => '10.1.1.1').join(','), 'refused'],
    [`${'x,'.repeat(40)}192.0.2.1`, 'refused'],
  ])('%s: %s', (value, expected) => {
    expect(client([`X-Forwarded-For: ${value}`])).toBe(expected)
  })

  test('several lines are one list', () => {
    expect(client(['X-Forwarded-For: 198.51.100.1', 'x-forwarded-for: 192.0.2.1, 10.1.1.1'])).toBe(
      '192.0.2.1',
    )
    expect(client(['X-Forwarded-For: 192.0.2.1', 'x-forwarded-for: 10.1.1.1'])).toBe('192.0.2.1')
  })
})

describe('Forwarded of a trusted peer', () => {
  test.each<[string, string]>([
    ['for=192.0.2.1', '192.0.2.1'],
    ['For=192.0.2.1;proto=https;by=10.0.0.1', '192.0.2.1'],
    ['proto=https;host="a,b;c";for=192.0.2.1', '192.0.2.1'],
    ['for="192.0.2.1:4711"', '192.0.2.1'],
    ['for="[2001:db8::1]:443"', '2001:db8::1'],
    ['for="[2001:db8::1]"', '2001:db8::1'],
    ['for=198.51.100.1, for=192.0.2.1', '192.0.2.1'],
    ['for=192.0.2.1;proto=http , for=10.1.1.1', '192.0.2.1'],
    ['for="192.0.2\\.1"', '192.0.2.1'],
    ['for=_x, for=192.0.2.1', '192.0.2.1'],
    ['for=unknown', 'refused'],
    ['for=192.0.2.1, for=unknown', 'refused'],
    ['for=_secret', 'refused'],
    ['proto=https', 'refused'],
    ['', 'refused'],
    ['for=192.0.2.1, ', 'refused'],
    ['for=192.0.2.1;for=10.1.1.1', 'refused'],
    ['for=', 'refused'],
    ['for="192.0.2.1', 'refused'],
    ['for=192.0.2.1"', 'refused'],
    ['for = 192.0.2.1', 'refused'],
    ['192.0.2.1', 'refused'],
    ['for="198.51.100.1, for=192.0.2.1', 'refused'],
    ['for=[2001:db8::1]', 'refused'],
    ['for="a\\', 'refused'],
    [Array.from({ length: 33 }, () => 'for=10.1.1.1').join(','), 'refused'],
  ])('%s: %s', (value, expected) => {
    expect(client([`Forwarded: ${value}`])).toBe(expected)
  })
})

describe('both', () => {
  test.each<[string, string, string]>([
    ['for=192.0.2.1', '192.0.2.1', '192.0.2.1'],
    ['for="[::ffff:192.0.2.1]"', '192.0.2.1', '192.0.2.1'],
    ['for=192.0.2.2', '192.0.2.1', 'refused'],
    ['for=192.0.2.1', 'garbage', 'refused'],
    ['for=unknown', '192.0.2.1', 'refused'],
  ])('%s and %s: %s', (forwarded, usual, expected) => {
    expect(client([`Forwarded: ${forwarded}`, `X-Forwarded-For: ${usual}`])).toBe(expected)
    expect(client([`X-Forwarded-For: ${usual}`, `Forwarded: ${forwarded}`])).toBe(expected)
  })
})

test('of anybody else nothing is believed, and nothing refused', () => {
  for (const peer of ['192.0.2.9', '11.0.0.1', '::1', '2001:db8:e::1']) {
    for (const value of ['192.0.2.1', '10.0.0.1', 'garbage', '']) {
      expect(
        client([`X-Forwarded-For: ${value}`, `Forwarded: for=${value}`, `X-Real-IP: ${value}`], peer),
      ).toBe(peer)
    }
  }
  const trustsNobody = createFindClient([])
  expect(client(['X-Forwarded-For: 192.0.2.1'], '10.0.0.1', trustsNobody)).toBe('10.0.0.1')
})

test('the peer itself is canonical', () => {
  expect(client([], '::ffff:10.0.0.1')).toBe('10.0.0.1')
  expect(client(['X-Forwarded-For: 192.0.2.1'], '::ffff:10.0.0.1')).toBe('192.0.2.1')
  expect(client([], 'fe80::1%eth0')).toBe('fe80::1')
  expect(client([], 'unknown')).toBeNull()
  expect(client(['X-Real-IP: 192.0.2.1', 'True-Client-IP: 192.0.2.1'])).toBe('10.0.0.1')
})

test('32 KB of it are read in a moment', () => {
  const hostile = [
    'for='.repeat(8000),
    `for="${'\\'.repeat(32_000)}`,
    ';'.repeat(32_000),
    ','.repeat(32_000),
    ' '.repeat(32_000),
    `;${' '.repeat(32_000)}"`,
    `a=b${'\t'.repeat(32_000)}x`,
    `${'a'.repeat(32_000)}=`,
  ]
  for (const value of hostile) {
    expect(client([`Forwarded: ${value}`])).toBe('refused')
    expect(client([`X-Forwarded-For: ${value}`])).toBe('refused')
  }
})
