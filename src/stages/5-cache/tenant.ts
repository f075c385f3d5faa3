// Who shares answers with whom. A tenant is a kind, a name and the team it is in: a user "ann" of one team is not the "ann" of
// another, and a team called like a key is not that key. Who has no name of the kind asked for shares with nobody but its
// own key; who has not even that has no cache. The environment always counts, since it decides which upstream pays.

import type { Principal } from '../../exchange.ts'

/** Who shares answers, as configured. */
export type Scope = 'key' | 'user' | 'team' | 'app' | 'all'

/** The tenant of a caller, as text in which no two tenants are alike; null = it has no cache. `tools`: see below. */
export function tenantOf(principal: Principal, scope: Scope, tools: boolean): string | null {
  const { team, env } = principal
  if (scope === 'all') {
    // What a model wants done is done with the rights of whoever asked: never in another tenant's name.
    return tools ? tenantOf(principal, 'team', false) : JSON.stringify(['all', env])
  }
  const name = scope === 'team' ? team : scope === 'key' ? null : principal[scope]
  if (name !== null) return JSON.stringify([scope, name, team, env])
  if (principal.keyId !== null) return JSON.stringify(['key id', principal.keyId, team, env])
  if (principal.key !== null) return JSON.stringify(['key', principal.key, team, env])
  // A token has no key: its subject stands for it.
  if (principal.kind === 'jwt' && principal.user !== null)
    return JSON.stringify(['user', principal.user, team, env])
  return null
}
