// The body of a request as it is taken in: counted and hashed whole, kept up to a limit, and read as a form on the way where it is one.

import { createHash } from 'node:crypto'
import { formBoundary, FormReader } from './multipart.ts'
import type { Part } from './multipart.ts'

/** A body that has come whole. */
export interface TakenBody {
  readonly length: number
  readonly sha256: string
  /** The first bytes, up to the limit; all of them where `length` is no more. */
  readonly bytes: Uint8Array
  /** The parts of a form; null where it is none. */
  readonly parts: readonly Part[] | null
  /** Why the form could not be read. */
  readonly formProblem: string | null
}

/** Bytes of an uploaded file that are kept. */
export const fileBytesKept = 8 * 1024 * 1024

/** Takes a body in, piece by piece. */
export class BodyTaker {
  readonly #hash = createHash('sha256')
  readonly #kept: Uint8Array[] = []
  readonly #form: FormReader | null
  #keptBytes = 0
  #length = 0

  constructor(
    contentType: string | null,
    readonly keptMax: number,
  ) {
    const boundary = formBoundary(contentType)
    this.#form = boundary === null ? null : new FormReader(boundary, fileBytesKept)
  }

  push(bytes: Uint8Array): void {
    this.#length += bytes.length
    this.#hash.update(bytes)
    this.#form?.push(bytes)
    const room = this.keptMax - this.#keptBytes
    if (room <= 0) return
    const kept = Uint8Array.from(bytes.subarray(0, room))
    this.#kept.push(kept)
    this.#keptBytes += kept.length
  }

  take(): TakenBody {
    const form = this.#form
    const problem =
      form === null ? null : (form.problem ?? (form.complete ? null : 'the closing boundary is missing'))
    return {
      length: this.#length,
      sha256: this.#hash.digest('hex'),
      bytes: this.#kept.length === 1 ? this.#kept[0]! : Buffer.concat(this.#kept),
      parts: form?.parts ?? null,
      formProblem: problem,
    }
  }
}
