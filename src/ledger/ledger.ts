// The contract of the ledger, as stage 8 uses it. Both calls return at once: what they wrote outlives this process. Only
// where every row must also outlive the machine (`meter.durability: power`) there is something to wait for.

import { Failure } from '../failure.ts'
import type { LedgerRow, Reservation } from './row.ts'

/** Takes rows. */
export interface Ledger {
  /** Why no new work may begin, such as a full disk; null = rows are taken. */
  trouble(): string | null
  /** Keeps a reservation. @throws LedgerFailure where it cannot be kept; then nothing may be sent */
  reserve(reservation: Reservation): void
  /** Keeps a final row, once for each id. Null where it is as durable as it has to be. @throws LedgerFailure */
  settle(row: LedgerRow): Promise<void> | null
}

/** A row cannot be kept: one clear line. */
export class LedgerFailure extends Error {}

/** What a client hears where no work may begin. `detail`: why, for the log. */
export function booksClosed(detail: string): Failure {
  return new Failure('overloaded', 'The gateway cannot keep its books at the moment. Try again later.', {
    detail,
  })
}

/** Keeps nothing: for gateways without a store. */
export const noLedger: Ledger = {
  trouble: () => null,
  reserve: () => {},
  settle: () => null,
}
