// Internet addresses in one spelling each, and sets of blocks of them. An address rule is only as good as the spelling it
// is compared by, so what two readers could take for different addresses (octal, hex, short forms, zones) is no address
// here, and an IPv4 address in IPv6 clothes (::ffff:10.0.0.1) is that IPv4 address. Other embeddings (::10.0.0.1, NAT64,
// 6to4) stay IPv6: they are other addresses. `ipaddr.js` was refused: it takes three times as long
// for an IPv6 address, and reads ::10.0.0.1 as the mapped address; the tests hold the two against each other.

import { isIPv6 } from 'node:net'

/** One address. */
export interface Address {
  /** Canonical: dotted decimal, or RFC 5952. */
  readonly text: string
  /** 32 bits each, unsigned: one of IPv4, four of IPv6. */
  readonly words: readonly number[]
}

/** A block of addresses, both ends included. */
export interface Cidr {
  /** Canonical, with its prefix. */
  readonly text: string
  readonly first: readonly number[]
  readonly last: readonly number[]
}

/** What is wrong with a text that is no block, and what to write. */
export interface NotCidr {
  readonly wrong: string
  readonly hint: string
}

/** An address in one of its proper spellings; null for anything else. Zones (`fe80::1%eth0`) are refused. */
export function parseAddress(text: string): Address | null {
  if (!text.includes(':')) {
    const word = parseIPv4(text)
    return word < 0 ? null : { text, words: [word] }
  }
  const words = text.length > 45 || text.includes('%') || !isIPv6(text) ? null : parseIPv6(text)
  return words === null ? null : addressOf(words)
}

/** As `parseAddress`, for what a socket says of its other end: a zone names an interface of this machine and is left away. */
export function parsePeerAddress(text: string): Address | null {
  const zone = text.indexOf('%')
  return parseAddress(zone < 0 ? text : text.slice(0, zone))
}

/** The address that four words, or one, stand for. */
export function addressOf(words: readonly number[]): Address {
  if (words.length === 1 || isMapped(words)) {
    const word = words.at(-1)!
    return {
      text: `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`,
      words: [word],
    }
  }
  return { text: formatIPv6(words), words }
}

