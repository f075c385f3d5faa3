// The newest exchanges, in memory, for an operator who asks what is going on. A ring: what is older is in the access
// log. Rows hold what a log line holds, never a body, a query or a header.

import type { Exchange, Principal } from '../exchange.ts'
import type { Usage } from '../openai/usage.ts'

/** Rows kept. */
export const recentMax = 1000
/** Of what went well, at most so many rows are taken in so long a time. */
const windowMax = 100
const windowMs = 100
const textMax = 256

interface Row {
  readonly id: string
  readonly atMs: number
  readonly method: string
  readonly path: string
  readonly endpoint: string
  readonly model: string | null
  readonly answeredModel: string | null
  readonly upstream: string | null
  readonly principal: Principal
  readonly status: number
  readonly failure: string | null
  readonly attempts: number
  readonly stream: boolean
  readonly clientGone: boolean
  readonly usage: Usage | null
  readonly bytesIn: number
  readonly bytesOut: number
  readonly firstByteMs: number | null
  readonly durationMs: number
}

/** What to look for; null = whatever it is. */
export interface RecentFilter {
  readonly key: string | null
  readonly model: string | null
  /** A status such as `429`, or a class such as `5xx`. */
  readonly status: string | null
}

/** One exchange as the API shows it. */
export type RequestRow = Readonly<Record<string, unknown>>

export class RecentRequests {
  readonly #rows: Row[] = []
  /** Exchanges ever added: row n lies at n modulo the ring's size. */
  #added = 0
  #windowAtMs = -Infinity
  #inWindow = 0

  /** Takes down an exchange that has ended. Never throws. `nowMs`: monotonic. */
  add(x: Exchange, nowMs: number): void {
    const gone = x.gone
    if (nowMs - this.#windowAtMs >= windowMs) {
      this.#windowAtMs = nowMs
      this.#inWindow = 0
    }
    // At thousands a second nobody reads them all, and rows that outlive the collector's short rounds are dear.
    if (++this.#inWindow > windowMax && x.failure === null && !gone) return
    this.#rows[this.#added++ % recentMax] = {
      id: x.id,
      atMs: x.startedWallMs,
      method: x.request.method,
      path: short(x.request.path),
      endpoint: x.endpoint === null ? 'unknown' : x.endpoint.operation,
      model: shortOrNull(x.model),
      answeredModel: shortOrNull(x.answeredModel),
      upstream: x.upstream,
      principal: x.principal,
      status: gone ? 499 : x.status,
      failure: gone ? 'client_gone' : (x.failure?.code ?? null),
      attempts: x.attempts,
      stream: x.stream,
      clientGone: gone,
      usage: x.usage,
      bytesIn: x.bytesIn,
      bytesOut: x.bytesOut,
      firstByteMs: x.firstByteAtMs === 0 ? null : x.firstByteAtMs - x.startedAtMs,
      durationMs: nowMs - x.startedAtMs,
    }
  }

  /** Newest first. `before`: only rows with a smaller number; `next` goes there. */
  list(
    filter: RecentFilter,
    page: { readonly limit: number; readonly before: number | null },
  ): { rows: RequestRow[]; next: number | null } {
    const rows: RequestRow[] = []
    const oldest = Math.max(0, this.#added - recentMax)
    let number = Math.min(page.before ?? this.#added, this.#added) - 1
    for (; number >= oldest; number--) {
      const row = this.#rows[number % recentMax]!
      if (!fits(row, filter)) continue
      if (rows.length === page.limit) return { rows, next: number + 1 }
      rows.push(shown(row))
    }
    return { rows, next: null }
  }
}

function fits(row: Row, { key, model, status }: RecentFilter): boolean {
  const { principal } = row
  if (key !== null && principal.key !== key && principal.keyId !== key) return false
  if (model !== null && row.model !== model && row.answeredModel !== model) return false
  if (status === null) return true
  return status.endsWith('xx')
    ? Math.floor(row.status / 100) === Number(status[0])
    : row.status === Number(status)
}

function shown(row: Row): RequestRow {
  const { id, principal, atMs, answeredModel, firstByteMs, durationMs, ...rest } = row
  const { kind, key, keyId, team, app, user, env } = principal
  return {
    id,
    at: new Date(atMs).toISOString(),
    ...rest,
    upstreamModel: answeredModel,
    principal: kind,
    key,
    keyId,
    team,
    app,
    user,
    env,
    firstByteMs: firstByteMs === null ? null : Math.round(firstByteMs * 10) / 10,
    durationMs: Math.round(durationMs * 10) / 10,
  }
}

function short(text: string): string {
  return text.length > textMax ? `${text.slice(0, textMax)}…` : text
}

function shortOrNull(text: string | null): string | null {
  return text === null ? null : short(text)
}
