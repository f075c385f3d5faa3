// The tables, as both databases have them. Only three column types, so that one set of queries fits SQLite and PostgreSQL:
// text, whole numbers (moments are milliseconds of wall clock, flags are 0 or 1), and lists or maps as JSON text.

import type { AnswerRow } from './answers.ts'
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

/**
 * The ledger: rows as src/ledger/row.ts describes them, added and never changed. Moments in milliseconds, durations in µs,
 * money in nano-dollars, flags 0 or 1; null counts = no usage is known.
 */
export interface LedgerTable {
  id: string
  operation_id: string
  at_ms: number
  endpoint: string
  method: string
  model: string | null
  upstream_model: string | null
  upstream: string | null
  account: string | null
  key_name: string | null
  key_id: string | null
  team: string | null
  app: string | null
  user_name: string | null
  env: string | null
  state: 'settled' | 'estimated' | 'void'
  estimator: string | null
  input: number | null
  cached_input: number | null
  cache_write: number | null
  output: number | null
  reasoning: number | null
  audio_input: number | null
  audio_output: number | null
  cached_audio: number | null
  image_input: number | null
  image_output: number | null
  cached_image: number | null
  total: number | null
  /** JSON of what is counted in something else than tokens. */
  units: string | null
  service_tier: string | null
  cost_nano: number | null
  billed_nano: number | null
  saved_nano: number
  price_version: string | null
  cache: string
  attempt: number
  is_last: number
  status: number
  failure: string | null
  first_byte_us: number | null
  duration_us: number
  overhead_us: number | null
  stream: number
  client_gone: number
  end_user: string | null
  metadata: string | null
  retry_count: number
  unmetered: number
}

/** What rolled-up rows are grouped by; '' = none, since SQL takes no two nulls for the same. */
interface RollupGroups {
  endpoint: string
  model: string
  upstream_model: string
  upstream: string
  key_name: string
  key_id: string
  team: string
  app: string
  user_name: string
  env: string
  price_version: string
}

/** Sums of the ledger's rows over a stretch of time: always equal to the rows' own sum. */
export interface SumsTable {
  /** Start of the stretch (UTC). */
  at_ms: number
  /** Rows that are their operation's last. */
  operations: number
  /** Rows with an upstream call. */
  attempts: number
  /** Last rows with a failure or a status from 400 on. */
  errors: number
  estimated: number
  /** Rows without a price. */
  unpriced: number
  input: number
  cached_input: number
  cache_write: number
  output: number
  reasoning: number
  audio_input: number
  audio_output: number
  cost_nano: number
  billed_nano: number
  saved_nano: number
  /** Part of `billed_nano` that is estimated. */
  estimated_nano: number
  /** Rows answered from the cache. */
  cached: number
  rows: number
}

/** Sums over an hour or a day (UTC) and one combination of groups. */
export interface RollupTable extends RollupGroups, SumsTable {}

/** Objects kept by an upstream (files, responses, threads, …), and whose they are. */
export interface ObjectsTable {
  id: string
  /** As src/objects/owner.ts writes it. */
  owner: string
  /** Name of the upstream that keeps it. */
  account: string
  /** When it was made, or used last, to some months. */
  seen_at_ms: number
}

/** All tables, for Kysely. */
export interface Database {
  migrations: MigrationsTable
  counters: CountersTable
  facts: FactsTable
  keys: KeysTable
  key_digests: KeyDigestsTable
  audit: AuditTable
  ledger: LedgerTable
  ledger_hours: RollupTable
  ledger_days: RollupTable
  /** Sums over a quarter of an hour and all groups. */
  ledger_quarters: SumsTable
  objects: ObjectsTable
  answers: AnswerRow
}
