// The token that is made where none is configured: its hash in a file of the data directory, for this user alone. The
// token itself is shown once. Deleting the file and starting again makes a new one.

import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAdminToken, storedTokenHash } from '../base/admin-token.ts'
import { newId } from '../base/id.ts'
import { Secret } from '../base/secret.ts'

/** Name of the file in the data directory. */
export const tokenFileName = 'admin-token'

/** The digest that is kept, and the token itself where it was made just now. */
export interface GeneratedToken {
  readonly digest: Buffer
  readonly fresh: Secret | null
}

/** Reads the token's hash, or makes a token. @throws Error with one line for the operator */
export function generatedToken(folder: string): GeneratedToken {
  const file = join(folder, tokenFileName)
  const kept = read(file)
  if (kept !== null) return { digest: kept, fresh: null }
  const token = createAdminToken()
  const digest = storedTokenHash(token)
  const fresh = `${file}.${newId('new')}`
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    writeFileSync(fresh, `hmac-sha256:${digest.toString('hex')}\n`, { flag: 'wx', mode: 0o600 })
    // Fails where another process was faster: its token counts then.
    linkSync(fresh, file)
    return { digest, fresh: new Secret(token) }
  } catch (cause) {
    const other = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? read(file) : null
    if (other !== null) return { digest: other, fresh: null }
    throw new Error(`cannot write ${file}: ${(cause as Error).message}`, { cause })
  } finally {
    rmSync(fresh, { force: true })
  }
}

function read(file: string): Buffer | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
    if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new Error(`cannot read ${file}: ${(cause as Error).message}`, { cause })
  }
  const hex = /^hmac-sha256:([0-9a-f]{64})\n?$/.exec(text)?.[1]
  if (hex !== undefined) return Buffer.from(hex, 'hex')
  throw new Error(`${file} is damaged: delete it, and a new admin token is made at the next start`)
}
