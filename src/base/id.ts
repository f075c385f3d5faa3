// The one file that draws randomness. Identifiers are drawn from a pool of random bytes filled in one call:
// a call per identifier would cost more than all the rest of a log line.

import { randomFillSync } from 'node:crypto'

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
const pool = new Uint8Array(8192)
let next = pool.length

function randomByte(): number {
  if (next === pool.length) {
    randomFillSync(pool)
    next = 0
  }
  return pool[next++]!
}

/** `length` characters of base62, uniformly drawn from the system's generator. */
export function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    const byte = randomByte()
    // 248 = 4 × 62: bytes above would make the first characters likelier.
    if (byte < 248) text += alphabet[byte % 62]
  }
  return text
}

/** `length` random bytes, such as a nonce. */
export function randomBlock(length: number): Uint8Array {
  return randomFillSync(new Uint8Array(length))
}

/** A new identifier, such as `hgr_…` for a request: 20 base62 characters (119 bits) behind the prefix. */
export function newId(prefix: string): string {
  return `${prefix}_${randomText(20)}`
}

/** A seed for hashes that nobody outside may foresee: 32 bits. */
export function randomSeed(): number {
  return randomByte() * 0x1000000 + randomByte() * 0x10000 + randomByte() * 0x100 + randomByte()
}

/** The identifier given next, as bytes; its last 7 count, in base 36. */
const exchangeId = Buffer.from(`hgx_${randomText(10)}0000000`, 'latin1')

/** Identifier of one exchange: unique over all processes (60 random bits a process), in order within one, and cheap. */
export function newExchangeId(): string {
  const id = Buffer.prototype.latin1Slice.call(exchangeId, 0, exchangeId.length) as string
  for (let at = exchangeId.length - 1; ; at--) {
    const digit = exchangeId[at]!
    // `9` is followed by `a`, `z` by a carry.
    if (digit !== 122) {
      exchangeId[at] = digit === 57 ? 97 : digit + 1
      return id
    }
    exchangeId[at] = 48
  }
}

/** `length` random bytes, for a nonce. */
export function randomNonce(length: number): Uint8Array {
  return randomFillSync(new Uint8Array(length))
}

/** A number from 0 up to but not 1, uniformly drawn: for choices and for waits that are spread. */
export function randomFraction(): number {
  return (((randomByte() << 16) | (randomByte() << 8) | randomByte()) * 128 + (randomByte() >>> 1)) / 2 ** 31
}
