// Stage 2, authenticate: turns one credential into a principal, then says what that principal may do. Any failure is a
// 401: a credential that does not count is never passed over in favour of another, or of anonymity.

import type { Clock } from '../../base/clock.ts'
import type { Exchange, Principal } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { createApiKeys, type ApiKeyOptions } from './api-key.ts'
import { createAnonymous } from './anonymous.ts'
import { createCaller, type CallerOptions } from './caller.ts'
import { invalidKey, noKey } from './invalid-key.ts'
import { createTokens, type IssuerOptions } from './jwt.ts'
import { JwtKeeper } from './jwt-keeper.ts'
import { readKeySet } from './jwt-key-set.ts'
import { readCredential } from './credential.ts'
import type { Authenticator } from './authenticator.ts'
import { mayUseEndpoint, mayUseModel } from './rights.ts'
import { createStoredKeys, type StoredKeyLookup } from './stored-key.ts'

/** What stage 2 needs of the configuration, and the clock that failed credentials are counted by. */
export interface AuthenticateOptions extends CallerOptions {
  readonly clock: Clock
  readonly anonymous: boolean
  readonly keys: readonly ApiKeyOptions[]
  /** Keys of the store; null = there is none. */
  readonly stored: StoredKeyLookup | null
  /** Issuers whose tokens count. */
  readonly jwt: readonly IssuerOptions[]
}

export { JwtKeeper, readKeySet }

export interface AuthenticateStage {
  /** Sets the principal. @throws Failure('invalid_api_key' | 'access_denied' | 'rate_limit_exceeded' | 'bad_request') */
  credential(x: Exchange): void | Promise<void>
  /** What the body asks for: its model. Needs the body. @throws Failure('model_not_allowed' | 'invalid_json') */
  rights(x: Exchange): void
  /** Why some callers are refused that should not be, for people; one line each. */
  troubles(): string[]
  /** Ends what runs beside requests. */
  close(): void
}

/** @throws Error where a file it needs cannot be used */
export function createAuthenticate(options: AuthenticateOptions, keeper: JwtKeeper): AuthenticateStage {
  const tokens = createTokens(options.jwt, keeper)
  const kinds: readonly Authenticator[] = [
    tokens,
    createApiKeys(options.keys),
    createStoredKeys(options.stored),
    createAnonymous(options.anonymous),
  ]
  const caller = createCaller(options, options.clock)
  const enter = (x: Exchange, principal: Principal): void => {
    caller.enter(x, principal)
    mayUseEndpoint(x)
  }
  // By itself: a function that makes closures pays for it at every call.
  const entersLater = (x: Exchange, found: Promise<Principal>): Promise<void> =>
    found.then(
      (principal) => enter(x, principal),
      (cause: unknown) => {
        throw caller.failed(x, cause)
      },
    )
  return {
    credential(x) {
      caller.admit(x)
      let found: Principal | Promise<Principal>
      try {
        found = identify(x, kinds)
      } catch (cause) {
        throw caller.failed(x, cause)
      }
      return found instanceof Promise ? entersLater(x, found) : enter(x, found)
    },
    rights: mayUseModel,
    troubles: () => tokens.troubles(),
    close: () => tokens.close(),
  }
}

function identify(x: Exchange, kinds: readonly Authenticator[]): Principal | Promise<Principal> {
  const { headers } = x.request
  const credential = readCredential(headers, x.request.upgrade !== null)
  if (credential !== null && x.request.query.includes(credential)) {
    throw new Failure(
      'bad_request',
      'The query holds your API key. Send it in the Authorization header only.',
    )
  }
  for (const kind of kinds) {
    const principal = kind.identify(credential, headers.known)
    if (principal !== null) return principal
  }
  throw credential === null ? noKey : invalidKey()
}
