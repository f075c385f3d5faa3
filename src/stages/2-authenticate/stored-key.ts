// Client keys from the store. This stage only asks a look-up in memory: which store there is, and how it is kept up to
// date, is not its business.

import type { Principal } from '../../exchange.ts'
import type { Authenticator } from './authenticator.ts'
import { invalidKey } from './invalid-key.ts'

/** The look-up: who a credential is, why it no longer counts, or null for one it never heard of. Never waits. */
export interface StoredKeyLookup {
  lookup(credential: string): Principal | 'expired' | 'revoked' | null
}

/** @param keys null where this gate has no store */
export function createStoredKeys(keys: StoredKeyLookup | null): Authenticator {
  return {
    identify(credential) {
      if (keys === null || credential === null) return null
      const verdict = keys.lookup(credential)
      // Known and no longer good: said at once, so that no other kind is asked about it.
      if (verdict === 'expired' || verdict === 'revoked') throw invalidKey(`the key is ${verdict}`)
      return verdict
    },
  }
}
