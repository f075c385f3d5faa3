// Stage 2, authenticate: turns one credential into a principal, then says what that principal may do. Any failure is a
// 401: a credential that does not count is never passed over in favour of another, or of anonymity.

import type { Exchange, Principal } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { createApiKeys, type ApiKeyOptions } from './api-key.ts'
import { createAnonymous } from './anonymous.ts'
import { readCredential } from './credential.ts'
import type { Authenticator } from './authenticator.ts'
import { mayUseEndpoint, mayUseModel } from './rights.ts'

/** What stage 2 needs of the configuration. */
export interface AuthenticateOptions {
  readonly anonymous: boolean
  readonly keys: readonly ApiKeyOptions[]
}

export interface AuthenticateStage {
  /** Sets the principal. @throws Failure('invalid_api_key' | 'access_denied') */
  credential(x: Exchange): void
  /** What the body asks for: its model. Needs the body. @throws Failure('model_not_allowed' | 'invalid_json') */
  rights(x: Exchange): void
}

export function createAuthenticate(options: AuthenticateOptions): AuthenticateStage {
  const kinds: readonly Authenticator[] = [createApiKeys(options.keys), createAnonymous(options.anonymous)]
  return {
    credential(x) {
      x.principal = identify(x, kinds)
      mayUseEndpoint(x)
    },
    rights: mayUseModel,
  }
}

function identify(x: Exchange, kinds: readonly Authenticator[]): Principal {
  const credential = readCredential(x.request.headers, x.request.upgrade !== null)
  if (credential !== null && x.request.query.includes(credential)) {
    throw new Failure(
      'bad_request',
      'The query holds your API key. Send it in the Authorization header only.',
    )
  }
  for (const kind of kinds) {
    const principal = kind.identify(credential)
    if (principal !== null) return principal
  }
  throw credential === null
    ? new Failure(
        'invalid_api_key',
        'No API key was given. Send yours in the Authorization header: Bearer <key>.',
      )
    : new Failure('invalid_api_key', 'The API key is not valid. Check the key your client uses.')
}
