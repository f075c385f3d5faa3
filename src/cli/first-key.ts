// The first start, without any configuration: a first `curl` must work, and nobody else may spend the account's money.
// So a key is made for this run alone; with the sandbox behind it, where nothing is at stake, it may also be left away.

import { createClientKey } from '../base/client-key.ts'
import { Secret } from '../base/secret.ts'
import type { LoadedConfig } from '../config/load.ts'

/** The configuration with a first key where it came from no file, and that key's text to be shown once. */
export function withFirstKey(
  loaded: LoadedConfig,
  previous?: LoadedConfig,
): { loaded: LoadedConfig; secret: string | null } {
  if (loaded.file !== null || loaded.config.access.keys.length > 0) return { loaded, secret: null }
  const kept = previous?.config.access.keys
  const secret = createClientKey('dev')
  const fresh = {
    name: 'first',
    value: new Secret(secret),
    team: null,
    app: null,
    user: null,
    env: 'dev',
    mayName: false,
  }
  const onlySandbox = loaded.config.upstreams.every((upstream) => upstream.provider === 'sandbox')
  const access = {
    ...loaded.config.access,
    anonymous: onlySandbox ? ('allow' as const) : loaded.config.access.anonymous,
    keys: kept !== undefined && kept.length > 0 ? kept : [fresh],
  }
  return { loaded: { ...loaded, config: { ...loaded.config, access } }, secret }
}
