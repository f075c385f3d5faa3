// Rows of the store as the rest of the program knows them: what is shown of a key, and the principal it stands for.

import type { Selectable } from 'kysely'
import type { Principal } from '../exchange.ts'
import type { KeysTable } from '../storage/database.ts'
import type { KeyInfo } from './key-service.ts'
import type { CheckedSpec } from './key-spec.ts'

/** The columns of a key that the path of a request needs. */
export const indexColumns = [
  'id',
  'changed_seq',
  'name',
  'env',
  'team',
  'app',
  'user_name',
  'models',
  'endpoints',
  'addresses',
  'user_agents',
  'budget',
  'may_name',
  'expires_at_ms',
  'revoked_at_ms',
] as const

/** A key as the index holds it. */
export type IndexRow = Pick<Selectable<KeysTable>, (typeof indexColumns)[number]>

/** A key with what its digests say. */
export type KeyRow = Selectable<KeysTable> & { readonly previous_until_ms: number | null }

/** Who a key stands for. */
export function principalOf(row: IndexRow): Principal {
  return {
    kind: 'key',
    key: row.name,
    keyId: row.id,
    team: row.team,
    app: row.app,
    user: row.user_name,
    env: row.env,
    models: parseList(row.models),
    endpoints: parseList(row.endpoints),
    addresses: parseList(row.addresses),
    userAgents: parseList(row.user_agents),
    mayName: row.may_name === 1,
    budget: row.budget,
    expiresAtMs: row.expires_at_ms,
  }
}

/** What may be shown of a key. */
export function infoOf(row: KeyRow, nowMs: number): KeyInfo {
  const expired = row.expires_at_ms !== null && row.expires_at_ms <= nowMs
  const until = row.previous_until_ms
  return {
    id: row.id,
    name: row.name,
    env: row.env,
    team: row.team,
    app: row.app,
    user: row.user_name,
    models: parseList(row.models),
    endpoints: parseList(row.endpoints),
    addresses: parseList(row.addresses),
    userAgents: parseList(row.user_agents),
    budget: row.budget,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    mayName: row.may_name === 1,
    state: row.revoked_at_ms !== null ? 'revoked' : expired ? 'expired' : 'active',
    createdAtMs: row.created_at_ms,
    createdBy: row.created_by,
    expiresAtMs: row.expires_at_ms,
    rotatedAtMs: row.rotated_at_ms,
    previousUntilMs: row.revoked_at_ms === null && until !== null && until > nowMs ? until : null,
    revokedAtMs: row.revoked_at_ms,
  }
}

/** The row of a new key. */
export function newRow(
  spec: CheckedSpec,
  made: { readonly id: string; readonly seq: number; readonly by: string; readonly atMs: number },
): Selectable<KeysTable> {
  return {
    id: made.id,
    created_seq: made.seq,
    changed_seq: made.seq,
    name: spec.name,
    held_name: spec.name,
    env: spec.env,
    team: spec.team,
    app: spec.app,
    user_name: spec.user,
    models: listText(spec.models),
    endpoints: listText(spec.endpoints),
    addresses: listText(spec.addresses),
    user_agents: listText(spec.userAgents),
    budget: spec.budget,
    metadata: JSON.stringify(spec.metadata),
    may_name: spec.mayName ? 1 : 0,
    created_at_ms: made.atMs,
    created_by: made.by,
    expires_at_ms: spec.expiresAtMs,
    rotated_at_ms: null,
    revoked_at_ms: null,
  }
}

function listText(items: readonly string[] | null): string | null {
  return items === null ? null : JSON.stringify(items)
}

function parseList(text: string | null): readonly string[] | null {
  return text === null ? null : (JSON.parse(text) as string[])
}
