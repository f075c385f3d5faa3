// A ledger for tests that keeps what it is given where a test can look at it, and checks on the way what every ledger is
// owed: no row without a reservation where one was due, none twice, none whose figures are no integers.

import { LedgerFailure, type Ledger } from '../../src/ledger/ledger.ts'
import type { LedgerRow, Reservation } from '../../src/ledger/row.ts'

export class KeptLedger implements Ledger {
  readonly reservations = new Map<string, Reservation>()
  readonly rows: LedgerRow[] = []
  /** Why no row is taken; null = all are. */
  refusal: string | null = null
  /** What a row's keeping waits for; null = nothing. */
  disk: (() => Promise<void>) | null = null
  readonly wrong: string[] = []

  trouble(): string | null {
    return this.refusal
  }

  reserve(reservation: Reservation): void {
    if (this.refusal !== null) throw new LedgerFailure(this.refusal)
    if (this.reservations.has(reservation.id)) this.wrong.push(`${reservation.id} was reserved twice`)
    this.reservations.set(reservation.id, reservation)
  }

  settle(row: LedgerRow): Promise<void> | null {
    if (this.rows.some(({ id }) => id === row.id) && !/^(?:response|run|job|video|batch)-/.test(row.id))
      this.wrong.push(`${row.id} was settled twice`)
    for (const value of [row.costNanoUsd, row.billedNanoUsd, row.savedNanoUsd, row.durationUs])
      if (value !== null && (!Number.isSafeInteger(value) || value < 0))
        this.wrong.push(`${row.id}: ${value}`)
    this.rows.push(row)
    return this.disk === null ? null : this.disk()
  }

  /** Rows of one exchange, in order. */
  of(operationId: string): LedgerRow[] {
    return this.rows.filter((row) => row.operationId === operationId)
  }
}
