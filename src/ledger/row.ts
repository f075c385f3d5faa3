// What the ledger keeps: one row for each call of an upstream, and one for each answer that needed none (a cache hit). A row
// is written twice at most: as a reservation before the upstream sees a byte, and final when its cost is known. Final
// rows never change; corrections are rows of their own.

import type { Units, Usage } from '../openai/usage.ts'

/** How sure a row's figures are. `void`: nothing was used, so nothing is owed. */
export type RowState = 'settled' | 'estimated' | 'void'

/** Whose operation it is. */
export interface RowOwner {
  readonly key: string | null
  readonly keyId: string | null
  readonly team: string | null
  readonly app: string | null
  readonly user: string | null
  readonly env: string | null
}

/** What is known before the upstream is asked: enough to bill an estimate if the process dies. */
export interface Reservation {
  /** Of the row; one an attempt. */
  readonly id: string
  /** Of the exchange. */
  readonly operationId: string
  /** Wall clock. */
  readonly atMs: number
  readonly endpoint: string
  readonly method: string
  /** The model asked for. */
  readonly model: string | null
  /** The model asked of the upstream. */
  readonly upstreamModel: string | null
  readonly upstream: string | null
  readonly account: string | null
  readonly owner: RowOwner
  readonly stream: boolean
  /** Input tokens estimated, for the row that a crash leaves. */
  readonly estimatedInput: number
  /** Nano-dollars the row gets if the process dies; null = no price is known. */
  readonly estimatedNanoUsd: number | null
  readonly priceVersion: string | null
  /** Number of this attempt in its operation, from 1; 0 where no upstream was asked. */
  readonly attempt: number
}

/** A final row. */
export interface LedgerRow extends Omit<Reservation, 'estimatedInput' | 'estimatedNanoUsd'> {
  readonly state: RowState
  /** Which way figures were estimated, such as `tokens-1`; null = they are the provider's own. */
  readonly estimator: string | null
  /** Null where nothing was used, or nobody can tell. */
  readonly usage: Usage | null
  readonly units: Units | null
  readonly serviceTier: string | null
  /** What we owe for this attempt; null = `unpriced`. */
  readonly costNanoUsd: number | null
  /** What its owner is charged; null = `unpriced`. */
  readonly billedNanoUsd: number | null
  /** What a stored answer did not cost. */
  readonly savedNanoUsd: number
  /** The value of `x-cache-status`. */
  readonly cache: string
  /** Exactly one row of an operation is its last: the count of operations is the sum of these. */
  readonly last: boolean
  /** Status the attempt got from its upstream; 0 = no answer. Of the last row: what the client got, 499 where it left. */
  readonly status: number
  /** Code of what went wrong; null = nothing. */
  readonly failure: string | null
  readonly firstByteUs: number | null
  readonly durationUs: number
  /** Time the gateway itself took, in µs. */
  readonly overheadUs: number | null
  readonly clientGone: boolean
  /** Named by the request, reported only. */
  readonly endUser: string | null
  readonly metadata: Readonly<Record<string, string>> | null
  /** How often the client's SDK had tried before: `x-stainless-retry-count`. */
  readonly retryCount: number
  /** The endpoint has no meter, so its cost is unknown. */
  readonly unmetered: boolean
}
