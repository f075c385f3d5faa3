// The contract of stage 7's kinds: what makes one provider's API differ from another's. Everything that is the same for
// all of them (header rules, time-outs, errors) is in this folder's other files.

import type { Secret } from '../../base/secret.ts'

/** One provider, as data and small pure functions. */
export interface Provider {
  /** The header line, with CRLF, that carries the account's key; '' without one. */
  credentialLine(key: Secret | null): string
  /** Header lines of the account besides its key, each ended by CRLF. */
  accountLines(account: AccountNames): string
}

/** What an account is called at its provider. */
export interface AccountNames {
  readonly organization: string | null
  readonly project: string | null
}
