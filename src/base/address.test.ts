import { expect, test } from 'bun:test'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { addressOf, CidrSet, parseAddress, parseCidr, parsePeerAddress, senderOf } from './address.ts'

test.each([
  ['1.2.3.4', '1.2.3.4'],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['::1', '::1'],
  ['::', '::'],
  ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::ffff:1.2.3.4', '1.2.3.4'],
  ['::FFFF:102:304', '1.2.3.4'],
  ['0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4'],
  ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
  ['::1.2.3.4', '::102:304'],
  ['2002:102:304::', '2002:102:304::'],
])('%s is %s', (text, canonical) => {
  expect(parseAddress(text)?.text).toBe(canonical)
  expect(parseAddress(canonical)?.words).toEqual(parseAddress(text)!.words)
})

const odd = [
  '', '1', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.04', '00.0.0.0', '0x7f.0.0.1', '0x7f000001', '2130706433', '127.1', '0177.0.0.1',
  '256.1.1.1', '1.2.3.256', '1.2.3.-4', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.4\t', '1..3.4', '.1.2.3', '1.2.3.', '1.2.3.4:80', '1.2.3.4/32', '１.2.3.4', '1e1.2.3.4',
  '+1.2.3.4', 'localhost', 'unknown', '_hidden', ':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '::g', '::12345', '[::1]', '::1%eth0',
  'fe80::1%1', '::1%', '::ffff:1.2.3', '::ffff:01.2.3.4', '::ffff:1.2.3.256', '::ffff:0x1.2.3.4', '::1.2.3.4:5', '1.2.3.4::', '::1/128', '::ffff:1.2.3.4%a',
  `${'0'.repeat(60)}::1`, '2001:db8::1\0',
] // prettier-ignore
test.each(odd)('%p is no address', (text) => {
  expect(parseAddress(text)).toBeNull()
  expect(parseCidr(text.includes('/') ? `${text}/8` : text)).toHaveProperty('wrong')
})

test('a zone is left away only from what a socket says', () => {
  expect(parsePeerAddress('fe80::1%eth0')?.text).toBe('fe80::1')
  expect(parsePeerAddress('unknown')).toBeNull()
})

test.each([
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['10.0.0.1', '10.0.0.1/32'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:DB8::/32', '2001:db8::/32'],
  ['::1', '::1/128'],
  ['::/0', '::/0'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ['::ffff:10.0.0.1', '10.0.0.1/32'],
  ['2001:db8::8000:0/113', '2001:db8::8000:0/113'],
])('%s is the block %s', (text, canonical) => {
  expect(parseCidr(text)).toMatchObject({ text: canonical })
})

test.each([
  ['10.0.0.1/8', 'has bits set behind its prefix', 'the block is 10.0.0.0/8'],
  ['2001:db8::1/64', 'has bits set behind its prefix', 'the block is 2001:db8::/64'],
  ['10.0.0.0/33', 'the prefix length is not right', 'it goes from 0 to 32 here, such as 10.0.0.0/8'],
  ['::/129', 'the prefix length is not right', 'it goes from 0 to 128 here, such as 2001:db8::/32'],
  [
    '::ffff:10.0.0.0/8',
    'the prefix length is not right',
    'it goes from 96 to 128 here, such as ::ffff:10.0.0.0/104',
  ],
  ['10.0.0.0/08', 'the prefix length is not right', 'it goes from 0 to 32 here, such as 10.0.0.0/8'],
  ['10.0.0.0/', 'the prefix length is not right', 'it goes from 0 to 32 here, such as 10.0.0.0/8'],
  ['10.0.0.0/255.0.0.0', 'the prefix length is not right', 'it goes from 0 to 32 here, such as 10.0.0.0/8'],
  ['10.0.0.0/8/8', 'the prefix length is not right', 'it goes from 0 to 32 here, such as 10.0.0.0/8'],
  [
    '10/8',
    'is not an address or block of addresses',
    'write all four numbers, without leading zeros: 10.0.0.0/8',
  ],
  ['fe80::%eth0/64', 'is not an address or block of addresses', 'leave the zone away'],
  ['[::1]', 'is not an address or block of addresses', 'write it without brackets and port'],
  ['example.com', 'is not an address or block of addresses', 'such as 10.0.0.0/8 or 2001:db8::/32'],
])('%s: %s', (text, wrong, hint) => {
  expect(parseCidr(text)).toEqual({ wrong, hint })
})

test('families are apart: a block of one holds nothing of the other', () => {
  const in4 = CidrSet.of(['0.0.0.0/0'])
  const in6 = CidrSet.of(['::/0'])
  const at = (text: string) => parseAddress(text)!
  expect([in4.has(at('1.2.3.4')), in4.has(at('::ffff:1.2.3.4')), in4.has(at('::1'))]).toEqual([
    true,
    true,
    false,
  ])
  expect([in6.has(at('1.2.3.4')), in6.has(at('::ffff:1.2.3.4')), in6.has(at('::1'))]).toEqual([
    false,
    false,
    true,
  ])
})

const words4 = fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 1 })
// Small differences in each word, so that blocks meet.
const words6 = fc.array(fc.oneof(fc.nat(3), fc.nat(0xffff_ffff)), { minLength: 4, maxLength: 4 })

