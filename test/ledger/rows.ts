// Rows and reservations for tests, with everything that matters settable.

import type { LedgerRow, Reservation, RowOwner } from '../../src/ledger/row.ts'
import { zeroUsage, type Usage } from '../../src/openai/usage.ts'

export const owner: RowOwner = { key: 'web', keyId: null, team: 'core', app: null, user: null, env: 'prod' }

export function usage(input: number, output: number, more: Partial<Usage> = {}): Usage {
  return { ...zeroUsage, input, output, total: input + output, ...more }
}

/** What reservation and row have in common. */
function common(id: string) {
  return {
    id,
    operationId: id.replace(/-\d+$/, ''),
    atMs: Date.UTC(2026, 10, 25, 12, 30),
    endpoint: 'chat.completions',
    method: 'POST',
    model: 'gpt-4o-mini',
    upstreamModel: 'gpt-4o-mini',
    upstream: 'main',
    account: 'main',
    owner,
    stream: false,
    priceVersion: 'test@1',
    attempt: 1,
  }
}

export function reservation(id: string, more: Partial<Reservation> = {}): Reservation {
  return { ...common(id), estimatedInput: 10, estimatedNanoUsd: 1500, ...more }
}

export function ledgerRow(id: string, more: Partial<LedgerRow> = {}): LedgerRow {
  return {
    ...common(id),
    state: 'settled',
    estimator: null,
    usage: usage(10, 20),
    units: null,
    serviceTier: null,
    costNanoUsd: 13_500,
    billedNanoUsd: 13_500,
    savedNanoUsd: 0,
    cache: 'BYPASS',
    last: true,
    status: 200,
    failure: null,
    firstByteUs: 1000,
    durationUs: 2000,
    overheadUs: 50,
    clientGone: false,
    endUser: null,
    metadata: null,
    retryCount: 0,
    unmetered: false,
    ...more,
  }
}
