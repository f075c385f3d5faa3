// Client keys from the configuration. A key is looked up by the SHA-256 of its whole text, so that neither the time of
// the look-up nor the table in memory tells anything about a key that is nearly right.

import { Finding } from '../../base/known-bytes.ts'
import type { Secret } from '../../base/secret.ts'
import type { Principal } from '../../exchange.ts'
import type { AddressLists } from './address-rules.ts'
import type { Authenticator } from './authenticator.ts'
import type { UserAgentLists } from './user-agents.ts'

/** One configured key: its hash, or its text. */
export interface ApiKeyOptions {
  readonly name: string
  /** `sha256:` and 64 hex digits. */
  readonly hash?: string | undefined
  readonly value?: Secret | undefined
  readonly team: string | null
  readonly app: string | null
  readonly user: string | null
  readonly env: string | null
  readonly models?: readonly string[] | undefined
  readonly endpoints?: readonly string[] | undefined
  readonly addresses?: AddressLists | undefined
  readonly userAgents?: UserAgentLists | undefined
  readonly mayName?: boolean
}

export function createApiKeys(keys: readonly ApiKeyOptions[]): Authenticator {
  const byHash = new Map<string, Principal>()
  for (const key of keys)
    byHash.set(key.hash?.slice('sha256:'.length) ?? sha256(key.value!.reveal()), principalOf(key))
  return {
    identify: (credential, known = null) =>
      credential === null ? null : (byHash.get(digest.of(known, credential)) ?? null),
  }
}

function principalOf(key: ApiKeyOptions): Principal {
  return {
    kind: 'key',
    key: key.name,
    keyId: null,
    team: key.team,
    app: key.app,
    user: key.user,
    env: key.env,
    models: key.models ?? null,
    endpoints: key.endpoints ?? null,
    addresses: unlessEmpty(key.addresses?.allow),
    deniedAddresses: key.addresses?.deny ?? [],
    userAgents: unlessEmpty(key.userAgents?.allow),
    deniedUserAgents: key.userAgents?.deny ?? [],
    mayName: key.mayName ?? false,
    expiresAtMs: null,
  }
}

function unlessEmpty(allow: readonly string[] | undefined): readonly string[] | null {
  return allow === undefined || allow.length === 0 ? null : allow
}

const digest = new Finding(sha256)

function sha256(text: string): string {
  return Bun.SHA256.hash(text, 'hex')
}
