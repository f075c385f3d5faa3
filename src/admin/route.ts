// The contract of the admin API: a route is data. From the table of them come the router, the check of roles and of
// what is sent, the OpenAPI description, and the tests that walk every route with every role: a route that is forgotten
// in one of these cannot exist.

import type { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import type { KeyService } from '../keys/key-service.ts'
import type { Reports } from '../reports/reports.ts'
import type { RecentRequests } from './recent-requests.ts'
import type { Operator, Role } from './tokens.ts'

/** An entry of the audit log. */
export interface AuditRow {
  readonly number: number
  readonly atMs: number
  readonly by: string
  readonly action: string
  readonly target: string
  readonly details: Readonly<Record<string, unknown>>
}

/** The audit log. Both may throw where the store cannot be reached. */
export interface AuditLog {
  add(entry: Omit<AuditRow, 'number' | 'atMs'>): Promise<void>
  /** Newest first; `before`: only entries with a smaller number. */
  read(page: { readonly limit: number; readonly before: number | null }): Promise<readonly AuditRow[]>
}

/** An upstream account, as operators see it: nothing of its keys but how many there are. */
export interface UpstreamRow {
  readonly name: string
  readonly provider: string
  /** Host and port of its base URL; for the sandbox, where it listens in this process. */
  readonly host: string
  readonly env: string | null
  readonly sockets: { readonly idle: number; readonly busy: number }
  readonly keys: { readonly total: number; readonly expired: number; readonly refused: number }
  /** What routing knows of it: why it is asked, or is not. */
  readonly health: 'healthy' | 'limited' | 'failing' | 'draining'
  readonly breaker: BreakerState
  readonly draining: boolean
  readonly inFlight: number
  readonly requests: number
  readonly failures: number
  /** Mean time to the first byte; null = not measured. */
  readonly latencyMs: number | null
  /** What is left of its rate limits, as it says; null = it does not, or not lately. */
  readonly remainingRequests: number | null
  readonly remainingTokens: number | null
  /** Until it is asked again after a spent quota; 0 = it is asked. */
  readonly limitedForMs: number
  /** By model, where that differs; null = requests that name none. */
  readonly models: readonly {
    readonly model: string | null
    readonly breaker: BreakerState
    readonly latencyMs: number | null
    readonly limitedForMs: number
  }[]
}

/** `half-open`: the next request is a probe. */
export type BreakerState = 'closed' | 'open' | 'half-open'
/** One principal under one limit, as operators see it. */
export interface LimitRow {
  readonly limit: string
  /** `cost` is in nano-dollars. */
  readonly quantity: string
  readonly words: string
  readonly principal: Readonly<Record<string, string | null>>
  readonly keyName: string | null
  readonly used: number
  readonly max: number
  readonly remaining: number
  readonly share: number
  /** Wall clock; null = never, or nobody knows. */
  readonly resetAtMs: number | null
  readonly enforce: boolean
}

/** The cache, as operators see it. */
export interface CacheRow {
  readonly mode: 'off' | 'exact'
  readonly stores: readonly {
    readonly store: 'memory' | 'disk' | 'redis'
    readonly entries: number | null
    readonly bytes: number | null
    readonly bytesMax: number | null
    readonly trouble: string | null
  }[]
  readonly requests: Readonly<Record<string, number>>
  readonly savedNanoUsd: number
  readonly savedTokens: number
  readonly flights: number
}

/** Which stored answers are to be forgotten. */
export interface CachePurge {
  readonly by: 'key' | 'tag' | 'model' | 'team' | 'all'
  readonly value: string
}

/** What is wrong with a configuration that was not put in force. */
export interface ReloadProblem {
  readonly file: string | null
  readonly line: number | null
  readonly column: number | null
  readonly path: string
  readonly message: string
  readonly suggestion: string | null
  readonly severity: 'error' | 'warning'
}

/** How a reload ended. `failed`: something else than the configuration, such as an address that is taken. */
export type ReloadOutcome =
  | { readonly kind: 'reloaded'; readonly warnings: readonly ReloadProblem[] }
  | { readonly kind: 'invalid'; readonly problems: readonly ReloadProblem[] }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'stopping' }

/** What the API works on. */
export interface AdminWorld {
  readonly clock: Clock
  readonly requests: RecentRequests
  /** Null where the gateway runs without a store. */
  readonly keys: KeyService | null
  readonly audit: AuditLog | null
  readonly reports: Reports | null
  upstreams(): readonly UpstreamRow[]
  cache(): CacheRow
  /** Gives how many were forgotten, as far as the stores can tell. @throws Error where one cannot be reached */
  purge(which: CachePurge): Promise<number>
  /** Takes an upstream out of use for new requests, or back into it. False where there is none of this name. */
  drain(name: string, draining: boolean): boolean
  /** The 1000 nearest to their limit, nearest first. */
  limits(): Promise<readonly LimitRow[]>
  /** Reads the configuration anew, in the name of `by`. */
  reload(by: string): Promise<ReloadOutcome>
}

/** A checked call. */
export interface Call<Query, Body> {
  readonly params: Readonly<Record<string, string>>
  readonly query: Query
  readonly body: Body
  readonly operator: Operator
  readonly world: AdminWorld
}

/** One route. */
export interface Route<Query = unknown, Body = unknown> {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** `:id` stands for one segment. */
  readonly path: `/api/${string}`
  /** The least role that may. */
  readonly role: Role
  readonly summary: string
  readonly description?: string
  /** Unknown members of the query or the body are refused. */
  readonly query?: z.ZodType<Query>
  readonly body?: z.ZodType<Body>
  /** The body may be left away: then it counts as `{}`. */
  readonly bodyOptional?: boolean
  readonly status: 200 | 201
  readonly answer: z.ZodType
  /** Statuses it may refuse with, besides those that every route has. */
  readonly refusals: readonly (404 | 409 | 422 | 503)[]
  /** An answer that is no JSON is a `Response`. @throws ApiProblem */
  handle(call: Call<Query, Body>): unknown
}

/** A route whose handler gets what its schemas give. */
export function route<Query, Body>(one: Route<Query, Body>): Route {
  return one
}

/** The name under which an operator's change stands in the audit log. */
export function actor(operator: Operator): string {
  return `admin:${operator.name}`
}
