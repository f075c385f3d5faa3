// The entries of a price file that speak about one model at one upstream, as sheets. The most specific wins: a name
// before a pattern and a longer pattern before a shorter one, then the entry that names the upstream, then the one that
// names the provider. Among equals the latest that is in force counts.

import { fitsGlob } from './glob.ts'
import { hasOwnPrices, type PriceEntry, type PriceFile } from './price-file.ts'
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

/** A change of prices by an entry. */
export interface OwnPrices {
  readonly fromMs: number
  /** Null = those of the bundled list, times `factor`. */
  readonly sheet: Sheet | null
  readonly factor: number
  /** By service tier: prices, or a factor on the standard ones. */
  readonly tiers: Readonly<Record<string, Sheet | number>>
}

/** Who is asked for what. Lower case. */
export interface Subject {
  readonly model: string
  readonly upstream: string
  readonly provider: string
}

/** All that apply, the one that counts first: the first whose `fromMs` has come. */
export function ownPricesOf(entries: readonly PriceEntry[], subject: Subject): OwnPrices[] {
  return entries
    .flatMap((entry) => {
      const rank = rankOf(entry, subject)
      return rank === null ? [] : [{ rank, own: toOwn(entry) }]
    })
    .sort((a, b) => compare(b.rank, a.rank) || b.own.fromMs - a.own.fromMs)
    .map(({ own }) => own)
}

/** Entries that count for none of these, such as `prices[3].upstream`, with the name that fits nobody. */
export function fitNobody(
  { prices, providers }: Pick<PriceFile, 'prices' | 'providers'>,
  upstreams: readonly string[],
): { readonly path: string; readonly name: string }[] {
  const unknown = (glob: string): boolean =>
    !upstreams.some((name) => fitsGlob(glob.toLowerCase(), name.toLowerCase()))
  const entries = prices.flatMap(({ upstream }, index) =>
    upstream !== undefined && unknown(upstream)
      ? [{ path: `prices[${index}].upstream`, name: upstream }]
      : [],
  )
  const named = Object.keys(providers).filter((name) => !upstreams.includes(name))
  return [...entries, ...named.map((name) => ({ path: `providers.${name}`, name }))]
}

function rankOf(entry: PriceEntry, { model, upstream, provider }: Subject): number[] | null {
  const fits = (glob: string | undefined, text: string): boolean =>
    glob === undefined || fitsGlob(glob.toLowerCase(), text)
  if (!fits(entry.upstream, upstream) || !fits(entry.provider, provider)) return null
  const globs = [entry.model].flat().filter((glob) => fits(glob, model))
  if (globs.length === 0) return null
  const exact = globs.some((glob) => !glob.includes('*'))
  const literal = Math.max(...globs.map((glob) => glob.replaceAll('*', '').length))
  return [exact ? 1 : 0, literal, entry.upstream === undefined ? 0 : 1, entry.provider === undefined ? 0 : 1]
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    if (value !== b[index]!) return value - b[index]!
  }
  return 0
}

const perTokens = { token: 1, '1k': 1000, '1M': 1_000_000 }

function toOwn(entry: PriceEntry): OwnPrices {
  const per = perTokens[entry.per]
  const tiers = Object.entries(entry.serviceTiers ?? {}).map(([name, tier]): [string, Sheet | number] => [
    name,
    typeof tier === 'number' ? tier : { ...flatSheet(namedIn(tier, per)), ...kindsOf(tier) },
  ])
  return {
    fromMs: entry.from ?? -Infinity,
    sheet: hasOwnPrices(entry) ? sheetOf(entry, per) : null,
    factor: entry.factor ?? 1,
    tiers: Object.fromEntries(tiers),
  }
}

function sheetOf(entry: PriceEntry, per: number): Sheet {
  if (entry.free === true) return freeSheet
  const base = namedIn(entry, per)
  const larger = (entry.tiers ?? []).map(({ above, ...prices }) => ({
    above,
    rates: ratesOf({ ...base, ...namedIn(prices, per) }),
  }))
  const tiers = [{ above: -1, rates: ratesOf(base) }, ...larger]
  return { free: false, tiers, ...kindsOf(entry) }
}

function kindsOf({ images, videos, containers }: Pick<PriceEntry, 'images' | 'videos' | 'containers'>) {
  return byKind({
    images: ratesByKind(images),
    videos: ratesByKind(videos),
    containers: ratesByKind(containers),
  })
}

const tokens: readonly PriceClass[] = [
  'input', 'cachedInput', 'cacheWrite', 'output', 'reasoning', 'audioInput', 'audioOutput', 'imageInput', 'imageOutput',
] // prettier-ignore
const others: readonly (readonly [keyof PriceEntry, PriceClass, number])[] = [
  ['perRequest', 'request', 1],
  ['perImage', 'image', 1],
  ['perAudioSecond', 'audioSecond', 1],
  ['perAudioMinute', 'audioSecond', 60],
  ['perCharacter', 'character', 1],
  ['perMillionCharacters', 'character', 1_000_000],
  ['perMillionTrainedTokens', 'trainedToken', 1_000_000],
  ['perVideoSecond', 'videoSecond', 1],
  ['perContainer', 'container', 1],
  ['perWebSearch', 'webSearch', 1],
  ['perThousandWebSearches', 'webSearch', 1000],
  ['perThousandPreviewWebSearches', 'webSearchPreview', 1000],
  ['perFileSearch', 'fileSearch', 1],
  ['perThousandFileSearches', 'fileSearch', 1000],
]

function namedIn(prices: object, per: number): NamedPrices {
  const given = prices as Readonly<Record<string, unknown>>
  const named: Partial<Record<PriceClass, { dollars: number; per: number }>> = {}
  for (const name of tokens) {
    const dollars = given[name]
    if (typeof dollars === 'number') named[name] = { dollars, per }
  }
  for (const [key, name, count] of others) {
    const dollars = given[key]
    if (typeof dollars === 'number') named[name] = { dollars, per: count }
  }
  return named
}
