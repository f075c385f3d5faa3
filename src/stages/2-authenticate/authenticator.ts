// The contract of stage 2's kinds.

import type { Principal } from '../../exchange.ts'

/** One way to know who asks. */
export interface Authenticator {
  /** The principal behind a credential (null: none was sent), or null where this kind does not know it. */
  identify(credential: string | null): Principal | null
}
