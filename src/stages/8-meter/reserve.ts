// What is kept before a call: enough to bill an estimate if the process dies before it knows better.

import type { Attempt, Exchange } from '../../exchange.ts'
import { booksClosed, LedgerFailure, noLedger, type Ledger } from '../../ledger/ledger.ts'
import type { Reservation } from '../../ledger/row.ts'
import { rowOwner } from './book.ts'
import { estimateRoughly } from './estimate-roughly.ts'
import type { Pricing } from './pricing.ts'

/** Keeps what is known before the upstream sees a byte. @throws Failure('overloaded') where it cannot be kept */
export function reserve(
  x: Exchange,
  attempt: Attempt,
  { ledger, pricing }: { readonly ledger: Ledger; readonly pricing: Pricing },
): void {
  if (ledger === noLedger || x.endpoint?.metered === 'free') return
  try {
    ledger.reserve(reservationOf(x, attempt, pricing))
  } catch (cause) {
    if (!(cause instanceof LedgerFailure)) throw cause
    throw booksClosed(cause.message)
  }
}

function reservationOf(x: Exchange, attempt: Attempt, pricing: Pricing): Reservation {
  const { whom, upstreamModel, startedWallMs } = attempt
  const { usage } = estimateRoughly(x, attempt)
  const price = pricing.price({
    provider: whom.providerName,
    upstream: whom.name,
    model: upstreamModel,
    atMs: startedWallMs,
    serviceTier: null,
    usage,
    units: null,
    batch: false,
  })
  return {
    id: attempt.id,
    operationId: x.id,
    atMs: startedWallMs,
    endpoint: x.endpoint?.operation ?? 'unknown',
    method: x.request.method,
    model: x.model,
    upstreamModel,
    upstream: whom.name,
    account: whom.account,
    owner: rowOwner(x),
    stream: false,
    estimatedInput: usage.input,
    estimatedNanoUsd: price.costNanoUsd,
    priceVersion: price.priceVersion,
    attempt: x.tried.length,
  }
}
