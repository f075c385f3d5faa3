// The PROXY protocol, versions 1 and 2 (haproxy.org/download/3.2/doc/proxy-protocol.txt): a header before the first byte
// of HTTP in which a proxy says for whom it connects. Believed only of trusted peers: whoever may send it may be anyone.
// Read bytewise until it is whole, and never guessed at: what differs from the format in one bit ends the connection.
// `LOCAL`, `UNKNOWN` and families without an address leave the proxy's own address: it speaks for itself.

import { addressOf, parseAddress } from '../../base/address.ts'

/** Who must and who may begin with a header. */
export interface ProxyProtocol {
  /** `optional`: a connection may also begin with HTTP. */
  readonly mode: 'optional' | 'required'
  /** Whether the header of this peer is believed. */
  trusts(peerAddress: string): boolean
}

/** A beginning read: `address` null = the peer itself; `length` bytes belong to the header. */
export interface ProxyHeader {
  readonly address: string | null
  readonly length: number
}

/** `more`: it may become a header; `none`: this is no header; `bad`: it is one, and broken. */
export type ProxyHeaderRead = ProxyHeader | 'more' | 'none' | 'bad'

/** Longest header of version 1, with its line end (section 2.1). */
const lineMax = 107
/** Longest header of version 2 that is taken, its TLVs included; those with certificates have some kilobytes. */
const blockMax = 16 * 1024

const lineStart = Buffer.from('PROXY ', 'latin1')
const blockStart = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

/** Reads what a connection begins with, all of it from the first byte on. Linear; holds nothing. */
export function readProxyHeader(bytes: Buffer): ProxyHeaderRead {
  if (beginsLike(bytes, lineStart)) return bytes.length < lineStart.length ? 'more' : readLine(bytes)
  if (beginsLike(bytes, blockStart)) return bytes.length < blockStart.length ? 'more' : readBlock(bytes)
  return 'none'
}

/** Whether the shorter of both is how the other begins. */
function beginsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length)
  return bytes.compare(start, 0, length, 0, length) === 0
}

const port = '(0|[1-9][0-9]{0,4})'
const line = new RegExp(`^PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ${port} ${port}$`)
const unknownLine = /^PROXY UNKNOWN(?: [\x20-\x7e]*)?$/

function readLine(bytes: Buffer): ProxyHeaderRead {
  const head = bytes.subarray(0, lineMax)
  const feed = head.indexOf(10)
  if (feed < 0) return bytes.length >= lineMax ? 'bad' : 'more'
  if (head[feed - 1] !== 13) return 'bad'
  const text = head.toString('latin1', 0, feed - 1)
  if (unknownLine.test(text)) return { address: null, length: feed + 1 }
  const match = line.exec(text)
  if (match === null) return 'bad'
  const [, family, source, target, ...ports] = match
  const six = family === 'TCP6'
  const from = parseAddress(source!)
  const to = parseAddress(target!)
  if (from === null || to === null || source!.includes(':') !== six || target!.includes(':') !== six)
    return 'bad'
  return ports.every((each) => Number(each) <= 65_535) ? { address: from.text, length: feed + 1 } : 'bad'
}

/** Bytes of an address block by family (section 2.2): none, IPv4, IPv6, Unix. */
const blockLengths = [0, 12, 36, 216]

function readBlock(bytes: Buffer): ProxyHeaderRead {
  if (bytes.length < 16) return 'more'
  const command = bytes[12]!
  const family = bytes[13]! >> 4
  const transport = bytes[13]! & 15
  const length = bytes.readUInt16BE(14)
  if (command >> 4 !== 2 || (command & 15) > 1 || family > 3 || transport > 2) return 'bad'
  if (16 + length > blockMax) return 'bad'
  if (bytes.length < 16 + length) return 'more'
  const header = { address: null, length: 16 + length }
  // LOCAL: whatever else it says is not about this connection.
  if ((command & 15) === 0) return header
  if (length < blockLengths[family]!) return 'bad'
  if (family === 0 || family === 3) return header
  // Only what comes over TCP can be a connection of ours.
  if (transport !== 1) return 'bad'
  const words = (family === 1 ? [16] : [16, 20, 24, 28]).map((at) => bytes.readUInt32BE(at))
  return { ...header, address: addressOf(words).text }
}
