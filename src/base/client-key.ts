// Keys we hand to applications: `hg_<env>_<40 random base62><6 base62 of CRC-32>`. The checksum lets a scanner, a log
// filter or a support desk tell a real key from a look-alike without asking anyone, as GitHub's tokens do. Only the
// SHA-256 is kept: with 238 random bits there is nothing for a slow hash to protect.

import { createHash } from 'node:crypto'
import { randomText } from './id.ts'

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const randomLength = 40
const shape = /^hg_[a-z0-9][a-z0-9-]{0,31}_[A-Za-z0-9]{46}$/

/** A new client key for an environment such as `dev`; `env`: lower-case letters, digits, hyphens, 32 at most. */
export function createClientKey(env: string): string {
  const body = `hg_${env}_${randomText(randomLength)}`
  const key = body + checksum(body)
  if (!shape.test(key)) throw new RangeError('env must be 1 to 32 lower-case letters, digits and hyphens')
  return key
}

/** Whether `text` has the shape of a client key and its checksum fits. Says nothing about whether it is known. */
export function isWellFormedClientKey(text: string): boolean {
  return shape.test(text) && checksum(text.slice(0, -6)) === text.slice(-6)
}

/** `sha256:<64 hex digits>` of a key: what configuration and storage hold in its place. */
export function hashClientKey(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** CRC-32 (ISO-HDLC, as in zip) as six base62 digits. */
export function checksum(text: string): string {
  let rest = Bun.hash.crc32(text)
  let suffix = ''
  for (let place = 0; place < 6; place += 1) {
    suffix = digits[rest % 62]! + suffix
    rest = Math.floor(rest / 62)
  }
  return suffix
}
