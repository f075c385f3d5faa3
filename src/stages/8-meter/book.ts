// Makes the final row of each call, once. What is certain is settled: usage that is the whole of it, an explicit 0, an error,
// a call that never left. The rest is estimated and says so, never 0: an answer that said nothing of its cost, a stream
// that broke, a call whose end nobody saw. Rows of calls that failed wait until it is known whether they were the last.

import type { Clock } from '../../base/clock.ts'
import type { Attempt, CachedFacts, Exchange } from '../../exchange.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { LedgerRow, RowOwner, RowState } from '../../ledger/row.ts'
import { areToolCalls } from '../../openai/tool-calls.ts'
import type { Units, Usage } from '../../openai/usage.ts'
import type { MeteredItem } from './item.ts'
import type { Pricing } from './pricing.ts'
import { reportedMetadata } from './reported.ts'

/** Tokens of a call whose answer does not say them. */
export interface Estimate {
  readonly usage: Usage
  /** Name and version of the way, such as `tokens-1`. */
  readonly estimator: string
}

/** What books are kept with. */
export interface BookParts {
  readonly clock: Clock
  readonly ledger: Ledger
  readonly pricing: Pricing
  /** Counts what was sent and received; may take a while. */
  readonly estimate: (x: Exchange, attempt: Attempt) => Promise<Estimate>
  /** Told of what cannot be kept. */
  readonly bug: (cause: unknown) => void
  /** Tells the operator. */
  readonly warn: (text: string) => void
}

/** How a call ended, as far as its cost goes. */
export interface Ending {
  /** The answer came to its own end. */
  readonly complete: boolean
  /** It is the last call of its exchange. */
  readonly last: boolean
}

const ownerOf = new WeakMap<Exchange['principal'], RowOwner>()

/** Whom an exchange is charged to. */
export function rowOwner({ principal }: Exchange): RowOwner {
  let owner = ownerOf.get(principal)
  if (owner === undefined) {
    const { key, keyId, team, app, user, env } = principal
    ownerOf.set(principal, (owner = { key, keyId, team, app, user, env }))
  }
  return owner
}

/** Models of one upstream that are told of. */
const toldMax = 1000

export class Book {
  /** Models, and units of models, whose lack of a price was told, of each upstream. */
  readonly #told = new Map<string, Set<string | null>>()
  readonly #estimating = new Set<Promise<void>>()

  constructor(private readonly parts: BookParts) {}

  /** Keeps the final row of a call. A promise where something has to be waited for before the answer may end. */
  close(x: Exchange, attempt: Attempt, ending: Ending): Promise<void> | null {
    if (attempt.state !== 'open') return null
    if (attempt.endedAtMs === 0) attempt.endedAtMs = this.parts.clock.nowMs()
    attempt.complete = ending.complete
    const state = stateOf(x, attempt, ending)
    attempt.state = state
    const { last } = ending
    return state === 'estimated' ? this.#estimate(x, attempt, last) : this.#write(x, attempt, { last, estimate: null }) // prettier-ignore
  }

