// The bundled list: `@pydantic/genai-prices` as it was released, never fetched. Which model a name means is asked of the
// package, then judged by name-match.ts; how much that costs is computed here, exactly. Before it come our own few
// corrections (supplement.ts).

import {
  calcPrice,
  findProvider,
  type TieredPrices,
  type ModelInfo,
  type ModelPrice,
} from '@pydantic/genai-prices'
import manifest from '../../package.json' with { type: 'json' }
import { isExact, isOnlyRevision } from './name-match.ts'
import {
  byKind,
  flatSheet,
  freeSheet,
  ratesByKind,
  ratesOf,
  type NamedPrices,
  type PriceClass,
  type Sheet,
} from './rates.ts'
import {
  priorityPrices,
  revision,
  supplement,
  toolPrices,
  trainingPrices,
  type SupplementPrice,
} from './supplement.ts'

/** Name and version of the list, for the price version of rows. */
export const bundledVersion = `genai-prices@${manifest.dependencies['@pydantic/genai-prices']}-${revision}`

/** Prices that are in force at some times. */
export interface Period {
  /** Wall clock; null = since ever. */
  readonly fromMs: number | null
  /** Milliseconds of the UTC day between which they hold, where prices depend on the hour. */
  readonly hours: { readonly from: number; readonly to: number } | null
  readonly sheet: Sheet
}

/** A model of the list. */
export interface BundledModel {
  /** The last that is in force counts; where none is, the first. */
  readonly periods: readonly Period[]
  /** Service tier `priority`; null = not published. */
  readonly priority: Sheet | null
  /** Whether batches and the tier `flex` cost half. */
  readonly halfTiers: boolean
}

const perMillion: Readonly<Record<string, PriceClass>> = {
  input_mtok: 'input',
  cache_read_mtok: 'cachedInput',
  cache_write_mtok: 'cacheWrite',
  output_mtok: 'output',
  output_reasoning_mtok: 'reasoning',
  input_audio_mtok: 'audioInput',
  cache_audio_read_mtok: 'cachedAudio',
  output_audio_mtok: 'audioOutput',
  input_image_mtok: 'imageInput',
  cache_image_read_mtok: 'cachedImage',
  output_image_mtok: 'imageOutput',
}
/** Tools of Azure are Azure's own, but for its models the list says what they cost at OpenAI. */
const toolNames = new Set(['web_searches_kcount', 'storage_searches_kcount'])
const perOther: Readonly<Record<string, readonly [PriceClass, number]>> = {
  audio_hours: ['audioSecond', 3600],
  input_audio_hours: ['audioSecond', 3600],
  requests_kcount: ['request', 1000],
  web_searches_kcount: ['webSearch', 1000],
  storage_searches_kcount: ['fileSearch', 1000],
  input_mchars: ['character', 1_000_000],
}

/** The list's name for one of our providers; null = it has none. `baseUrl`: tells servers that only speak like OpenAI. */
export function providerIdOf(provider: string, baseUrl: string | null): string | null {
  if (provider === 'sandbox') return 'openai'
  if (provider === 'bedrock') return 'aws'
  if (provider === 'vertex') return 'google'
  if (provider === 'openai-compatible')
    return baseUrl === null ? null : (findProvider({ providerApiUrl: baseUrl })?.id ?? null)
  return findProvider({ providerId: provider })?.id ?? null
}

/** Whether the list knows a provider of this name. */
export function isProviderId(name: string): boolean {
  return findProvider({ providerId: name })?.id === name
}

/** The model of that name, or null. Not cheap: callers remember. */
export function findBundled(providerId: string, name: string): BundledModel | null {
  const model = name.toLowerCase().trim()
  const openai = providerId === 'openai' || providerId === 'azure'
  const own = openai ? fromSupplement(providerId, model) : undefined
  if (own !== undefined) return own
  const found = fromPackage(providerId, model)
  if (found !== null) return found
  // As clients of one provider write names meant for another: `openai/gpt-4o`, `models/gemini-2.5-flash`.
  const prefix = [`${providerId}/`, 'models/'].find((one) => model.startsWith(one))
  return prefix === undefined ? null : findBundled(providerId, model.slice(prefix.length))
}

function fromSupplement(providerId: string, model: string): BundledModel | undefined {
  // `ft:base:organisation:suffix:id`: what its base would cost is never taken for it.
  const name = model.startsWith('ft:') ? model.split(':', 2).join(':') : model
  const key = Object.keys(supplement).find(
    (one) => name.startsWith(one) && isOnlyRevision(name.slice(one.length).replace(/^-stable$/, '')),
  )
  if (key === undefined) return undefined
  const prices = supplement[key]!
  const sheet = prices === null ? freeSheet : supplementSheet(prices, toolsOf(providerId, model))
  return {
    periods: [{ fromMs: null, hours: null, sheet }],
    priority: null,
    halfTiers: !name.startsWith('ft:'),
  }
}

