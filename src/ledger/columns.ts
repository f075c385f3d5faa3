// A row in the two parts in which it is kept: its dimensions (whose call, of what, how it ended), which thousands of rows have
// in common, and its facts, which are its own. Dimensions are one text, made once and then only compared, so a row costs
// the database seventeen values instead of fifty, and its file a quarter of the room.

import type { LedgerTable } from '../storage/database.ts'
import { dimensionColumns, numberColumns, rareCounts, rareFacts } from '../storage/ledger-tables.ts'
import { hashOfHead, hashOfRow, isSameHead, isSameRow, RepeatedText } from './repeated-text.ts'
import type { LedgerRow, Reservation } from './row.ts'

/** Values in the order of some columns. */
export type Values = (string | number | null)[]

/** One row as journal and databases take it. */
export interface Entry {
  readonly id: string
  /** Null where it is the id without its `-1`, the number of the attempt, which it nearly always is. */
  readonly operationId: string | null
  /** In the order of `numberColumns`. */
  readonly numbers: readonly (number | null)[]
  /** JSON of what few rows have. */
  readonly more: string | null
  /** JSON list of values in the order of `dimensionColumns`. */
  readonly dimensions: string
}

/** Where each number stands. */
export const numberAt = positions(numberColumns)
/** Where each dimension stands. */
export const dimensionAt = positions(dimensionColumns)

function positions<Name extends string>(names: readonly Name[]): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name, index) => [name, index])) as Record<Name, number>
}

/** Longest text kept of a name that a caller chose. */
const nameMax = 256
const metadataMax = 10_000

const controls = /[\u0000-\u001f\u007f]/
const everyControl = new RegExp(controls, 'g')

/** Without control characters: a NUL ends a text for some readers of SQLite, and PostgreSQL refuses it. */
function clean(text: string): string {
  return controls.test(text) ? text.replace(everyControl, '\ufffd') : text
}

function cut(text: string | null, max = nameMax): string | null {
  return text !== null && text.length > max ? text.slice(0, max) : text
}

function json(value: unknown): string | null {
  return value === null ? null : cut(JSON.stringify(value), metadataMax)
}

/** JSON has control characters as escapes, which its readers would turn back. */
function cleanPairs(pairs: LedgerRow['metadata']): LedgerRow['metadata'] {
  if (pairs === null) return null
  return Object.fromEntries(Object.entries(pairs).map(([name, text]) => [clean(name), clean(text)]))
}

/** Whole, and within what every reader of numbers holds exactly. */
function whole(value: number): number {
  return Math.min(Math.max(Math.round(value), 0), Number.MAX_SAFE_INTEGER)
}

function wholeOrNull(value: number | null): number | null {
  return value === null ? null : whole(value)
}

/** A list of values as a text. */
function written(values: Values): string {
  return JSON.stringify(values.map((value) => (typeof value === 'string' ? clean(value) : value)))
}

// Cut and cleaned only where they are written, which is once for thousands of rows.
const dimensionTexts = new RepeatedText<LedgerRow>({
  isSame: isSameRow,
  hash: hashOfRow,
  write: (row) => written(dimensionsOf(row)),
})
const headTexts = new RepeatedText<Reservation>({
  isSame: isSameHead,
  hash: hashOfHead,
  write: (one) => written(headOf(one)),
})

function dimensionsOf(row: LedgerRow): Values {
  return [
    ...beforehand(row),
    row.state,
    row.estimator,
    cut(row.serviceTier),
    row.priceVersion,
    row.cache,
    row.attempt,
    row.last ? 1 : 0,
    row.status,
    row.failure,
    row.stream ? 1 : 0,
    row.clientGone ? 1 : 0,
    whole(row.retryCount),
    row.unmetered ? 1 : 0,
  ]
}

function headOf(one: Reservation): Values {
  return [...beforehand(one), one.stream ? 1 : 0, one.priceVersion, one.attempt]
}

/** Dimensions that are known before the call, the first ones. */
function beforehand(one: Omit<Reservation, 'estimatedInput' | 'estimatedNanoUsd'>): Values {
  const { owner } = one
  return [
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
  ]
}

