// The tables, as both databases have them. Only three column types, so that one set of queries fits SQLite and PostgreSQL:
// text, whole numbers (moments are milliseconds of wall clock, flags are 0 or 1), and lists or maps as JSON text.

import type { Generated } from 'kysely'

/** Steps of the schema that have run; see migrations.ts. */
export interface MigrationsTable {
  number: number
  name: string
  at_ms: number
}

/** One number that grows with each change of something others follow: `keys`. */
export interface CountersTable {
  name: string
  value: number
}

/** Facts of the installation by name, such as the check of the pepper. No secrets. */
export interface FactsTable {
  name: string
  value: string
}

/** Client keys. A key is never deleted: what was charged to it keeps its name. */
export interface KeysTable {
  id: string
  /** Counter at its creation: the order of lists. */
  created_seq: number
  /** Counter at its last change: what followers ask by. */
  changed_seq: number
  name: string
  /** `name` while no other key may have it; null once revoked, or given up after expiry. Unique. */
  held_name: string | null
  env: string
  team: string | null
  app: string | null
  user_name: string | null
  models: string | null
  endpoints: string | null
  addresses: string | null
  user_agents: string | null
  budget: string | null
  metadata: string
  may_name: number
  created_at_ms: number
  created_by: string
  expires_at_ms: number | null
  rotated_at_ms: number | null
  revoked_at_ms: number | null
}

/** What a key's secrets are known by. Several rows a key while a rotation's grace lasts. */
export interface KeyDigestsTable {
  /** HMAC-SHA256 of the whole secret, base64; see src/keys/pepper.ts. */
  digest: string
  key_id: string
  created_at_ms: number
  /** From when on it counts no more; null = as long as its key. */
  not_after_ms: number | null
}

/** What was changed, when and by whom. Rows are only ever added: triggers refuse the rest. */
export interface AuditTable {
  number: Generated<number>
  at_ms: number
  actor: string
  action: string
  target: string
  /** JSON; holds no secret. */
  details: string
}

/** All tables, for Kysely. */
export interface Database {
  migrations: MigrationsTable
  counters: CountersTable
  facts: FactsTable
  keys: KeysTable
  key_digests: KeyDigestsTable
  audit: AuditTable
}
