// What a model costs, as exact numbers. Lists name dollars per million tokens, per hour or per request: as binary fractions
// their sums would be off by a nano-dollar now and then, and bills must not be. So every price is a whole number of one
// tiny unit that all of these divide: `unitsPerNano` of them are one nano-dollar. A cost is the plain sum of counts times
// prices and is rounded once, at its end, half up. Most prices are also a whole number of pico-dollars: then ordinary
// numbers are exact as well, and as fast as they get.

/** What is counted and priced apart. The order is that of `Rates` and of `Counts`. */
export const classes = [
  'input', 'cachedInput', 'cacheWrite', 'audioInput', 'cachedAudio', 'imageInput', 'cachedImage', 'output', 'reasoning',
  'audioOutput', 'imageOutput', 'request', 'image', 'audioSecond', 'character', 'trainedToken', 'videoSecond', 'container',
  'webSearch', 'webSearchPreview', 'fileSearch',
] as const // prettier-ignore

/** One of them. The first eleven are tokens of requests and answers. */
export type PriceClass = (typeof classes)[number]

/** How many of them are tokens. */
export const tokenClasses = 11
/** Where units begin, up to the end: nearly no call has any. */
export const unitsFrom = classes.indexOf('image')
/** Where calls of tools begin, up to the end: they are paid for beside the tokens of the answer that they are part of. */
export const toolsFrom = classes.indexOf('webSearch')

/** Divides by 60, 3600 and every power of ten that prices and factors have: 9 × 10^30. */
const unitsPerNano = 9n * 10n ** 30n
const nanoPerDollar = 10n ** 9n
const unitsPerPico = unitsPerNano / 1000n

/** One price. */
export interface Rate {
  /** In units of 1/unitsPerNano nano-dollars, for one token, request, image, second or character. */
  readonly exact: bigint
  /** The same in pico-dollars; -1 where that is no whole number, or a large one. */
  readonly pico: number
}

/** Prices by the order of `classes`; null = not known. What has none of its own has that of its kind: see `ratesOf`. */
export type Rates = readonly (Rate | null)[]

/** Prices named by class, in dollars as written. */
export type NamedPrices = Readonly<
  Partial<Record<PriceClass, { readonly dollars: number; readonly per: number }>>
>

/** The prices of a model: by the size of its input, since some are dearer with a long one. */
export interface Sheet {
  /** Ascending; the first is above -1. */
  readonly tiers: readonly { readonly above: number; readonly rates: Rates }[]
  /** Costs nothing, whatever is used. */
  readonly free: boolean
  /** Prices of images by `<quality>/<size>`, patterns with *; the first that fits counts. Absent = one price for all. */
  readonly images?: RatesByKind
  /** Prices of a second of video by its size, and of containers by their memory: likewise. */
  readonly videos?: RatesByKind
  readonly containers?: RatesByKind
}

/** Patterns with *, each with its price. */
export type RatesByKind = readonly (readonly [pattern: string, rate: Rate])[]

/** Prices by kind, in dollars. Undefined where none are named. */
export function ratesByKind(dollars: Readonly<Record<string, number>> | undefined): RatesByKind | undefined {
  return dollars && Object.entries(dollars).map(([kind, price]) => [kind, rateOf(price, 1)] as const)
}

/** A decimal number as the fraction `digits / 10^places`, exactly as it is written. */
function decimalOf(value: number): { digits: bigint; places: number } {
  const [, whole, fraction = '', exponent = '0'] = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value))!
  const places = fraction.length - Number(exponent)
  const digits = BigInt(whole! + fraction)
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 }
}

function rate(exact: bigint): Rate {
  const pico = exact % unitsPerPico === 0n ? Number(exact / unitsPerPico) : -1
  return { exact, pico: pico <= 2 ** 40 ? pico : -1 }
}

/** `dollars` for `per` tokens, seconds or whatever it is. @param dollars finite, not negative */
export function rateOf(dollars: number, per: number): Rate {
  const { digits, places } = decimalOf(dollars)
  return rate((digits * nanoPerDollar * unitsPerNano) / (10n ** BigInt(places) * BigInt(per)))
}

/** Which price stands in for one that is not named: a cached token is still an input token. */
const standIn: Partial<Record<PriceClass, PriceClass>> = {
  cachedInput: 'input',
  cacheWrite: 'input',
  audioInput: 'input',
  cachedAudio: 'cachedInput',
  imageInput: 'input',
  cachedImage: 'cachedInput',
  reasoning: 'output',
  audioOutput: 'output',
  imageOutput: 'output',
  webSearchPreview: 'webSearch',
}

