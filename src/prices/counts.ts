// From what a provider reports to what is priced: each token in exactly one class. Providers count cached, written and
// audio tokens as part of the input, so they are taken out of it before it is priced; adding them to it is the mistake
// that has billed cached tokens several times elsewhere.

import type { Units, Usage } from '../openai/usage.ts'
import { fitsGlob } from './glob.ts'
import {
  classes,
  tokenClasses,
  toolsFrom,
  unitsFrom,
  type PriceClass,
  type Rates,
  type RatesByKind,
  type Sheet,
} from './rates.ts'

/** One number a class, used again by every call: nothing here waits. */
export type Counts = Float64Array

const at = Object.fromEntries(classes.map((name, index) => [name, index])) as Record<PriceClass, number>

/** Room for one number a class. */
export function newCounts(): Counts {
  return new Float64Array(classes.length)
}

/** The largest count of any unit that is believed. */
const countMax = 2 ** 40

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= countMax
}

/**
 * Fills `counts`. False where a number cannot be (negative, no number, beyond the ceiling): then nobody knows the cost.
 * What `total` holds beyond input and output is output: some count reasoning apart from it.
 */
export function count(counts: Counts, usage: Usage | null, units: Units | null): boolean {
  counts.fill(0)
  counts[at.request] = 1
  if (usage !== null && !countTokens(counts, usage)) return false
  if (units === null) return true
  for (const name in units) {
    const value = units[name]!
    if (!(value >= 0 && value <= countMax)) return false
    const index = classOf(name)
    if (index >= 0) counts[index]! += value
  }
  return true
}

const unitClasses: Readonly<Record<string, number>> = {
  audioSeconds: at.audioSecond,
  characters: at.character,
  trainedTokens: at.trainedToken,
  webSearches: at.webSearch,
  'webSearches/preview': at.webSearchPreview,
  fileSearches: at.fileSearch,
}

/** Which class a unit is counted in; -1 = none. What follows a `/` is its kind. */
function classOf(name: string): number {
  if (Object.hasOwn(unitClasses, name)) return unitClasses[name]!
  if (name.startsWith('images')) return at.image
  if (name.startsWith('videoSeconds')) return at.videoSecond
  return name.startsWith('containers') ? at.container : -1
}

/** The name that stands in price lists for what no model does, whatever model the request names; null = a model did it. */
export function namelessModel(units: Units | null): string | null {
  for (const name in units) if (name.startsWith('containers')) return 'container'
  return null
}

function countTokens(counts: Counts, usage: Usage): boolean {
  const { input, cachedInput, cacheWrite, output, reasoning, audioInput, audioOutput, total } = usage
  const { cachedAudio, cachedImage, imageInput, imageOutput } = usage
  if (
    !isCount(input) || !isCount(cachedInput) || !isCount(cacheWrite) || !isCount(output) || !isCount(reasoning) ||
    !isCount(audioInput) || !isCount(audioOutput) || !isCount(total) || !isCount(imageInput) || !isCount(imageOutput) ||
    !isCount(cachedAudio) || !isCount(cachedImage)
  ) return false // prettier-ignore

  // Each part is bounded by what is left, so that together they are the input and never more.
  const cached = Math.min(cachedInput, input)
  const written = Math.min(cacheWrite, input - cached)
  const fresh = input - cached - written
  const heard = Math.min(cachedAudio, audioInput, cached)
  const seen = Math.min(cachedImage, imageInput, cached - heard)
  // Audio that does not fit beside the cached tokens was among them, whether or not the answer says so.
  const audio = Math.min(audioInput - heard, fresh)
  const cachedSound = Math.min(audioInput - audio, cached - seen)
  const image = Math.min(imageInput - seen, fresh - audio)
  counts[at.input] = fresh - audio - image
  counts[at.cachedInput] = cached - cachedSound - seen
  counts[at.cacheWrite] = written
  counts[at.audioInput] = audio
  counts[at.cachedAudio] = cachedSound
  counts[at.imageInput] = image
  counts[at.cachedImage] = seen

  const reported = output + Math.max(0, total - input - output)
  // More reasoning than output cannot be a part of it.
  const all = reasoning > reported ? reported + reasoning : reported
  const thought = Math.min(reasoning, all)
  const spoken = Math.min(audioOutput, all - thought)
  const drawn = Math.min(imageOutput, all - thought - spoken)
  counts[at.output] = all - thought - spoken - drawn
  counts[at.reasoning] = thought
  counts[at.audioOutput] = spoken
  counts[at.imageOutput] = drawn
  return true
}

/** The prices with that of the kind of images, videos or containers; the same object where their kind makes no difference. */
export function withKinds(rates: Rates, sheet: Sheet, units: Units | null): Rates {
  if (units === null) return rates
  for (const name in units) {
    const index = classOf(name)
    const kinds = kindsOf(sheet, index)
    if (kinds === undefined) continue
    const slash = name.indexOf('/')
    const auto = index === at.image ? 'auto/auto' : 'auto'
    const kind = slash < 0 ? auto : name.slice(slash + 1).toLowerCase()
    const found = kinds.find(([pattern]) => fitsGlob(pattern, kind))
    return found === undefined ? rates : rates.with(index, found[1])
  }
  return rates
}

function kindsOf({ images, videos, containers }: Sheet, index: number): RatesByKind | undefined {
  return index === at.image
    ? images
    : index === at.videoSecond
      ? videos
      : index === at.container
        ? containers
        : undefined
}

/** Whether these prices say what these counts cost: a class that was used must have one. Counts from `end` on are 0. */
export function isCovered(
  counts: Counts,
  rates: Rates,
  { hasUsage, end }: { readonly hasUsage: boolean; readonly end: number },
): boolean {
  let priced = rates[at.request] != null
  let tokensPriced = hasUsage
  for (let i = 0; i < tokenClasses; i++) {
    if (counts[i]! > 0 && rates[i] == null) tokensPriced = false
  }
  for (let i = unitsFrom; i < end; i++) {
    if (counts[i] === 0) continue
    // A tool without a price would make the call silently cheaper, whatever else of it is priced.
    if (i >= toolsFrom && rates[i] == null) return false
    if (i < toolsFrom && rates[i] != null) priced = true
  }
  // What is billed by the second or the image may report tokens as well, without a price for any.
  const byTokens = rates[at.input] != null || rates[at.output] != null
  return byTokens && hasUsage ? tokensPriced : priced
}
