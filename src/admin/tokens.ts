// Who may use the admin API. A token is compared with every one there is, each by its digest and in constant time, so
// that the time taken tells nothing of how near a guess was, nor at which place of the list it failed.

import { timingSafeEqual } from 'node:crypto'
import { plainTokenHash, storedTokenHash } from '../base/admin-token.ts'
import type { AdminConfig } from '../config/admin-options.ts'

/** `viewer` reads; `admin` may do everything. */
export type Role = 'viewer' | 'admin'

/** Whoever holds a token. */
export interface Operator {
  readonly name: string
  readonly role: Role
}

interface Entry extends Operator {
  readonly kind: 'plain' | 'stored'
  readonly digest: Buffer
}

export class AdminTokens {
  private constructor(private readonly entries: readonly Entry[]) {}

  /** `generated`: digest of the token made at the first start; counts only where none is configured. */
  static of(config: Pick<AdminConfig, 'token' | 'tokens'>, generated: Buffer | null): AdminTokens {
    const entries: Entry[] = config.tokens.map(({ name, role, hash, value }) => ({
      name,
      role,
      kind: 'plain',
      digest:
        hash === undefined
          ? plainTokenHash(value!.reveal())
          : Buffer.from(hash.slice('sha256:'.length), 'hex'),
    }))
    if (config.token !== undefined)
      entries.push({
        name: 'admin',
        role: 'admin',
        kind: 'plain',
        digest: plainTokenHash(config.token.reveal()),
      })
    if (entries.length === 0 && generated !== null)
      entries.push({ name: 'admin', role: 'admin', kind: 'stored', digest: generated })
    return new AdminTokens(entries)
  }

  /** Whose token it is, or null. */
  identify(token: string): Operator | null {
    const digests = { plain: plainTokenHash(token), stored: storedTokenHash(token) }
    let found: Operator | null = null
    for (const { name, role, kind, digest } of this.entries) {
      if (timingSafeEqual(digests[kind], digest)) found = { name, role }
    }
    return found
  }
}
