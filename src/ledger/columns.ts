// A row as a flat list of values, in one order for the journal and for both databases: a list costs a third of an object to
// write and to read, and goes into a statement as it is.

import type { LedgerTable } from '../storage/database.ts'
import type { LedgerRow, Reservation } from './row.ts'

/** Names of the values, in their order. */
export const columns = [
  'id', 'operation_id', 'at_ms', 'endpoint', 'method', 'model', 'upstream_model', 'upstream', 'account', 'key_name',
  'key_id', 'team', 'app', 'user_name', 'env', 'state', 'estimator', 'input', 'cached_input', 'cache_write', 'output',
  'reasoning', 'audio_input', 'audio_output', 'cached_audio', 'image_input', 'image_output', 'cached_image', 'total', 'units', 'service_tier', 'cost_nano', 'billed_nano', 'saved_nano',
  'price_version', 'cache', 'attempt', 'is_last', 'status', 'failure', 'first_byte_us', 'duration_us', 'overhead_us',
  'stream', 'client_gone', 'end_user', 'metadata', 'retry_count', 'unmetered',
] as const satisfies readonly (keyof LedgerTable)[] // prettier-ignore

/** One row's values. */
export type Values = (string | number | null)[]

/** Where each value stands. */
export const at = Object.fromEntries(columns.map((name, index) => [name, index])) as Record<
  (typeof columns)[number],
  number
>

/** Longest text kept of a name that a caller chose. */
const nameMax = 256
const metadataMax = 10_000

function cut(text: string | null, max = nameMax): string | null {
  return text !== null && text.length > max ? text.slice(0, max) : text
}

function json(value: unknown): string | null {
  return value === null ? null : cut(JSON.stringify(value), metadataMax)
}

/** Whole, and within what every reader of numbers holds exactly. */
function whole(value: number): number {
  return Math.min(Math.max(Math.round(value), 0), Number.MAX_SAFE_INTEGER)
}

function wholeOrNull(value: number | null): number | null {
  return value === null ? null : whole(value)
}

/** The row as its values. */
export function valuesOf(row: LedgerRow): Values {
  const { owner, usage } = row
  return [
    row.id,
    row.operationId,
    whole(row.atMs),
    row.endpoint,
    row.method,
    cut(row.model),
    cut(row.upstreamModel),
    row.upstream,
    row.account,
    cut(owner.key),
    owner.keyId,
    cut(owner.team),
    cut(owner.app),
    cut(owner.user),
    owner.env,
    row.state,
    row.estimator,
    usage === null ? null : usage.input,
    usage === null ? null : usage.cachedInput,
    usage === null ? null : usage.cacheWrite,
    usage === null ? null : usage.output,
    usage === null ? null : usage.reasoning,
    usage === null ? null : usage.audioInput,
    usage === null ? null : usage.audioOutput,
    usage === null ? null : usage.cachedAudio,
    usage === null ? null : usage.imageInput,
    usage === null ? null : usage.imageOutput,
    usage === null ? null : usage.cachedImage,
    usage === null ? null : usage.total,
    json(row.units),
    cut(row.serviceTier),
    wholeOrNull(row.costNanoUsd),
    wholeOrNull(row.billedNanoUsd),
    whole(row.savedNanoUsd),
    row.priceVersion,
    row.cache,
    row.attempt,
    row.last ? 1 : 0,
    row.status,
    row.failure,
    wholeOrNull(row.firstByteUs),
    whole(row.durationUs),
    wholeOrNull(row.overheadUs),
    row.stream ? 1 : 0,
    row.clientGone ? 1 : 0,
    cut(row.endUser),
    json(row.metadata),
    whole(row.retryCount),
    row.unmetered ? 1 : 0,
  ]
}

/** A reservation as a list, from which the row that a crash leaves can be made. */
export function reservationValues(one: Reservation): Values {
  const { owner } = one
  return [
    one.id,
    one.operationId,
    whole(one.atMs),
    one.endpoint,
    one.method,
    cut(one.model),
    cut(one.upstreamModel),
    one.upstream,
    one.account,
    cut(owner.key),
    owner.keyId,
    cut(owner.team),
    cut(owner.app),
    cut(owner.user),
    owner.env,
    one.stream ? 1 : 0,
    whole(one.estimatedInput),
    wholeOrNull(one.estimatedNanoUsd),
    one.priceVersion,
    one.attempt,
  ]
}

/** How the rows that a crash left are estimated: the input that was sent, since nobody knows how much of an answer came. */
export const crashEstimator = 'crash-1'

/** The row for a reservation whose process died before its end was known. `values`: as `reservationValues` gives them. */
export function crashedRow(values: Values): Values {
  const row: Values = columns.map(() => null)
  for (let index = 0; index <= at.env; index++) row[index] = values[index]!
  const [stream, input, cost, version, attempt] = values.slice(at.env + 1)
  const set = (facts: Partial<Record<(typeof columns)[number], string | number | null>>): void => {
    for (const [name, value] of Object.entries(facts)) row[at[name as keyof typeof at]] = value
  }
  set({ state: 'estimated', estimator: crashEstimator, input: input!, total: input!, output: 0 })
  set({ cached_input: 0, cache_write: 0, reasoning: 0, audio_input: 0, audio_output: 0 })
  set({ cached_audio: 0, image_input: 0, image_output: 0, cached_image: 0 })
  set({ cost_nano: cost!, billed_nano: cost!, saved_nano: 0, price_version: version!, cache: 'BYPASS' })
  set({
    attempt: attempt!,
    is_last: 1,
    status: 0,
    failure: 'internal_error',
    duration_us: 0,
    stream: stream!,
  })
  set({ client_gone: 0, retry_count: 0, unmetered: 0 })
  return row
}