test('text and words say the same, as another reader sees it', () => {
  fc.assert(
    fc.property(fc.oneof(words4, words6), (words) => {
      const address = addressOf(words)
      expect(parseAddress(address.text)).toEqual(address)
      const other = ipaddr.process(address.text)
      expect(other.toByteArray()).toEqual(
        address.words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]),
      )
    }),
  )
})

test('a set holds what one of its blocks holds', () => {
  const block = fc
    .tuple(fc.oneof(words4, words6), fc.nat(128))
    .map(([words, bits]): [ipaddr.IPv4 | ipaddr.IPv6, number, string] => {
      const { text } = addressOf(words)
      const prefix = Math.min(bits, text.includes(':') ? 128 : 32)
      const net = text.includes(':')
        ? ipaddr.IPv6.networkAddressFromCIDR(`${text}/${prefix}`)
        : ipaddr.IPv4.networkAddressFromCIDR(`${text}/${prefix}`)
      return [net, prefix, `${net.toString()}/${prefix}`]
    })
  fc.assert(
    fc.property(
      fc.array(block, { maxLength: 20 }),
      fc.array(fc.oneof(words4, words6), { minLength: 1 }),
      (blocks, asked) => {
        const set = CidrSet.of(blocks.map(([, , text]) => text))
        for (const words of [
          ...asked,
          ...blocks.map(([, , text]) => parseAddress(text.split('/')[0]!)!.words),
        ]) {
          const address = addressOf(words)
          const other = ipaddr.parse(address.text)
          const expected = blocks.some(
            ([net, prefix]) => net.kind() === other.kind() && other.match([net, prefix] as never),
          )
          expect(set.has(address)).toBe(expected)
        }
      },
    ),
  )
})

test('one sender is an IPv4 address, or a /64', () => {
  const sender = (text: string) => senderOf(parseAddress(text)!)
  expect(sender('10.0.0.1')).not.toBe(sender('10.0.0.2'))
  expect(sender('2001:db8::1')).toBe(sender('2001:db8::ffff:1'))
  expect(sender('2001:db8::1')).not.toBe(sender('2001:db8:0:1::1'))
})

test('every spelling of an IPv6 address that another reader takes is read alike', () => {
  const group = fc.oneof(
    fc.constant('0'),
    fc.constant('0000'),
    fc.nat(0xffff).map((value) => value.toString(16)),
  )
  const spelled = fc
    .tuple(fc.array(group, { minLength: 0, maxLength: 8 }), fc.nat(8), fc.boolean(), fc.boolean())
    .map(([groups, at, gap, upper]) => {
      const text = gap ? `${groups.slice(0, at).join(':')}::${groups.slice(at).join(':')}` : groups.join(':')
      return upper ? text.toUpperCase() : text
    })
  fc.assert(
    fc.property(spelled, (text) => {
      const expected = ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : null
      const read = parseAddress(text)
      if (expected === null) return expect(read).toBeNull()
      // `::` for nothing at all: the other reader takes it, RFC 4291 does not.
      if (read === null) return expect(text.split(':').filter((each) => each !== '')).toHaveLength(8)
      const bytes = read.words.flatMap((word) => [
        word >>> 24,
        (word >>> 16) & 255,
        (word >>> 8) & 255,
        word & 255,
      ])
      expect(expected.toByteArray().slice(-bytes.length)).toEqual(bytes)
      if (bytes.length === 16) expect(read.text).toBe(expected.toRFC5952String())
    }),
    { numRuns: 2000 },
  )
})
