// The tables of the ledger. Few indexes, since each is paid for with every call: rows are found by time, everything else is
// answered by the sums. PostgreSQL has one table of rows. SQLite, which works in this process, has what many rows have in
// common once, in a table of its own, and a view that looks like PostgreSQL's table and takes single rows as it does. Sums are kept by
// hour and day for each combination of groups, and by quarter of an hour over all of them: what begins and ends with days of
// any time zone is then read from a row for each quarter.

import { sql, type Transaction } from 'kysely'
import type { Database } from './database.ts'

/** Columns that thousands of rows have in common. */
export const dimensionColumns = [
  'endpoint', 'method', 'model', 'upstream_model', 'upstream', 'account', 'key_name', 'key_id', 'team', 'app', 'user_name',
  'env', 'state', 'estimator', 'service_tier', 'price_version', 'cache', 'attempt', 'is_last', 'status', 'failure', 'stream',
  'client_gone', 'retry_count', 'unmetered',
] as const // prettier-ignore

/** Numbers of a row's own; null = not known. */
export const numberColumns = [
  'at_ms', 'input', 'cached_input', 'cache_write', 'output', 'reasoning', 'total', 'cost_nano', 'billed_nano',
  'saved_nano', 'first_byte_us', 'duration_us', 'overhead_us',
] as const // prettier-ignore

/** Columns of a row's own in SQLite. `more`: JSON of those below, null where there are none. */
export const factColumns = ['id', 'operation_id', ...numberColumns, 'more'] as const

/** What few rows have: first the counts, 0 where usage is known and has none of them. */
export const rareFacts = [
  'audio_input', 'audio_output', 'cached_audio', 'image_input', 'image_output', 'cached_image', 'units', 'end_user',
  'metadata',
] as const // prettier-ignore
/** How many of them are counts. */
export const rareCounts = 6

const texts = new Set([
  'id', 'operation_id', 'endpoint', 'method', 'model', 'upstream_model', 'upstream', 'account', 'key_name', 'key_id', 'team',
  'app', 'user_name', 'env', 'state', 'estimator', 'units', 'service_tier', 'price_version', 'cache', 'failure', 'end_user',
  'metadata', 'more',
]) // prettier-ignore

const always = new Set([
  'id', 'at_ms', 'endpoint', 'method', 'state', 'cache', 'saved_nano', 'attempt', 'is_last', 'status', 'duration_us', 'stream',
  'client_gone', 'retry_count', 'unmetered',
]) // prettier-ignore

function column(name: string): string {
  return `${name} ${texts.has(name) ? 'text' : 'bigint'}${always.has(name) ? ' not null' : ''}`
}

/** Columns that rolled-up rows are grouped by. */
export const rollupGroups = [
  'endpoint', 'model', 'upstream_model', 'upstream', 'key_name', 'key_id', 'team', 'app', 'user_name', 'env',
  'price_version',
] as const // prettier-ignore

/** Columns that are summed. */
export const rollupSums = [
  'operations', 'attempts', 'errors', 'estimated', 'unpriced', 'input', 'cached_input', 'cache_write', 'output',
  'reasoning', 'audio_input', 'audio_output', 'cost_nano', 'billed_nano', 'saved_nano', 'estimated_nano', 'cached', 'rows',
] as const // prettier-ignore

/** What a single row adds to each sum, as SQL that both databases understand; `sumsOf` in src/ledger does the same. */
export const rowSums: Readonly<Record<(typeof rollupSums)[number], string>> = {
  operations: 'is_last',
  attempts: 'case when attempt > 0 then 1 else 0 end',
  errors: 'case when is_last = 1 and (failure is not null or status >= 400) then 1 else 0 end',
  estimated: `case when state = 'estimated' then 1 else 0 end`,
  unpriced: 'case when cost_nano is null then 1 else 0 end',
  input: 'coalesce(input, 0)',
  cached_input: 'coalesce(cached_input, 0)',
  cache_write: 'coalesce(cache_write, 0)',
  output: 'coalesce(output, 0)',
  reasoning: 'coalesce(reasoning, 0)',
  audio_input: 'coalesce(audio_input, 0)',
  audio_output: 'coalesce(audio_output, 0)',
  cost_nano: 'coalesce(cost_nano, 0)',
  billed_nano: 'coalesce(billed_nano, 0)',
  saved_nano: 'saved_nano',
  estimated_nano: `case when state = 'estimated' then coalesce(billed_nano, 0) else 0 end`,
  cached: `case when is_last = 1 and cache not in ('MISS', 'BYPASS', 'EXPIRED') then 1 else 0 end`,
  rows: '1',
}

