// Kysely on `pg`. The store may be away for a while: every wait is bounded, a connection that breaks while idle is no
// error of anyone's, and the next query simply makes a new one.

import { Pool, types } from 'pg'
import { PostgresDialect, type Dialect } from 'kysely'
import type { Secret } from '../base/secret.ts'

const connectMs = 5_000
const queryMs = 15_000
const connectionsMax = 4

/** The dialect for the server at `url`; connects with the first query. */
export function postgresDialect(url: Secret): Dialect {
  const pool = new Pool({
    connectionString: url.reveal(),
    max: connectionsMax,
    connectionTimeoutMillis: connectMs,
    query_timeout: queryMs,
    statement_timeout: queryMs,
    idle_in_transaction_session_timeout: queryMs,
    keepAlive: true,
    application_name: 'headgate',
    types: { getTypeParser },
  })
  // Without listeners a connection that breaks would end the process, idle or in use; whoever uses it is told anyway.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return new PostgresDialect({ pool })
}

/** `bigint` as a number: moments and counters stay far below 2^53. */
const getTypeParser: typeof types.getTypeParser = (...asked: Parameters<typeof types.getTypeParser>) =>
  asked[0] === types.builtins.INT8 ? Number : types.getTypeParser(...asked)