  /** By itself: a function that makes closures pays for them at every call. */
  #estimate(x: Exchange, attempt: Attempt, last: boolean): Promise<void> {
    const estimating = this.parts
      .estimate(x, attempt)
      .then((estimate) => this.#write(x, attempt, { last, estimate: atLeast(estimate, attempt.usage) }))
      .then((kept) => kept ?? undefined)
      .catch(this.parts.bug)
      .finally(() => this.#estimating.delete(estimating))
    this.#estimating.add(estimating)
    return estimating
  }

  /** Keeps the row of an answer that needed no call, once: from the cache, or given again. It costs nothing. */
  given(x: Exchange, status: number): Promise<void> | null {
    const { cached } = x
    if (cached === null || x.ownRow !== 'due') return null
    x.ownRow = 'kept'
    const pending = cached.pending ?? null
    return pending === null ? this.#given(x, cached, status) : this.#givenOnce(pending, x, status)
  }

  /** As `given`, when it is known what the answer costs. */
  #givenOnce(pending: Promise<unknown>, x: Exchange, status: number): Promise<void> {
    const known = pending
      .then(() => this.#given(x, x.cached!, status) ?? undefined)
      .catch(this.parts.bug)
      .finally(() => this.#estimating.delete(known))
    this.#estimating.add(known)
    return known
  }

  #given(x: Exchange, cached: CachedFacts, status: number): Promise<void> | null {
    const { clock, pricing } = this.parts
    const durationUs = us(clock.nowMs() - x.startedAtMs)
    const row = rowOf(x, `${x.id}-0`)
    row.upstreamModel = cached.answeredModel ?? cached.upstreamModel
    row.serviceTier = cached.serviceTier
    row.savedNanoUsd = savedBy(x, cached, pricing)
    row.priceVersion = pricing.version
    row.last = true
    row.status = x.gone ? 499 : status
    row.failure = x.gone ? 'client_gone' : (x.failure?.code ?? null)
    row.durationUs = durationUs
    // Whoever shared an answer waited for its upstream.
    row.overheadUs = x.cacheStatus === 'COALESCED' ? null : durationUs
    return this.#keep(row)
  }

  /** Keeps a row for a cost that is not that of the call under way. */
  item(x: Exchange, item: MeteredItem): void {
    const attempt = x.tried.at(-1)
    if (attempt === undefined) return
    const { usage, units, model, serviceTier } = item.facts
    const { pricing, clock } = this.parts
    const asked = { model: model ?? attempt.upstreamModel, serviceTier, usage, units, batch: item.batch }
    const { costNanoUsd, priceVersion } = pricing.price({ ...asked, ...whom(attempt) })
    attempt.itemsNanoUsd += costNanoUsd ?? 0
    if (costNanoUsd === null) this.#tellUnpriced(asked.model, attempt.whom.name, units)
    const row = rowOf(x, item.rowId)
    row.operationId = item.rowId
    row.atMs = clock.wallMs()
    row.upstreamModel = asked.model
    row.upstream = attempt.whom.name
    row.account = attempt.whom.account
    row.state = item.estimator == null ? 'settled' : 'estimated'
    row.estimator = item.estimator ?? null
    row.usage = usage
    row.units = units
    row.serviceTier = serviceTier
    row.costNanoUsd = row.billedNanoUsd = costNanoUsd
    row.priceVersion = priceVersion
    row.status = x.gone ? 499 : attempt.status
    void this.#keep(row)
  }

  /** Resolves when every estimate under way is kept. */
  async idle(): Promise<void> {
    while (this.#estimating.size > 0) await Promise.all(this.#estimating)
  }

  #write(
    x: Exchange,
    attempt: Attempt,
    { last, estimate }: { readonly last: boolean; readonly estimate: Estimate | null },
  ): Promise<void> | null {
    const usage = attempt.itemised ? null : (estimate?.usage ?? attempt.usage)
    const { costNanoUsd, priceVersion } = this.#price(x, attempt, usage)
    attempt.costNanoUsd = costNanoUsd
    attempt.bookedUsage = usage
    const delivered = attempt.delivered || attempt.continued
    const part = delivered && last ? x.knownPart : null
    const row = rowOf(x, attempt.id)
    row.atMs = attempt.startedWallMs
    row.upstreamModel = modelOf(x, attempt)
    row.upstream = attempt.whom.name
    row.account = attempt.whom.account
    row.state = attempt.state as RowState
    row.estimator = estimate?.estimator ?? null
    row.usage = usage
    row.units = attempt.itemised ? null : attempt.units
    row.serviceTier = attempt.serviceTier
    row.costNanoUsd = costNanoUsd
    row.billedNanoUsd = delivered || costNanoUsd === null ? costNanoUsd : 0
    row.savedNanoUsd = part === null ? 0 : savedBy(x, part, this.parts.pricing)
    row.priceVersion = priceVersion
    row.attempt = x.tried.indexOf(attempt) + 1
    row.last = last
    row.status = x.gone ? 499 : attempt.status
    row.failure = failureOf(x, attempt, last)
    row.firstByteUs = attempt.firstByteAtMs === 0 ? null : us(attempt.firstByteAtMs - attempt.startedAtMs)
    row.durationUs = us(attempt.endedAtMs - attempt.startedAtMs)
    row.overheadUs = us(x.tried[0]!.startedAtMs - x.startedAtMs)
    row.unmetered = isUnmetered(x, attempt)
    return this.#keep(row)
  }

  #price(x: Exchange, attempt: Attempt, usage: Usage | null) {
    const { units, serviceTier, state, itemised } = attempt
    const { pricing } = this.parts
    // Nothing was used, or it is in rows of its own: that costs nothing whoever was asked.
    if (state === 'void' || itemised || x.endpoint?.metered === 'free')
      return { costNanoUsd: 0, priceVersion: pricing.version }
    const model = modelOf(x, attempt)
    if (usage === null && units === null) return { costNanoUsd: null, priceVersion: pricing.version }
    const { providerName: provider, name: upstream } = attempt.whom
    const atMs = attempt.startedWallMs
    const price = pricing.price({ provider, upstream, atMs, model, serviceTier, usage, units, batch: false })
    if (price.costNanoUsd === null) this.#tellUnpriced(model, upstream, units)
    return price
  }

