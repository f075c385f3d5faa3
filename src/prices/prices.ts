// What a call costs. One object is one version of all prices: the bundled list with a price file over it. Which prices
// belong to a name is found once and remembered; from then on a call costs two look-ups and a sum. What is not known is
// null and never 0: the row says `unpriced`, somebody is told, and money budgets refuse the model.

import type { Units, Usage } from '../openai/usage.ts'
import { bundledVersion, findBundled, providerIdOf, type BundledModel, type Period } from './bundled.ts'
import { count, isCovered, namelessModel, newCounts, withKinds } from './counts.ts'
import { fitNobody, ownPricesOf, type OwnPrices } from './own-prices.ts'
import type { PriceFile } from './price-file.ts'
import {
  classes,
  freeSheet,
  ratesAt,
  scaled,
  sumOf,
  tokenClasses,
  toolsFrom,
  unitsFrom,
  withTools,
  type PriceClass,
  type Sheet,
} from './rates.ts'

/** An upstream as prices see it. */
export interface PricedUpstream {
  readonly name: string
  readonly provider: string
  /** Null for the sandbox. */
  readonly baseUrl: string | null
}

/** One call. */
export interface PriceQuery {
  readonly provider: string
  readonly upstream: string
  /** The model that answered, or else the one asked for. */
  readonly model: string | null
  /** Of the answer; null = the standard one. */
  readonly serviceTier: string | null
  /** Wall clock. */
  readonly atMs: number
  readonly usage: Usage | null
  readonly units: Units | null
  /** Whether it is a line of a batch. */
  readonly batch: boolean
}

/** What a call costs; null = no price is known. */
export interface Price {
  readonly costNanoUsd: number | null
  readonly priceVersion: string
}

/** The most a call may cost. */
export interface WorstQuery {
  readonly model: string | null
  /** At least as many as the upstream will count. */
  readonly inputTokens: number
  readonly outputTokens: number
  /** Who may be asked; null = any. */
  readonly upstreams: readonly string[] | null
  /** As asked for; null = the standard one. */
  readonly serviceTier: string | null
  readonly atMs: number
}

/** What is known of a model at an upstream. */
interface Known {
  readonly own: readonly OwnPrices[]
  readonly bundled: BundledModel | null
  /** Sheets made so far, by what they were made of. */
  readonly made: Map<OwnPrices | Period, Map<string, Sheet | null>>
}

/** Names come from clients: more are not remembered at once. */
const rememberedMax = 2000
/** No model has a longer name. */
const nameMax = 256
const unknown: Known = { own: [], bundled: null, made: new Map() }
const standardTiers = new Set(['', 'default', 'auto', 'standard', 'on_demand'])
const counts = newCounts()

export class Prices {
  /** Of the list and the file; part of every row. */
  readonly version: string
  readonly #file: PriceFile | null
  readonly #upstreams: readonly PricedUpstream[]
  readonly #known = new Map<string, Map<string, Known>>()

  /** @param file prices of one's own; null = none */
  constructor(upstreams: readonly PricedUpstream[], file: PriceFile | null) {
    this.#upstreams = upstreams
    this.#file = file
    this.version = file === null ? bundledVersion : `${bundledVersion}+${file.digest}`
  }

  /** What of the price file counts for none of the upstreams: mistyped, nearly always. */
  get fittingNobody(): { readonly path: string; readonly name: string }[] {
    const names = this.#upstreams.map(({ name }) => name)
    return this.#file === null ? [] : fitNobody(this.#file, names)
  }

  /** What `query` costs. Never throws; the cost is an integer from 0 to Number.MAX_SAFE_INTEGER, or null. */
  price(query: PriceQuery): Price {
    return { costNanoUsd: this.#cost(query), priceVersion: this.version }
  }

  #cost({ provider, upstream, model, serviceTier, atMs, usage, units, batch }: PriceQuery): number | null {
    const known = this.#find(upstream, provider, namelessModel(units) ?? model ?? '')
    const sheet = this.#sheet(known, tierOf(serviceTier, batch), atMs)
    if (sheet === null) return null
    if (sheet.free) return 0
    if (!count(counts, usage, units)) return null
    const rates = withKinds(ratesAt(sheet, usage?.input ?? 0), sheet, units)
    const end = units === null ? unitsFrom : counts.length
    return isCovered(counts, rates, { hasUsage: usage !== null, end }) ? sumOf(counts, rates, end) : null
  }

  /** The most it may cost by the dearest class of tokens and the dearest upstream; null where one has no price. */
  worstNanoUsd({
    model,
    inputTokens,
    outputTokens,
    upstreams,
    serviceTier,
    atMs,
  }: WorstQuery): number | null {
    let worst: number | null = null
    for (const { name, provider } of this.#upstreams) {
      if (upstreams !== null && !upstreams.includes(name)) continue
      const known = this.#find(name, provider, model ?? '')
      for (const tier of new Set(['', tierOf(serviceTier, false)])) {
        const sheet = this.#sheet(known, tier, atMs)
        if (sheet === null) return null
        const cost = worstOf(sheet, inputTokens, outputTokens)
        if (cost === null) return null
        worst = Math.max(worst ?? 0, cost)
      }
    }
    return worst
  }

