// The pepper: a secret kept beside the database and never in it, so that who reads a dump of the database can neither
// check a guess nor make a digest. Each use derives its own key from it (HKDF, RFC 5869): what is kept for one purpose
// is worth nothing for another. A pepper that is gone is never replaced silently: every key would be refused, and
// the reason would be found out last.

import { hkdfSync } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { newId, randomText } from '../base/id.ts'
import type { Secret } from '../base/secret.ts'
import { Sealer } from './sealer.ts'

const lengthMin = 32
const lengthMax = 4096

/** What keys are derived for. A new use is a new name here. */
export type Purpose =
  | 'client-key'
  | 'pepper-check'
  | 'admin-token'
  | 'admin-session'
  | 'idempotency-scope'
  | 'idempotency-answer'

/** The pepper cannot be had or cannot be the right one: one clear line. */
export class PepperFailure extends Error {}

/** HMAC-SHA256 under one key. Synchronous, well below a microsecond. */
export class KeyedHash {
  // Keyed once: a copy costs a third of starting anew.
  readonly #keyed: Bun.CryptoHasher
  // Bun wants room for the longest of its digests.
  readonly #words = new Uint32Array(16)

  constructor(key: ArrayBuffer) {
    this.#keyed = new Bun.CryptoHasher('sha256', new Uint8Array(key))
  }

  /** Base64, as the store keeps it. */
  text(text: string): string {
    return this.#keyed.copy().update(text).digest('base64')
  }

  /** The same as eight words, for comparing in memory; they hold until the next call. */
  words(text: string): Uint32Array {
    this.#keyed.copy().update(text).digest(this.#words)
    return this.#words
  }
}

/** A pepper in memory; its text cannot be read out of it. */
export class Pepper {
  readonly #text: string

  /** @throws PepperFailure where it is too short to be one */
  constructor(text: string, source: string) {
    if (text.length < lengthMin || text.length > lengthMax) {
      throw new PepperFailure(
        `the pepper in ${source} must have ${lengthMin} to ${lengthMax} characters, but has ${text.length}: restore it from a backup`,
      )
    }
    this.#text = text
  }

  /** HMAC-SHA256, keyed for one purpose alone. */
  hasher(purpose: Purpose): KeyedHash {
    return new KeyedHash(hkdfSync('sha256', this.#text, '', `headgate ${purpose} v1`, 32))
  }

  /** Seals with a key of one purpose alone. */
  sealer(purpose: Purpose): Sealer {
    return new Sealer(hkdfSync('sha256', this.#text, '', `headgate ${purpose} v1`, 32))
  }

  /** Tells whether two processes hold the same pepper, and nothing about it. */
  get check(): string {
    return this.hasher('pepper-check').text('headgate')
  }
}

/** The pepper given by the configuration. @throws PepperFailure */
export function configuredPepper(secret: Secret): Pepper {
  return new Pepper(secret.reveal(), 'storage.pepper')
}

/** The pepper in a file; null where there is no such file. @throws PepperFailure where it cannot be used */
export function readPepper(file: string): Pepper | null {
  let text: string
  try {
    const { mode } = statSync(file)
    if ((mode & 0o077) !== 0) {
      throw new PepperFailure(`the pepper ${file} can be read by others: run chmod 600 ${file}`)
    }
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if (cause instanceof PepperFailure) throw cause
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    throw new PepperFailure(
      `cannot read the pepper ${file}: ${code === 'EACCES' ? 'permission denied' : message}`,
    )
  }
  return new Pepper(text.trim(), file)
}

/** Makes a pepper, readable by this user alone; where another process was quicker, theirs. @throws PepperFailure */
export function createPepper(file: string): Pepper {
  const fresh = `${file}.${newId('new')}`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(fresh, `${randomText(64)}\n`, { flag: 'wx', mode: 0o600 })
    // A link fails where the place is taken, and never shows a file half written.
    linkSync(fresh, file)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code !== 'EEXIST') throw new PepperFailure(`cannot write the pepper ${file}: ${message}`)
  } finally {
    rmSync(fresh, { force: true })
  }
  const pepper = readPepper(file)
  if (pepper === null) throw new PepperFailure(`cannot write the pepper ${file}: it was removed at once`)
  return pepper
}
