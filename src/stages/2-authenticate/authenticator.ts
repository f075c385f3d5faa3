// The contract of stage 2's kinds.

import type { KnownBytes } from '../../base/known-bytes.ts'
import type { Principal } from '../../exchange.ts'

/** One way to know who asks. */
export interface Authenticator {
  /**
   * The principal behind a credential (null: none was sent), or null where this kind does not know it. A promise only
   * where something must be fetched first: what was seen before is answered at once.
   * `known`: the head it stands in, where that came before.
   * @throws Failure('invalid_api_key') where the credential is of this kind and does not count: no other kind is asked
   */
  identify(credential: string | null, known?: KnownBytes | null): Principal | null | Promise<Principal>
}
