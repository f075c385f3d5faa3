// Who owns what a caller makes. An owner is written with its kind in front, so that a team and a key of one name are two.

import type { Principal } from '../exchange.ts'

/** Whose an object is: `access.objects.owner`. */
export type OwnerKind = 'team' | 'key' | 'user' | 'app'

/** The part of a principal that says who it is. */
export type Owning = Pick<Principal, 'kind' | 'key' | 'keyId' | 'team' | 'user' | 'app' | 'issuer'>

/** Owner of what `principal` makes: its team (or user, app), or where it has none its key, or for tokens the user. */
export function ownerOf(principal: Owning, kind: OwnerKind): string {
  const named = kind === 'key' ? null : principal[kind]
  if (named !== null) return `${kind}:${named}`
  if (principal.keyId !== null) return `key:${principal.keyId}`
  if (principal.key !== null) return `static:${principal.key}`
  // Two issuers may each have a user 1.
  if (principal.kind === 'jwt') return `token:${JSON.stringify([principal.issuer ?? '', principal.user])}`
  return 'anonymous'
}