/** All prices of a model from those that are named. */
export function ratesOf(named: NamedPrices): Rates {
  const find = (name: PriceClass): Rate | null => {
    const own = named[name]
    if (own !== undefined) return rateOf(own.dollars, own.per)
    const other = standIn[name]
    return other === undefined ? null : find(other)
  }
  return classes.map(find)
}

/** A sheet with one price whatever the size of the input. */
export function flatSheet(named: NamedPrices): Sheet {
  return { tiers: [{ above: -1, rates: ratesOf(named) }], free: false }
}

/** What costs nothing. */
export const freeSheet: Sheet = { tiers: [{ above: -1, rates: classes.map(() => null) }], free: true }

/** The same prices times a factor, such as 0.5 for batches. `spared`: classes whose price stays as it is. */
export function scaled(sheet: Sheet, factor: number, spared: readonly PriceClass[] = []): Sheet {
  if (factor === 1) return sheet
  const { digits, places } = decimalOf(factor)
  const times = (one: Rate): Rate => rate((one.exact * digits) / 10n ** BigInt(places))
  const timesAll = (all: RatesByKind | undefined) =>
    all?.map(([pattern, one]) => [pattern, times(one)] as const)
  return {
    free: sheet.free,
    tiers: sheet.tiers.map(({ above, rates }) => ({
      above,
      rates: rates.map((one, index) => (one === null || spared.includes(classes[index]!) ? one : times(one))),
    })),
    ...byKind({
      images: timesAll(sheet.images),
      videos: timesAll(sheet.videos),
      containers: spared.includes('container') ? sheet.containers : timesAll(sheet.containers),
    }),
  }
}

/** Those that are there: a sheet without has no such members. */
export function byKind(given: {
  readonly [Name in 'images' | 'videos' | 'containers']?: RatesByKind | undefined
}): Pick<Sheet, 'images' | 'videos' | 'containers'> {
  return Object.fromEntries(Object.entries(given).filter((entry) => entry[1] !== undefined))
}

/** Calls of tools cost what `from` says where `sheet` does not say it: other prices of tokens do not change them. */
export function withTools(sheet: Sheet, from: Sheet | null): Sheet {
  if (sheet.free || from === null || from.free) return sheet
  const tools = from.tiers[0]!.rates
  const tiers = sheet.tiers.map(({ above, rates }) => ({
    above,
    rates: rates.map((one, index) => (index >= toolsFrom ? (one ?? tools[index]!) : one)),
  }))
  return { ...sheet, tiers }
}

/** The prices for an input of this size. */
export function ratesAt({ tiers }: Sheet, input: number): Rates {
  let found = tiers[0]!.rates
  for (let i = 1; i < tiers.length && input > tiers[i]!.above; i++) found = tiers[i]!.rates
  return found
}

/**
 * Counts times prices, in nano-dollars, half up; at most Number.MAX_SAFE_INTEGER. `counts`: not negative, by class; those
 * from `end` on are 0.
 */
export function sumOf(counts: Float64Array, rates: Rates, end = counts.length): number {
  let pico = 0
  for (let i = 0; i < end; i++) {
    const count = counts[i]!
    if (count === 0) continue
    const price = rates[i]
    if (price == null) continue
    const part = count * price.pico
    pico += part
    // Beyond 2^53 sums of numbers are no longer exact; half a second of audio never was.
    if (price.pico < 0 || pico > Number.MAX_SAFE_INTEGER - 1000 || !Number.isInteger(count))
      return exactSum(counts, rates)
  }
  const up = pico + 500
  return (up - (up % 1000)) / 1000
}

/** Fractions of a unit are counted to the millionth. */
const parts = 1_000_000
const bigParts = 1_000_000n

/** The same without the short cut. */
export function exactSum(counts: Float64Array, rates: Rates): number {
  let sum = 0n
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i]!
    const price = rates[i]
    if (count === 0 || price == null) continue
    sum += Number.isInteger(count)
      ? BigInt(count) * bigParts * price.exact
      : BigInt(Math.round(count * parts)) * price.exact
  }
  const whole = unitsPerNano * bigParts
  const nano = (sum + whole / 2n) / whole
  return nano > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(nano)
}