function supplementSheet(prices: SupplementPrice, tools: NamedPrices): Sheet {
  const { characters, thousandRequests, images, videos, containers, ...tokens } = prices
  const named: Partial<Record<PriceClass, { dollars: number; per: number }>> = Object.fromEntries(
    Object.entries(tokens).map(([name, dollars]) => [name, { dollars, per: 1_000_000 }]),
  )
  if (characters !== undefined) named.character = { dollars: characters, per: 1_000_000 }
  if (thousandRequests !== undefined) named.request = { dollars: thousandRequests, per: 1000 }
  return {
    ...flatSheet({ ...tools, ...named }),
    ...byKind({
      images: ratesByKind(images),
      videos: ratesByKind(videos),
      containers: ratesByKind(containers),
    }),
  }
}

/** OpenAI's prices of tools are those of all its models; other servers of the same models have their own. */
function toolsOf(providerId: string, name: string): NamedPrices {
  if (providerId !== 'openai') return {}
  const { webSearch, webSearchPreview, fileSearch } = toolPrices
  const preview = /^(?:ft:)?gpt-4/.test(name)
    ? { webSearchPreview: { dollars: webSearchPreview, per: 1000 } }
    : {}
  return {
    webSearch: { dollars: webSearch, per: 1000 },
    ...preview,
    fileSearch: { dollars: fileSearch, per: 1000 },
  }
}

function fromPackage(providerId: string, name: string): BundledModel | null {
  const found = calcPrice({}, name, { providerId, timestamp: new Date(0) })
  if (found === null) return null
  const { model } = found
  const dated = name.replace(/-(20\d{2})(\d{2})(\d{2})(?=-|:|$)/, '-$1-$2-$3')
  const target = name.startsWith('ft:') ? name.split(':', 2).join(':') : name
  if (!isExact(model.match, target) && !isExact(model.match, dated)) return null
  return {
    periods: periodsOf(model, {
      named: { ...(providerId === 'openai' ? trainingOf(name) : {}), ...toolsOf(providerId, name) },
      toolsListed: providerId !== 'azure',
    }),
    priority: providerId === 'openai' ? priorityOf(name) : null,
    halfTiers: ['openai', 'azure', 'anthropic', 'google'].includes(providerId) && !name.startsWith('ft:'),
  }
}

function undatedOf(name: string): string {
  return name.replace(/-\d{4}-\d{2}-\d{2}$/, '')
}

function trainingOf(name: string): NamedPrices {
  const undated = undatedOf(name)
  if (!Object.hasOwn(trainingPrices, undated)) return {}
  return { trainedToken: { dollars: trainingPrices[undated]!, per: 1_000_000 } }
}

function priorityOf(name: string): Sheet | null {
  const undated = undatedOf(name)
  const prices = Object.hasOwn(priorityPrices, undated) ? priorityPrices[undated] : undefined
  if (prices === undefined || name === 'gpt-4o-2024-05-13') return null
  const [input, cachedInput, output] = prices.map((dollars) => ({ dollars, per: 1_000_000 }))
  return flatSheet({ input: input!, cachedInput: cachedInput!, output: output! })
}

/** What is added to the prices of the list, and whether its own for tools hold. */
interface Additions {
  readonly named: NamedPrices
  readonly toolsListed: boolean
}

function periodsOf({ prices }: ModelInfo, more: Additions): Period[] {
  if (!Array.isArray(prices)) return [{ fromMs: null, hours: null, sheet: sheetOf(prices, more) }]
  return prices.map(({ constraint, prices: own }) => ({
    fromMs: constraint?.type === 'start_date' ? Date.parse(`${constraint.start_date}T00:00:00Z`) : null,
    hours:
      constraint?.type === 'time_of_date'
        ? { from: timeOfDayMs(constraint.start_time), to: timeOfDayMs(constraint.end_time) }
        : null,
    sheet: sheetOf(own, more),
  }))
}

/** `16:30:00Z` as milliseconds of the UTC day. */
function timeOfDayMs(text: string): number {
  return Date.parse(`1970-01-02T${text}`) % 86_400_000
}

function sheetOf(prices: ModelPrice, { named, toolsListed }: Additions): Sheet {
  const entries = Object.entries(prices).filter(
    ([name, price]) => price !== undefined && (toolsListed || !toolNames.has(name)),
  ) as [string, number | TieredPrices][]
  if (entries.length === 0) return freeSheet
  const starts = entries.flatMap(([, price]) =>
    typeof price === 'number' ? [] : price.tiers.map(({ start }) => start),
  )
  const aboves = [-1, ...[...new Set(starts)].sort((a, b) => a - b)]
  return {
    free: false,
    tiers: aboves.map((above) => ({ above, rates: ratesOf({ ...namedAt(entries, above), ...named }) })),
  }
}

function namedAt(entries: readonly [string, number | TieredPrices][], above: number): NamedPrices {
  const named: Partial<Record<PriceClass, { dollars: number; per: number }>> = {}
  for (const [key, price] of entries) {
    const token = perMillion[key]
    const [name, per] = token === undefined ? (perOther[key] ?? []) : [token, 1_000_000]
    if (name === undefined || per === undefined) continue
    named[name] = { dollars: priceAt(price, above), per }
  }
  return named
}

function priceAt(price: number | TieredPrices, above: number): number {
  if (typeof price === 'number') return price
  let dollars = price.base
  for (const tier of price.tiers.toSorted((a, b) => a.start - b.start)) {
    if (tier.start <= above) dollars = tier.price
  }
  return dollars
}