/** Makes them. */
export async function ledgerTables(db: Transaction<Database>, kind: 'sqlite' | 'postgres'): Promise<void> {
  for (const statement of kind === 'sqlite' ? sqliteRows() : postgresRows())
    await sql.raw(statement).execute(db)
  for (const table of ['ledger_hours', 'ledger_days'] as const) {
    let rollup = db.schema.createTable(table).addColumn('at_ms', 'bigint', (column) => column.notNull())
    for (const name of rollupGroups) rollup = rollup.addColumn(name, 'text', (column) => column.notNull())
    for (const name of rollupSums) rollup = rollup.addColumn(name, 'bigint', (column) => column.notNull())
    await rollup.execute()
    await db.schema
      .createIndex(`${table}_key`)
      .on(table)
      .columns(['at_ms', ...rollupGroups])
      .unique()
      .execute()
  }
}

/** The sums of quarters of an hour, of what rows there are. */
export async function ledgerQuarters(db: Transaction<Database>, kind: 'sqlite' | 'postgres'): Promise<void> {
  const columns = rollupSums.map((name) => `${name} bigint not null`).join(', ')
  const key = kind === 'sqlite' ? 'integer' : 'bigint'
  await sql.raw(`create table ledger_quarters (at_ms ${key} primary key, ${columns})`).execute(db)
  // A sum beyond 2^63, which SQLite refuses, must not keep a gateway from starting; beyond 2^53 none is exact anyway.
  const sum = (value: string): string =>
    kind === 'sqlite' ? `cast(total(${value}) as integer)` : `sum(${value})`
  const sums = rollupSums.map((name) => sum(rowSums[name])).join(', ')
  // A day at a time: all at once would be sorted on disk.
  for (let from = 0; ;) {
    const next = await sql<{
      at: number | null
    }>`select min(at_ms) as at from ledger where at_ms >= ${from}`.execute(db)
    const at = next.rows[0]?.at
    if (at == null) return
    const day = Math.floor(at / 86_400_000) * 86_400_000
    from = day + 86_400_000
    await sql`insert into ledger_quarters select at_ms - at_ms % 900000, ${sql.raw(sums)} from ledger
      where at_ms >= ${day} and at_ms < ${from} group by 1`.execute(db)
  }
}

/** SQLite's single table of rows, as it was before, becomes two and the view. */
export async function ledgerApart(db: Transaction<Database>, kind: 'sqlite' | 'postgres'): Promise<void> {
  if (kind !== 'sqlite') return
  const { rows } = await sql`select 1 from sqlite_master where type = 'table' and name = 'ledger'`.execute(db)
  if (rows.length === 0) return
  const names = allColumns().join(', ')
  for (const statement of [
    'alter table ledger rename to ledger_before',
    'drop index ledger_at',
    ...sqliteRows(),
    `insert into ledger (${names}) select ${names} from ledger_before`,
    'drop table ledger_before',
  ])
    await sql.raw(statement).execute(db)
}

/** Those of a whole row. */
function allColumns(): string[] {
  return [...factColumns.filter((name) => name !== 'more'), ...dimensionColumns, ...rareFacts]
}

function postgresRows(): string[] {
  return [
    `create table ledger (${allColumns().map(column).join(', ')}, primary key (id))`,
    'create index ledger_at on ledger (at_ms, id)',
  ]
}

/**
 * `ledger_rows` has no index but its own order. An id is unique by the way it is made, but for those that come from
 * something else than an operation of this gateway (lines of batches, corrections): these are in `ledger_named` as well.
 */
