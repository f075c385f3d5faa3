// Seals what is kept of answers (AES-256-GCM): who reads the database reads nothing, and nothing can be put in another's
// place, since what it is for is part of the seal.

import { createCipheriv, createDecipheriv } from 'node:crypto'
import { randomBlock } from '../base/id.ts'

const nonceBytes = 12
const tagBytes = 16

export class Sealer {
  readonly #key: Uint8Array

  /** `key`: 32 bytes, used for this purpose alone. */
  constructor(key: ArrayBuffer) {
    this.#key = new Uint8Array(key)
  }

  /** `bytes` sealed for `place`, in base64. */
  seal(bytes: Uint8Array, place: string): string {
    const nonce = randomBlock(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(place))
    return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]).toString(
      'base64',
    )
  }

  /** What was sealed for `place`; null where it was not, or has been changed. */
  open(sealed: string, place: string): Uint8Array | null {
    const bytes = Buffer.from(sealed, 'base64')
    if (bytes.length < nonceBytes + tagBytes) return null
    try {
      const cipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, nonceBytes))
      cipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(bytes.length - tagBytes))
      return Buffer.concat([
        cipher.update(bytes.subarray(nonceBytes, bytes.length - tagBytes)),
        cipher.final(),
      ])
    } catch {
      return null
    }
  }
}
