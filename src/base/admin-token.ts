// Tokens of the admin port: `hga_<40 random base62><6 base62 of CRC-32>`, as client keys are made, with a prefix of
// their own: a scanner tells them apart, and neither is ever taken for the other. What is kept is an HMAC under a fixed
// name: with 238 random bits there is nothing to stretch, and the file's content is no valid `hash` of a client key.

import { createHash, createHmac } from 'node:crypto'
import { checksum } from './client-key.ts'
import { randomText } from './id.ts'

const shape = /^hga_[A-Za-z0-9]{46}$/
const purpose = 'headgate admin token 1'

/** A new token. */
export function createAdminToken(): string {
  const body = `hga_${randomText(40)}`
  return body + checksum(body)
}

/** Whether `text` has the shape of a token of ours and its checksum fits. */
export function isWellFormedAdminToken(text: string): boolean {
  return shape.test(text) && checksum(text.slice(0, -6)) === text.slice(-6)
}

/** What the data directory keeps of a token: 32 bytes. */
export function storedTokenHash(text: string): Buffer {
  return createHmac('sha256', purpose).update(text).digest()
}

/** What a configuration's `hash` means: plain SHA-256, 32 bytes. */
export function plainTokenHash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