function sqliteRows(): string[] {
  return [
    `create table ledger_rows (${factColumns.map(column).join(', ')}, dimensions integer not null, primary key (at_ms, id))
      without rowid`,
    `create table ledger_dimensions (id integer primary key, list text not null unique, ${dimensionColumns.map(column).join(', ')})`,
    'create table ledger_named (id text primary key, at_ms bigint not null) without rowid',
    `create view ledger as select ${viewed().join(', ')}
      from ledger_rows as r cross join ledger_dimensions as d on d.id = r.dimensions`,
    insertTrigger({ dated: false }),
    `create trigger ledger_delete instead of delete on ledger begin
      delete from ledger_rows where at_ms = old.at_ms and id = old.id;
      delete from ledger_named where id = old.id;
    end`,
  ]
}

/** What the view does with a row. `dated`: dimensions have the day of their newest row. */
function insertTrigger({ dated }: { readonly dated: boolean }): string {
  const values = dimensionColumns.map((name) => `new.${name}`).join(', ')
  const names = ['list', ...dimensionColumns, ...(dated ? ['used_at_ms'] : [])].join(', ')
  const given = [
    `json_array(${values})`,
    values,
    ...(dated ? ['new.at_ms - new.at_ms % 86400000'] : []),
  ].join(', ')
  return `create trigger ledger_insert instead of insert on ledger begin
      insert into ledger_named select new.id, new.at_ms where new.id <> new.operation_id || '-' || new.attempt;
      insert into ledger_dimensions (${names}) values (${given}) ${dated ? onKnownDimensions : 'on conflict (list) do nothing'};
      insert into ledger_rows (${factColumns.join(', ')}, dimensions) values (${inserted().join(', ')},
        (select id from ledger_dimensions where list = json_array(${values})));
    end`
}

/** What becomes of dimensions that are there already. */
export const onKnownDimensions =
  'on conflict (list) do update set used_at_ms = excluded.used_at_ms where excluded.used_at_ms > used_at_ms'

/** SQLite's dimensions get the day of their newest row, by which retention knows those that no row has. */
export async function dimensionsDated(db: Transaction<Database>, kind: 'sqlite' | 'postgres'): Promise<void> {
  if (kind !== 'sqlite') return
  for (const statement of [
    'alter table ledger_dimensions add column used_at_ms bigint not null default 0',
    // No later than the newest row at all: it is not worth reading all rows.
    'update ledger_dimensions set used_at_ms = coalesce((select max(at_ms) from ledger_rows), 0)',
    'create index ledger_dimensions_used on ledger_dimensions (used_at_ms)',
    'drop trigger ledger_insert',
    insertTrigger({ dated: true }),
  ])
    await sql.raw(statement).execute(db)
}

/** The columns of the view. */
function viewed(): string[] {
  const own = factColumns.filter((name) => name !== 'operation_id' && name !== 'more')
  return [
    ...own.map((name) => `r.${name} as ${name}`),
    'coalesce(r.operation_id, substr(r.id, 1, length(r.id) - length(d.attempt) - 1)) as operation_id',
    ...dimensionColumns.map((name) => `d.${name} as ${name}`),
    ...rareFacts.map((name, index) =>
      index < rareCounts
        ? `case when r.input is null then null else coalesce(r.more ->> '${name}', 0) end as ${name}`
        : `r.more ->> '${name}' as ${name}`,
    ),
  ]
}

/** What the trigger puts into each fact. */
function inserted(): string[] {
  const rare = rareFacts.map((name) => `'${name}', new.${name}`).join(', ')
  const none = rareFacts.map((name, index) =>
    index < rareCounts ? `coalesce(new.${name}, 0) = 0` : `new.${name} is null`,
  )
  const given: Record<string, string> = {
    operation_id: `nullif(new.operation_id, substr(new.id, 1, length(new.id) - length(new.attempt) - 1))`,
    more: `case when ${none.join(' and ')} then null else json_patch('{}', json_object(${rare})) end`,
  }
  return factColumns.map((name) => given[name] ?? `new.${name}`)
}