/** RFC 5952: lower case, no leading zeros, the first longest run of zeros as `::`. */
function formatIPv6(words: readonly number[]): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff])
  let start = -1
  let longest = 1
  for (let at = 0, run = 0; at < 8; at++) {
    run = groups[at] === 0 ? run + 1 : 0
    if (run > longest) {
      longest = run
      start = at - run + 1
    }
  }
  const text = (some: readonly number[]): string => some.map((group) => group.toString(16)).join(':')
  return start < 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + longest))}`
}

/** What counts as one sender where senders are counted: an IPv4 address, or the /64 that one IPv6 host has to itself. */
export function senderOf(address: Address): string {
  const [high, low] = address.words
  return low === undefined ? address.text : `${high!.toString(16)}:${low.toString(16)}/64`
}

/** Dotted decimal as a number; -1 for anything else, such as leading zeros, which some readers take for octal. */
function parseIPv4(text: string): number {
  if (text.length > 15) return -1
  let word = 0
  let octet = -1
  let dots = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 46) {
      if (octet < 0 || ++dots > 3) return -1
      word = word * 256 + octet
      octet = -1
      continue
    }
    const digit = code - 48
    if (digit < 0 || digit > 9 || octet === 0) return -1
    octet = octet < 0 ? digit : octet * 10 + digit
    if (octet > 255) return -1
  }
  return dots === 3 && octet >= 0 ? word * 256 + octet : -1
}

/** Four words of a text that is known to be IPv6; null where its dotted end is spelled oddly. */
function parseIPv6(text: string): readonly number[] | null {
  let plain = text
  if (text.includes('.')) {
    const start = text.lastIndexOf(':') + 1
    const word = parseIPv4(text.slice(start))
    if (word < 0) return null
    plain = `${text.slice(0, start)}${(word >>> 16).toString(16)}:${(word & 0xffff).toString(16)}`
  }
  const groups: number[] = []
  let gap = -1
  let group = 0
  for (let at = 0; at <= plain.length; at++) {
    const code = at === plain.length ? colon : plain.charCodeAt(at)
    if (code !== colon) {
      group = group * 16 + (code < 58 ? code - 48 : (code | 32) - 87)
      continue
    }
    if (at > 0 && plain.charCodeAt(at - 1) !== colon) {
      groups.push(group)
      group = 0
    }
    if (plain.charCodeAt(at + 1) === colon) gap = groups.length
  }
  if (gap >= 0) groups.splice(gap, 0, ...Array.from({ length: 8 - groups.length }, () => 0))
  return [0, 2, 4, 6].map((at) => groups[at]! * 65_536 + groups[at + 1]!)
}

const colon = 58

function isMapped(words: readonly number[]): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === 0xffff
}

const prefixPattern = /^(?:0|[1-9][0-9]{0,2})$/

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. A block that begins amid itself (`10.1.0.0/8`) is taken for a slip. */
export function parseCidr(text: string): Cidr | NotCidr {
  const slash = text.indexOf('/')
  const spelled = slash < 0 ? text : text.slice(0, slash)
  const address = parseAddress(spelled)
  if (address === null) return notAddress(spelled)
  const bits = address.words.length * 32
  // The prefix of a mapped block counts from the front of the IPv6 address.
  const before = spelled.includes(':') ? 128 - bits : 0
  const digits = slash < 0 ? String(bits + before) : text.slice(slash + 1)
  const prefix = prefixPattern.test(digits) ? Number(digits) - before : -1
  if (prefix < 0 || prefix > bits) {
    return {
      wrong: 'the prefix length is not right',
      hint: `it goes from ${before} to ${bits + before} here, such as ${bits === 32 && before === 0 ? '10.0.0.0/8' : before === 0 ? '2001:db8::/32' : '::ffff:10.0.0.0/104'}`,
    }
  }
  const first = address.words.map((word, at) => (word & maskOf(prefix - at * 32)) >>> 0)
  const last = first.map((word, at) => (word | ~maskOf(prefix - at * 32)) >>> 0)
  const block = `${addressOf(first).text}/${prefix}`
  if (first.some((word, at) => word !== address.words[at])) {
    return { wrong: 'has bits set behind its prefix', hint: `the block is ${block}` }
  }
  return { text: block, first, last }
}

/** The first `bits` of a word. */
function maskOf(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits)
}

function notAddress(text: string): NotCidr {
  const wrong = 'is not an address or block of addresses'
  if (text.includes('%')) return { wrong, hint: 'leave the zone away' }
  if (text.startsWith('[')) return { wrong, hint: 'write it without brackets and port' }
  if (/^[0-9.]+$/.test(text))
    return { wrong, hint: 'write all four numbers, without leading zeros: 10.0.0.0/8' }
  return { wrong, hint: 'such as 10.0.0.0/8 or 2001:db8::/32' }
}

/** A set of blocks. Looking an address up takes a binary search: some 14 steps among 10,000 blocks. */
export class CidrSet {
  readonly #four: Blocks
  readonly #six: Blocks

  constructor(blocks: readonly Cidr[]) {
    this.#four = new Blocks(blocks, 1)
    this.#six = new Blocks(blocks, 4)
  }

  /** @throws RangeError where one is no block: check them before */
  static of(texts: readonly string[]): CidrSet {
    return new CidrSet(
      texts.map((text) => {
        const block = parseCidr(text)
        if ('wrong' in block) throw new RangeError(`${text}: ${block.wrong}`)
        return block
      }),
    )
  }

  get empty(): boolean {
    return this.#four.size + this.#six.size === 0
  }

  has(address: Address): boolean {
    return (address.words.length === 1 ? this.#four : this.#six).has(address.words)
  }
}

/** Blocks of one family, those inside others left out: then they are disjoint, and sorted. */
class Blocks {
  readonly size: number
  readonly #firsts: Uint32Array
  readonly #lasts: Uint32Array

  constructor(
    blocks: readonly Cidr[],
    private readonly width: 1 | 4,
  ) {
    const sorted = blocks
      .filter(({ first }) => first.length === width)
      .toSorted((a, b) => compare(a.first, b.first, 0) || compare(b.last, a.last, 0))
    const kept: Cidr[] = []
    for (const block of sorted) {
      // Blocks lie inside one another or apart, never half over.
      if (kept.length === 0 || compare(block.first, kept.at(-1)!.last, 0) > 0) kept.push(block)
    }
    this.size = kept.length
    this.#firsts = Uint32Array.from(kept.flatMap(({ first }) => first))
    this.#lasts = Uint32Array.from(kept.flatMap(({ last }) => last))
  }

  has(words: readonly number[]): boolean {
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compare(words, this.#firsts, middle * this.width) < 0) high = middle
      else low = middle + 1
    }
    return low > 0 && compare(words, this.#lasts, (low - 1) * this.width) <= 0
  }
}

/** The words against those of `others` from `at` on: below 0, 0 or above. */
function compare(words: readonly number[], others: ArrayLike<number>, at: number): number {
  for (let index = 0; index < words.length; index++) {
    const difference = words[index]! - others[at + index]!
    if (difference !== 0) return difference
  }
  return 0
}
