// Texts of what comes again and again, such as the dimensions of rows: found by comparing a row with one that had the same,
// which costs a tenth of writing them. A place is chosen by lengths and last letters; two that fall on one place take turns
// and cost what they cost without it.

import type { LedgerRow, Reservation } from './row.ts'

const places = 256

/** How the texts of one kind of thing are found and written. */
export interface TextForm<T> {
  readonly isSame: (one: T, other: T) => boolean
  /** Any whole number that is the same for the same. */
  readonly hash: (value: T) => number
  readonly write: (value: T) => string
}

/** Remembers the texts of a few hundred values, which must not change. */
export class RepeatedText<T> {
  readonly #values: (T | undefined)[] = Array.from({ length: places })
  readonly #texts: string[] = Array.from({ length: places }, () => '')

  constructor(private readonly form: TextForm<T>) {}

  /** The text of `value`; the same string again where what it says was the same. */
  of(value: T): string {
    const { isSame, hash, write } = this.form
    const whole = hash(value)
    const place = (whole ^ (whole >>> 11)) & (places - 1)
    const known = this.#values[place]
    if (known !== undefined && isSame(known, value)) return this.#texts[place]!
    this.#values[place] = value
    return (this.#texts[place] = write(value))
  }
}

/** What reservations and rows have alike. */
type Head = Omit<Reservation, 'id' | 'operationId' | 'atMs' | 'estimatedInput' | 'estimatedNanoUsd'>

function mixed(hash: number, text: string | null): number {
  return text === null
    ? hash * 31
    : (Math.imul(hash, 31) + text.length * 7 + text.charCodeAt(text.length - 1)) | 0
}

/** By what tells most of them apart. */
export function hashOfHead({ model, upstream, owner, endpoint, attempt }: Head): number {
  const { key, keyId, user, team } = owner
  const hash = mixed(mixed(mixed(mixed(attempt, model), upstream), key), keyId)
  return mixed(mixed(mixed(hash, user), team), endpoint)
}

export function hashOfRow(row: LedgerRow): number {
  return mixed((Math.imul(hashOfHead(row), 31) + row.status) | 0, row.cache)
}

export function isSameHead(one: Head, other: Head): boolean {
  return (
    one.model === other.model &&
    one.upstreamModel === other.upstreamModel &&
    one.endpoint === other.endpoint &&
    one.method === other.method &&
    one.upstream === other.upstream &&
    one.account === other.account &&
    one.stream === other.stream &&
    one.priceVersion === other.priceVersion &&
    one.attempt === other.attempt &&
    isSameOwner(one.owner, other.owner)
  )
}

function isSameOwner(one: Reservation['owner'], other: Reservation['owner']): boolean {
  if (one === other) return true
  return (
    one.key === other.key &&
    one.keyId === other.keyId &&
    one.team === other.team &&
    one.app === other.app &&
    one.user === other.user &&
    one.env === other.env
  )
}

/** Whether two rows have the same dimensions (columns.ts). */
export function isSameRow(one: LedgerRow, other: LedgerRow): boolean {
  return (
    one.status === other.status &&
    one.cache === other.cache &&
    one.state === other.state &&
    one.last === other.last &&
    one.failure === other.failure &&
    one.estimator === other.estimator &&
    one.serviceTier === other.serviceTier &&
    one.clientGone === other.clientGone &&
    one.retryCount === other.retryCount &&
    one.unmetered === other.unmetered &&
    isSameHead(one, other)
  )
}
