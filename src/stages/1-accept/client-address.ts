// Who sent a request: the other end of the socket, or, where that is a proxy we trust, the hop that it names. Walked from
// the right, each hop was written by the trusted one behind it; the first that is not trusted itself is the client, and
// what stands further left is only what that client says. A hop that a trusted proxy wrote and that is no address is
// refused: to stop at the hop before would give the client the proxy's own address, which address rules tend to allow.
// Where both `Forwarded` and `X-Forwarded-For` are there, the trusted proxy may have written one and passed on the other
// as the client sent it, and nothing tells which: they must name the same client.

import { CidrSet, parseAddress, parsePeerAddress, type Address } from '../../base/address.ts'
import type { IncomingRequest } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { fieldId } from '../../net/wire/field-names.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'

/** More hops than this are no real way. */
const hopsMax = 32
/** Peers come again: few have an address that was not read a moment ago. */
const peersMax = 4096

const forwarded = fieldId('forwarded')
const forwardedFor = fieldId('x-forwarded-for')

/** The client behind a request; null where the socket has no address any more. @throws Failure('bad_request') */
export type FindClient = (request: IncomingRequest) => Address | null

/** `trustedProxies`: CIDR blocks whose header fields are believed. */
export function createFindClient(trustedProxies: readonly string[]): FindClient {
  const trusted = CidrSet.of(trustedProxies)
  const peers = new Map<string, Address | null>()
  const peerOf = (text: string): Address | null => {
    let peer = peers.get(text)
    if (peer === undefined) {
      if (peers.size >= peersMax) peers.clear()
      peers.set(text, (peer = parsePeerAddress(text)))
    }
    return peer
  }
  if (trusted.empty) return ({ peerAddress }) => peerOf(peerAddress)
  return ({ peerAddress, headers }) => {
    const peer = peerOf(peerAddress)
    if (peer === null || !trusted.has(peer)) return peer
    const standard = headers.findId(forwarded) < 0 ? null : forwardedHops(valueOf(headers, forwarded))
    const usual = headers.findId(forwardedFor) < 0 ? null : valueOf(headers, forwardedFor).split(',')
    const client = standard === null ? null : walk(standard, trusted)
    const other = usual === null ? null : walk(usual, trusted)
    if (client !== null && other !== null && client.text !== other.text) throw disagreement()
    return client ?? other ?? peer
  }
}

/** All lines of a field as one list. */
function valueOf(headers: HeaderBlock, id: number): string {
  let value = ''
  for (let index = 0; index < headers.size; index++) {
    if (headers.id(index) === id) value += value === '' ? headers.value(index) : `,${headers.value(index)}`
  }
  return value
}

/** The right-most hop that is not trusted, or else the left-most. */
function walk(hops: readonly string[], trusted: CidrSet): Address {
  if (hops.length > hopsMax) throw new Failure('bad_request', `The request names more than ${hopsMax} hops.`)
  let client: Address | null = null
  for (const hop of hops.toReversed()) {
    client = hopAddress(withoutBlanks(hop))
    if (client === null) throw noHop()
    if (!trusted.has(client)) return client
  }
  return client!
}

/** Space and tab only: `trim()` would also take U+00A0, which belongs to no address. */
function withoutBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && (text[start] === ' ' || text[start] === '\t')) start++
  while (end > start && (text[end - 1] === ' ' || text[end - 1] === '\t')) end--
  return text.slice(start, end)
}

const withPort = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?$/

/** `192.0.2.1`, `2001:db8::1`, either with a port, IPv6 then in brackets; null for anything else, such as `unknown`. */
function hopAddress(hop: string): Address | null {
  const match = withPort.exec(hop)
  if (match === null) return parseAddress(hop)
  if (match[1] !== undefined) return match[1].includes(':') ? parseAddress(match[1]) : null
  return parseAddress(match[2]!)
}

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
// The parts do not overlap, so that nothing is tried twice.
const parameter = new RegExp(
  `[ \\t]*(?:(${token})=(?:(${token})|"((?:[^"\\\\]|\\\\.)*)")[ \\t]*)?([;,]|$)`,
  'y',
)

/** `for` of each element of a Forwarded field (RFC 7239 section 4), '' where an element has none. */
function forwardedHops(value: string): string[] {
  const hops: string[] = []
  let hop: string | null = null
  parameter.lastIndex = 0
  for (let end = ''; parameter.lastIndex < value.length || end !== '';) {
    const match = parameter.exec(value)
    if (match === null) throw noHop()
    const [, name, plain, quoted] = match
    end = match[4]!
    if (name?.toLowerCase() === 'for') {
      // Named twice, readers would disagree on it.
      if (hop !== null) throw noHop()
      hop = plain ?? quoted!.replaceAll(/\\(.)/g, '$1')
    }
    if (end === ';') continue
    hops.push(hop ?? '')
    hop = null
    if (end === '') break
  }
  return hops.length === 0 ? [''] : hops
}

function noHop(): Failure {
  return new Failure(
    'bad_request',
    'The proxy in front named a client that is no address. Its operator must mend X-Forwarded-For or Forwarded.',
  )
}

function disagreement(): Failure {
  return new Failure(
    'bad_request',
    'Forwarded and X-Forwarded-For name different clients. The proxy in front must send one of them, and drop the other.',
  )
}
