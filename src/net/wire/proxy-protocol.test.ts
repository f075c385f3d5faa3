import { describe, expect, test } from 'bun:test'
import { readProxyHeader } from './proxy-protocol.ts'

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** A header of version 2. `ports` and TLVs are part of `rest`. */
function block(versionCommand: number, familyTransport: number, rest: Uint8Array): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(rest.length)
  return Buffer.concat([signature, Buffer.from([versionCommand, familyTransport]), length, rest])
}

const four = Buffer.from('c0000201c633640104d201bb', 'hex')
const six = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('20010db8000000000000000000000002', 'hex'),
  Buffer.from('04d201bb', 'hex'),
])
const mapped = Buffer.concat([Buffer.from('00000000000000000000ffffc0000201', 'hex'), six.subarray(16)])

const good: [name: string, header: Buffer, address: string | null][] = [
  ['TCP4', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\r\n'), '192.0.2.1'],
  ['TCP6', Buffer.from('PROXY TCP6 2001:DB8::1 2001:db8::2 1234 443\r\n'), '2001:db8::1'],
  ['mapped TCP6', Buffer.from('PROXY TCP6 ::ffff:192.0.2.1 ::1 0 65535\r\n'), '192.0.2.1'],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['UNKNOWN with more', Buffer.from('PROXY UNKNOWN 192.0.2.1 198.51.100.1 1 2\r\n'), null],
  ['the longest line', Buffer.from(`PROXY UNKNOWN ${'f'.repeat(107 - 16)}\r\n`), null],
  ['2 over IPv4', block(0x21, 0x11, four), '192.0.2.1'],
  ['2 over IPv6', block(0x21, 0x21, six), '2001:db8::1'],
  ['2 over IPv6, mapped', block(0x21, 0x21, mapped), '192.0.2.1'],
  [
    '2 with TLVs',
    block(0x21, 0x11, Buffer.concat([four, Buffer.from('04000301020320000500000000ff', 'hex')])),
    '192.0.2.1',
  ],
  [
    '2 with as many TLVs as fit',
    block(0x21, 0x11, Buffer.concat([four, Buffer.alloc(16 * 1024 - 16 - 12)])),
    '192.0.2.1',
  ],
  ['2 LOCAL', block(0x20, 0x00, Buffer.alloc(0)), null],
  ['2 LOCAL with an address', block(0x20, 0x11, four), null],
  ['2 of no family', block(0x21, 0x00, Buffer.from('abc')), null],
  ['2 of a Unix socket', block(0x21, 0x31, Buffer.alloc(216)), null],
]

describe('headers', () => {
  test.each(good)('%s', (_name, header, address) => {
    const follows = Buffer.from('GET / HTTP/1.1\r\n')
    expect(readProxyHeader(Buffer.concat([header, follows]))).toEqual({ address, length: header.length })
    for (let length = 0; length < header.length; length++)
      expect(readProxyHeader(header.subarray(0, length))).toBe('more')
    expect(readProxyHeader(header)).toEqual({ address, length: header.length })
  })
})

test.each([
  'GET / HTTP/1.1\r\n',
  'POST / HTTP/1.1\r\n',
  'PUT / HTTP/1.1\r\n',
  'PATCH / HTTP/1.1\r\n',
  'proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n',
  'PROXX',
  ' PROXY TCP4',
  '\r\nGET / HTTP/1.1\r\n',
  '\r\n\r\nGET / HTTP/1.1\r\n',
  '\r\n\r\n\0\r\nQUIX',
  '\x16\x03\x01',
])('%p is none', (text) => expect(readProxyHeader(Buffer.from(text, 'latin1'))).toBe('none'))

test.each([
  'PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\n',
  'PROXY TCP4 192.0.2.1 198.51.100.1 1234 443 \r\n',
  'PROXY TCP4  192.0.2.1 198.51.100.1 1234 443\r\n',
  'PROXY TCP4 192.0.2.1 198.51.100.1 1234\r\n',
  'PROXY TCP4 192.0.2.01 198.51.100.1 1234 443\r\n',
  'PROXY TCP4 192.0.2 198.51.100.1 1234 443\r\n',
  'PROXY TCP4 192.0.2.1 198.51.100.1 01234 443\r\n',
  'PROXY TCP4 192.0.2.1 198.51.100.1 1234 65536\r\n',
  'PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n',
  'PROXY TCP4 2001:db8::1 2001:db8::2 1234 443\r\n',
  'PROXY TCP6 192.0.2.1 198.51.100.1 1234 443\r\n',
  'PROXY TCP6 ::1 192.0.2.1 1234 443\r\n',
  'PROXY TCP6 fe80::1%eth0 ::1 1234 443\r\n',
  'PROXY UDP4 192.0.2.1 198.51.100.1 1234 443\r\n',
  'PROXY tcp4 192.0.2.1 198.51.100.1 1234 443\r\n',
  'PROXY UNKNOWNX\r\n',
  'PROXY UNKNOWN \x01\r\n',
  'PROXY \r\n',
  `PROXY UNKNOWN ${'f'.repeat(200)}`,
  `PROXY UNKNOWN ${'f'.repeat(107 - 15)}\r\n`,
])('%p is broken', (text) => expect(readProxyHeader(Buffer.from(text, 'latin1'))).toBe('bad'))

test.each<[string, Buffer]>([
  ['version 1 in a block', block(0x11, 0x11, four)],
  ['version 3', block(0x31, 0x11, four)],
  ['command 2', block(0x22, 0x11, four)],
  ['family 4', block(0x21, 0x41, four)],
  ['transport 3', block(0x21, 0x13, four)],
  ['datagrams', block(0x21, 0x12, four)],
  ['no transport', block(0x21, 0x10, four)],
  ['IPv4, too short', block(0x21, 0x11, four.subarray(1))],
  ['IPv6, too short', block(0x21, 0x21, six.subarray(1))],
  ['Unix, too short', block(0x21, 0x31, Buffer.alloc(215))],
  ['too many TLVs', block(0x21, 0x11, Buffer.concat([four, Buffer.alloc(16 * 1024 - 16 - 11)]))],
  [
    'the longest there can be, with its first bytes alone',
    block(0x21, 0x11, Buffer.alloc(65_535)).subarray(0, 16),
  ],
])('%s is broken', (_name, bytes) => expect(readProxyHeader(bytes)).toBe('bad'))
