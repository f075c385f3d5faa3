// Answers outside of this process, encrypted where `storage.key` is set: AES-256-GCM with a key of their own, derived from it
// for this purpose alone. An answer is bound to the digest of what was asked, so that nobody can put one in another's
// place; and the digest is keyed too, since a plain one would let whoever reads the store check what was asked.

import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto'
import { randomNonce } from '../../base/id.ts'
import type { Secret } from '../../base/secret.ts'

const nonceBytes = 12
const tagBytes = 16

/** How answers are written and under which name. */
export interface Seal {
  /** The name of an entry in stores outside of this process: 32 bytes. */
  name(key: string): Uint8Array
  close(name: Uint8Array, bytes: Uint8Array): Uint8Array
  /** Null where it was written by another key, or changed. */
  open(name: Uint8Array, bytes: Uint8Array): Uint8Array | null
}

/** Writes answers as they are. */
export const noSeal: Seal = {
  name: (key) => Buffer.from(key, 'hex'),
  close: (_, bytes) => bytes,
  open: (_, bytes) => bytes,
}

/** Encrypts with a key derived from `secret`. */
export function sealWith(secret: Secret): Seal {
  const derive = (purpose: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', secret.reveal(), 'headgate', purpose, 32))
  const valueKey = derive('cache values')
  const nameKey = derive('cache names')
  return {
    name: (key) => createHmac('sha256', nameKey).update(key).digest(),
    close(name, bytes) {
      const nonce = randomNonce(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', valueKey, nonce).setAAD(name)
      return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
    },
    open(name, bytes) {
      if (bytes.length < nonceBytes + tagBytes) return null
      try {
        const cipher = createDecipheriv('aes-256-gcm', valueKey, bytes.subarray(0, nonceBytes))
        cipher.setAAD(name).setAuthTag(bytes.subarray(bytes.length - tagBytes))
        const sealed = bytes.subarray(nonceBytes, bytes.length - tagBytes)
        return Buffer.concat([cipher.update(sealed), cipher.final()])
      } catch {
        return null
      }
    },
  }
}