  /** Once for each model, and for what of it has no price: nobody should find out from a bill. */
  #tellUnpriced(model: string | null, upstream: string, units: Units | null): void {
    let told = this.#told.get(upstream)
    if (told === undefined) this.#told.set(upstream, (told = new Set()))
    // Nearly always units are null: then no text is made for each such call.
    const key = units === null ? model : `${Object.keys(units).join(' and ')} of ${model}`
    if (told.has(key) || told.size >= toldMax) return
    told.add(key)
    const named = `the model "${String(model).slice(0, 128)}"`
    const what = units === null ? named : `${Object.keys(units).join(' and ')} of ${named}`
    const refused = units === null ? ', and money budgets refuse it' : ''
    this.parts.warn(
      `No price is known for ${what} at the upstream ${upstream}: such rows are unpriced${refused}. Give it a price ` +
        '(meter.prices, docs/prices.md).',
    )
  }

  #keep(row: LedgerRow): Promise<void> | null {
    try {
      return this.parts.ledger.settle(row)
    } catch (cause) {
      this.parts.bug(cause)
      return null
    }
  }
}

/** By which rule of the ledger a call's figures hold. */
function stateOf(x: Exchange, attempt: Attempt, { complete }: Ending): RowState {
  const { status, usage, units, sent } = attempt
  if (!sent || status >= 400 || (status >= 300 && status !== 304)) return 'void'
  if (attempt.itemised || attempt.usageFinal) return 'settled'
  const metered = x.endpoint?.metered ?? 'unmetered'
  if (metered === 'free') return 'settled'
  const known = usage !== null || (units !== null && !areToolCalls(units))
  if (complete && (known || metered === 'unmetered')) return 'settled'
  // Nothing can be said of what is not counted in tokens, but that it was not all.
  return metered === 'unmetered' && usage === null ? 'settled' : 'estimated'
}

/** Whether nobody says what it cost, here or in a row of its own. */
function isUnmetered(x: Exchange, { bookedUsage, units, itemised }: Attempt): boolean {
  return x.endpoint?.metered === 'unmetered' && bookedUsage === null && units === null && !itemised
}

/** What answered: as the answer says, else as asked for. */
function modelOf(x: Exchange, { answeredModel, upstreamModel }: Attempt): string | null {
  return answeredModel ?? upstreamModel ?? x.form?.model ?? null
}

/** What was seen of a running sum is a lower bound. */
function atLeast(estimate: Estimate, seen: Usage | null): Estimate {
  if (seen === null) return estimate
  const { usage, estimator } = estimate
  const input = Math.max(seen.input, seen.input > 0 ? 0 : usage.input)
  const output = Math.max(seen.output, usage.output)
  return { usage: { ...seen, input, output, total: input + output }, estimator }
}

/** What a stored answer did not cost; 0 where nobody can tell. */
function savedBy(x: Exchange, cached: CachedFacts, pricing: Pricing): number {
  const { usage, costNanoUsd, serviceTier, answeredModel, upstreamModel } = cached
  if (costNanoUsd !== null) return costNanoUsd
  if (usage === null) return 0
  const model = answeredModel ?? upstreamModel
  const about = { provider: cached.provider ?? '', upstream: cached.upstream ?? '', atMs: x.startedWallMs }
  return pricing.price({ ...about, model, serviceTier, usage, units: null, batch: false }).costNanoUsd ?? 0
}

/** A row while it is made. */
type Draft = { -readonly [Name in keyof LedgerRow]: LedgerRow[Name] }

/**
 * A row with what its exchange says and nothing else: settled, and of no cost. Written out and then changed, since one is made
 * for every call: spreading objects costs more than all the rest of it, and rows of one shape are read faster.
 */
function rowOf(x: Exchange, id: string): Draft {
  return {
    id,
    operationId: x.id,
    atMs: x.startedWallMs,
    endpoint: x.endpoint?.operation ?? 'unknown',
    method: x.request.method,
    model: x.model ?? x.form?.model ?? null,
    upstreamModel: null,
    upstream: null,
    account: null,
    owner: rowOwner(x),
    state: 'settled',
    estimator: null,
    usage: null,
    units: null,
    serviceTier: null,
    costNanoUsd: 0,
    billedNanoUsd: 0,
    savedNanoUsd: 0,
    priceVersion: null,
    cache: x.cacheStatus,
    attempt: 0,
    last: false,
    status: 0,
    failure: null,
    firstByteUs: null,
    durationUs: 0,
    overheadUs: null,
    stream: x.stream,
    clientGone: x.gone,
    endUser: x.endUser,
    metadata: reportedMetadata(x),
    retryCount: x.retryCount,
    unmetered: false,
  }
}

function failureOf(x: Exchange, attempt: Attempt, last: boolean): string | null {
  if (last && x.gone) return 'client_gone'
  return (attempt.failure ?? (last ? x.failure : null))?.code ?? null
}

function whom({ whom: { providerName, name }, startedWallMs }: Attempt) {
  return { provider: providerName, upstream: name, atMs: startedWallMs }
}

function us(ms: number): number {
  return Math.max(0, Math.round(ms * 1000))
}