/** The row as it is kept. */
export function entryOf(row: LedgerRow): Entry {
  const { usage } = row
  const { id, operationId, attempt } = row
  const numbers = [
    whole(row.atMs),
    usage === null ? null : usage.input,
    usage === null ? null : usage.cachedInput,
    usage === null ? null : usage.cacheWrite,
    usage === null ? null : usage.output,
    usage === null ? null : usage.reasoning,
    usage === null ? null : usage.total,
    wholeOrNull(row.costNanoUsd),
    wholeOrNull(row.billedNanoUsd),
    whole(row.savedNanoUsd),
    wholeOrNull(row.firstByteUs),
    whole(row.durationUs),
    wholeOrNull(row.overheadUs),
  ]
  const dimensions = dimensionTexts.of(row)
  return { id, operationId: ownOperation(id, operationId, attempt), numbers, more: moreOf(row), dimensions }
}

/** An operation's id, where it is not the beginning of the row's. */
function ownOperation(id: string, operationId: string, attempt: number): string | null {
  // Nearly every row has one digit behind its operation's id: no text is made for that.
  const { length } = operationId
  const short = attempt < 10 && id.length === length + 2 && id.charCodeAt(length) === 45
  if (short && id.charCodeAt(length + 1) === 48 + attempt && id.startsWith(operationId)) return null
  return id === `${operationId}-${attempt}` ? null : operationId
}

/** What few rows have, as JSON; null = none of it. */
function moreOf({ usage, units, endUser, metadata }: LedgerRow): string | null {
  const more = usage !== null && hasRare(usage)
  if (!more && units === null && endUser === null && metadata === null) return null
  return JSON.stringify({
    ...(more
      ? {
          audio_input: usage.audioInput,
          audio_output: usage.audioOutput,
          cached_audio: usage.cachedAudio,
          image_input: usage.imageInput,
          image_output: usage.imageOutput,
          cached_image: usage.cachedImage,
        }
      : {}),
    units: json(units) ?? undefined,
    end_user: endUser === null ? undefined : clean(cut(endUser)!),
    metadata: json(cleanPairs(metadata)) ?? undefined,
  })
}

function hasRare(usage: NonNullable<LedgerRow['usage']>): boolean {
  const { audioInput, audioOutput, cachedAudio, imageInput, imageOutput, cachedImage } = usage
  return audioInput + audioOutput + cachedAudio + imageInput + imageOutput + cachedImage > 0
}

/** The row as a table with all columns has it. */
export function tableRow({ id, operationId, numbers, more, dimensions }: Entry): LedgerTable {
  const row: Record<string, string | number | null> = { id }
  for (const [index, name] of numberColumns.entries()) row[name] = numbers[index]!
  for (const [index, value] of (JSON.parse(dimensions) as Values).entries())
    row[dimensionColumns[index]!] = value
  const rare = JSON.parse(more ?? '{}') as Record<string, string | number>
  for (const name of rareFacts) row[name] = rare[name] ?? null
  if (row['input'] !== null) for (const name of rareFacts.slice(0, rareCounts)) row[name] ??= 0
  row['operation_id'] = operationId ?? id.slice(0, -String(row['attempt']).length - 1)
  return row as unknown as LedgerTable
}

/** A reservation as the journal takes it: enough to make the row that a crash leaves. */
export interface ReservationEntry {
  readonly id: string
  readonly operationId: string | null
  /** Moment, input and cost. */
  readonly numbers: readonly (number | null)[]
  /** JSON list: the first of `dimensionColumns`, stream, price version, number of the attempt. */
  readonly head: string
}

/** Dimensions that are known before the call, from the first on. */
const headLength = dimensionColumns.indexOf('env') + 1

/** The reservation as it is kept. */
export function reservationEntry(one: Reservation): ReservationEntry {
  const { id, operationId, atMs, estimatedInput, estimatedNanoUsd, attempt } = one
  const head = headTexts.of(one)
  const numbers = [whole(atMs), whole(estimatedInput), wholeOrNull(estimatedNanoUsd)]
  return { id, operationId: ownOperation(id, operationId, attempt), numbers, head }
}

/** How the rows that a crash left are estimated: the input that was sent, since nobody knows how much of an answer came. */
export const crashEstimator = 'crash-1'

/** The row for a reservation whose process died before its end was known. */
export function crashedEntry({ id, operationId, numbers, head }: ReservationEntry): Entry {
  const [atMs, input, cost] = numbers as [number, number, number | null]
  const known = JSON.parse(head) as Values
  const [stream, version, attempt] = known.slice(headLength)
  const ending = [version!, 'BYPASS', attempt!, 1, 0, 'internal_error', stream!, 0, 0, 0]
  const dimensions = [...known.slice(0, headLength), 'estimated', crashEstimator, null, ...ending]
  return {
    id,
    operationId,
    numbers: [atMs, input, 0, 0, 0, 0, input, cost, cost, 0, null, 0, null],
    more: null,
    dimensions: JSON.stringify(dimensions),
  }
}