  #find(upstream: string, provider: string, model: string): Known {
    if (model.length > nameMax) return unknown
    let models = this.#known.get(upstream)
    if (models === undefined) {
      models = new Map()
      if (this.#known.size >= rememberedMax) this.#known.clear()
      this.#known.set(upstream, models)
    }
    const known = models.get(model)
    if (known !== undefined) return known
    const looked = this.#look(upstream, provider, model)
    if (models.size >= rememberedMax) models.clear()
    models.set(model, looked)
    return looked
  }

  #look(upstream: string, provider: string, model: string): Known {
    const file = this.#file
    const target = named(file?.aliases, model) ?? model
    const subject = { upstream: upstream.toLowerCase(), provider: provider.toLowerCase() }
    const own = (name: string) =>
      ownPricesOf(file?.prices ?? [], { ...subject, model: name.toLowerCase().trim() })
    const direct = own(model)
    const baseUrl = this.#upstreams.find(({ name }) => name === upstream)?.baseUrl ?? null
    const providerId = named(file?.providers, upstream) ?? providerIdOf(provider, baseUrl)
    return {
      own: direct.length > 0 || target === model ? direct : own(target),
      bundled: providerId === null || target === '' ? null : findBundled(providerId, target),
      made: new Map(),
    }
  }

  #sheet({ own, bundled, made }: Known, tier: string, atMs: number): Sheet | null {
    const entry = own.find(({ fromMs }) => fromMs <= atMs)
    const period = bundled === null ? null : periodAt(bundled.periods, atMs)
    const source = entry?.sheet == null ? period : entry
    if (source === null) return null
    // An entry that changes the list's prices goes by the list's dates too.
    const key = entry === undefined || source === entry ? tier : `${entry.fromMs} ${tier}`
    let tiers = made.get(source)
    if (tiers === undefined) made.set(source, (tiers = new Map()))
    const known = tiers.get(key)
    if (known !== undefined) return known
    const sheet = makeSheet({ entry: entry ?? null, period, bundled }, tier)
    if (tiers.size >= 64) tiers.clear()
    tiers.set(key, sheet)
    return sheet
  }
}

/** Names come from clients: `constructor` is a member of every object. */
function named(names: Readonly<Record<string, string>> | undefined, name: string): string | undefined {
  return names !== undefined && Object.hasOwn(names, name) ? names[name] : undefined
}

function tierOf(serviceTier: string | null, batch: boolean): string {
  if (batch) return 'batch'
  return serviceTier === null || standardTiers.has(serviceTier) ? '' : serviceTier
}

interface Source {
  readonly entry: OwnPrices | null
  readonly period: Period | null
  readonly bundled: BundledModel | null
}

function makeSheet({ entry, period, bundled }: Source, tier: string): Sheet | null {
  const factor = entry?.factor ?? 1
  const listed = period === null ? null : scaled(period.sheet, factor)
  const standard = entry?.sheet == null ? listed : withTools(entry.sheet, listed)
  if (tier === '' || standard === null || standard.free) return standard
  const given = entry !== null && Object.hasOwn(entry.tiers, tier) ? entry.tiers[tier] : undefined
  if (typeof given === 'number') return given === 0 ? freeSheet : scaled(standard, given, tools)
  if (given !== undefined) return withTools(given, standard)
  if (entry?.sheet != null || bundled === null) return null
  if (tier === 'priority')
    return bundled.priority === null ? null : withTools(scaled(bundled.priority, factor), standard)
  // What OpenAI charges for a request is the search in it.
  return bundled.halfTiers && (tier === 'batch' || tier === 'flex')
    ? scaled(standard, 0.5, ['request', ...tools])
    : null
}

/** What costs the same in every service tier: only tokens are cheaper in some. */
const tools: readonly PriceClass[] = ['container', ...classes.slice(toolsFrom)]

function periodAt(periods: readonly Period[], atMs: number): Period {
  for (let i = periods.length - 1; i >= 0; i--) {
    const { fromMs, hours } = periods[i]!
    if (fromMs !== null && atMs < fromMs) continue
    if (hours === null || isWithin(hours, atMs % 86_400_000)) return periods[i]!
  }
  return periods[0]!
}

/** The hours may go over midnight. */
function isWithin({ from, to }: { from: number; to: number }, timeMs: number): boolean {
  return to < from ? timeMs >= from || timeMs < to : timeMs >= from && timeMs < to
}

const outputFrom = classes.indexOf('output')
const requestAt = classes.indexOf('request')

function worstOf(sheet: Sheet, inputTokens: number, outputTokens: number): number | null {
  if (sheet.free) return 0
  let worst = 0
  for (const { above, rates } of sheet.tiers) {
    if (inputTokens <= above) continue
    counts.fill(0)
    counts[requestAt] = 1
    const input = dearest(rates, 0, outputFrom)
    const output = dearest(rates, outputFrom, tokenClasses)
    if (input < 0 && output < 0 && rates[requestAt] == null) return null
    if (input >= 0) counts[input] = inputTokens
    if (output >= 0) counts[output] = outputTokens
    worst = Math.max(worst, sumOf(counts, rates))
  }
  return worst
}

function dearest(rates: Sheet['tiers'][number]['rates'], from: number, to: number): number {
  let best = -1
  for (let i = from; i < to; i++) {
    const price = rates[i]
    if (price != null && (best < 0 || price.exact > rates[best]!.exact)) best = i
  }
  return best
}
