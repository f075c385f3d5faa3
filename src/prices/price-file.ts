// `prices.yaml`: prices of one's own, over the bundled list. Checked whole before any of it counts: each mistake is told
// with file and line, all at once, as for the configuration. A file with one mistake is not used in part: a price that is
// silently missing would be a bill that is silently wrong.

import { createHash } from 'node:crypto'
import { z } from 'zod'
import { expected } from '../config/fields.ts'
import { ConfigProblems, pathText, type Problem } from '../config/problem.ts'
import { didYouMean } from '../config/suggest.ts'
import { parseYaml, type Locate } from '../config/yaml-source.ts'
import { isProviderId } from './bundled.ts'

/** Beyond this, somebody has mixed up the units. */
const dollarsMax = 1_000_000
const entriesMax = 10_000

const dollars = z
  .number({ error: expected('a price in dollars, such as 0.15') })
  .min(0, 'must not be negative')
  .max(dollarsMax, `must not be over ${dollarsMax} dollars: see "per"`)
  .refine(
    (value) => !/\.\d{13}|e-/.test(String(value)),
    'has more than 12 digits behind the point: see "per"',
  )
const factor = z
  .number({ error: expected('a factor such as 0.5, or a mapping of prices') })
  .min(0, 'must not be negative')
  .max(100, 'must not be over 100')
  .refine((value) => !/\.\d{7}|e-/.test(String(value)), 'has more than 6 digits behind the point')

const tokenPrices = {
  input: dollars.optional(),
  cachedInput: dollars.optional(),
  cacheWrite: dollars.optional(),
  output: dollars.optional(),
  reasoning: dollars.optional(),
  audioInput: dollars.optional(),
  audioOutput: dollars.optional(),
  imageInput: dollars.optional(),
  imageOutput: dollars.optional(),
}
const imagePrices = z.record(
  z
    .string()
    .regex(/^[a-z0-9*]{1,32}\/[a-z0-9*]{1,32}$/, 'expected quality and size, such as hd/1024x1024 or */auto'),
  dollars,
  { error: expected('a mapping of prices by quality and size, such as hd/1024x1024') },
)
const pricesByKind = (what: string) =>
  z.record(z.string().regex(/^[a-z0-9*]{1,32}$/, `expected ${what}`), dollars, {
    error: expected(`a mapping of prices by ${what}`),
  })
const otherPrices = {
  perRequest: dollars.optional(),
  perImage: dollars.optional(),
  images: imagePrices.optional(),
  perAudioSecond: dollars.optional(),
  perAudioMinute: dollars.optional(),
  perCharacter: dollars.optional(),
  perMillionCharacters: dollars.optional(),
  perMillionTrainedTokens: dollars.optional(),
  perVideoSecond: dollars.optional(),
  videos: pricesByKind('a size such as 1280x720').optional(),
  perContainer: dollars.optional(),
  containers: pricesByKind('memory such as 4g').optional(),
  perWebSearch: dollars.optional(),
  perThousandWebSearches: dollars.optional(),
  perThousandPreviewWebSearches: dollars.optional(),
  perFileSearch: dollars.optional(),
  perThousandFileSearches: dollars.optional(),
}
const mapping = { error: expected('a mapping') }
const name = (what: string) =>
  z.string({ error: expected(what) }).regex(/^[\x21-\x7e]{1,256}$/, `expected ${what}`)
const models = z.union([name('a model'), z.array(name('a model')).min(1, 'is an empty list')], {
  error: expected('a model such as gpt-4o, or a list of them; * stands for any characters'),
})
const from = z.string({ error: expected('a date such as 2026-11-01') }).transform((text, context) => {
  const atMs = momentOf(text)
  if (atMs !== null) return atMs
  context.addIssue({
    code: 'custom',
    message: 'expected a date such as 2026-11-01, or a moment such as 2026-11-01T12:00:00Z',
  })
  return z.NEVER
})

const entry = z.strictObject(
  {
    model: models,
    provider: name('a provider such as openai').optional(),
    upstream: name('the name of an upstream').optional(),
    from: from.optional(),
    per: z
      .enum(['token', '1k', '1M'], { error: expected('token, 1k or 1M: how many tokens a price is for') })
      .prefault('1M'),
    free: z.literal(true, { error: expected('true, or leave it away') }).optional(),
    factor: factor.optional(),
    ...tokenPrices,
    ...otherPrices,
    tiers: z
      .array(
        z.strictObject(
          { above: z.int({ error: expected('a number of input tokens') }).min(0), ...tokenPrices },
          mapping,
        ),
        {
          error: expected('a list'),
        },
      )
      .max(16, 'holds more than 16')
      .optional(),
    serviceTiers: z
      .record(
        z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/),
        z.union([factor, z.strictObject({ ...tokenPrices, ...otherPrices }, mapping)], {
          error: expected('a factor such as 0.5, or a mapping of prices'),
        }),
        mapping,
      )
      .optional(),
  },
  mapping,
)

const schema = z.strictObject(
  {
    prices: z
      .array(entry, { error: expected('a list of prices') })
      .max(entriesMax, `holds more than ${entriesMax}`)
      .prefault([]),
    aliases: z.record(name('a name'), name('a model'), mapping).prefault({}),
    providers: z
      .record(
        name('the name of an upstream'),
        z
          .string({ error: expected('a provider of the bundled list') })
          .refine(isProviderId, 'the bundled list has no provider of this name'),
        mapping,
      )
      .prefault({}),
  },
  mapping,
)

/** One entry as written, `from` in milliseconds. */
export type PriceEntry = z.output<typeof entry>

/** A price file that is right. */
export interface PriceFile {
  readonly prices: readonly PriceEntry[]
  /** Name of a deployment → name of its model. */
  readonly aliases: Readonly<Record<string, string>>
  /** Name of an upstream → provider of the bundled list whose prices it has. */
  readonly providers: Readonly<Record<string, string>>
  /** 8 hex digits of its text. */
  readonly digest: string
}

/** Reads the text of a price file. `shownName`: for messages. @throws ConfigProblems with all that is wrong */
export function readPriceFile(text: string, shownName: string): PriceFile {
  const source = parseYaml(text)
  const blank = { file: shownName, path: '', suggestion: null, severity: 'error' as const }
  if (source.faults.length > 0)
    throw new ConfigProblems(source.faults.map((fault) => ({ ...blank, ...fault })))
  // Taken for "no prices of one's own", a file that is amid being written would leave calls without a price for good.
  if (holdsNothing(source.tree))
    throw new ConfigProblems([
      { ...blank, line: null, column: null, message: 'is empty', suggestion: whenEmpty },
    ])
  const result = schema.safeParse(source.tree)
  const problem = (
    path: readonly (string | number)[],
    message: string,
    suggestion: string | null = null,
  ): Problem => ({
    ...blank,
    ...place(source.locate, path),
    path: pathText(path),
    message,
    suggestion,
  })
  if (!result.success) {
    const issues = result.error.issues.flatMap((issue) => meant(issue))
    throw new ConfigProblems(issues.slice(0, 50).flatMap((issue) => words(issue, problem)))
  }
  const contradictions = [
    ...contradictionsIn(result.data.prices, problem),
    ...chainsIn(result.data.aliases, problem),
  ]
  if (contradictions.length > 0) throw new ConfigProblems(contradictions)
  return { ...result.data, digest: createHash('sha256').update(text).digest('hex').slice(0, 8) }
}

const whenEmpty = 'write its prices, or take meter.prices out of the configuration'

function holdsNothing(tree: unknown): boolean {
  return tree === null || tree === undefined || (typeof tree === 'object' && Object.keys(tree).length === 0)
}

type Issue = z.core.$ZodIssue
type MakeProblem = (
  path: readonly (string | number)[],
  message: string,
  suggestion?: string | null,
) => Problem

function place(
  locate: Locate,
  path: readonly (string | number)[],
): { line: number | null; column: number | null } {
  return locate(path, 'value') ?? { line: null, column: null }
}

/** Of a union, what is wrong with the alternative that was meant. */
function meant(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union') return [issue]
  const branch = issue.errors.find((inner) =>
    inner.every(({ path, code }) => path.length > 0 || code !== 'invalid_type'),
  )
  return branch === undefined
    ? [issue]
    : branch.flatMap((inner) => meant({ ...inner, path: [...issue.path, ...inner.path] }))
}

const known = [...Object.keys(entry.shape), ...Object.keys(schema.shape), 'above']

function words(issue: Issue, problem: MakeProblem): Problem[] {
  const path = issue.path as (string | number)[]
  if (issue.code !== 'unrecognized_keys')
    return [problem(path, issue.message.replace(/^Invalid input: /, ''))]
  return issue.keys.map((key) => {
    const shown = /^[\w-]{1,32}$/.test(key) ? [...path, key] : path
    return problem(shown, 'unknown key', didYouMean(key, known))
  })
}

/** Names of prices in an entry. */
export const priceNames = [...Object.keys(tokenPrices), ...Object.keys(otherPrices)]

/** Whether an entry has prices of its own; otherwise it changes those of the bundled list. */
export function hasOwnPrices(one: PriceEntry): boolean {
  return one.free === true || priceNames.some((key) => one[key as keyof PriceEntry] !== undefined)
}

/** An alias is followed once: one that leads to another would silently have no price. */
function chainsIn(aliases: Readonly<Record<string, string>>, problem: MakeProblem): Problem[] {
  return Object.entries(aliases)
    .filter(([, target]) => Object.hasOwn(aliases, target))
    .map(([alias, target]) =>
      problem(['aliases', alias], `${target} is an alias itself`, 'name the model whose price it has'),
    )
}

/** Two ways to say one price. */
const twins = [
  ['perAudioSecond', 'perAudioMinute'],
  ['perCharacter', 'perMillionCharacters'],
  ['perWebSearch', 'perThousandWebSearches'],
  ['perFileSearch', 'perThousandFileSearches'],
] as const

function contradictionsIn(entries: readonly PriceEntry[], problem: MakeProblem): Problem[] {
  const seen = new Map<string, number>()
  return entries.flatMap((one, index) => {
    const path = ['prices', index]
    const own = hasOwnPrices(one)
    const found: Problem[] = []
    for (const model of [one.model].flat()) {
      const key = JSON.stringify([
        model.toLowerCase(),
        one.provider ?? null,
        one.upstream ?? null,
        one.from ?? null,
      ])
      const twin = seen.get(key)
      if (twin !== undefined)
        found.push(
          problem(
            [...path, 'model'],
            `prices[${twin}] has this model, provider, upstream and date too`,
            'keep one of them',
          ),
        )
      seen.set(key, index)
    }
    if (one.free === true && priceNames.some((name) => one[name as keyof PriceEntry] !== undefined))
      found.push(problem([...path, 'free'], 'is free and has prices', 'leave one of them away'))
    if (own && one.factor !== undefined)
      found.push(
        problem(
          [...path, 'factor'],
          'changes the bundled price, but this entry has its own',
          'leave it away',
        ),
      )
    if (!own && one.factor === undefined && one.serviceTiers === undefined)
      found.push(problem(path, 'has no price', 'add one such as input, or free: true'))
    if (!own && one.tiers !== undefined)
      found.push(
        problem([...path, 'tiers'], 'needs the prices for smaller inputs beside it', 'add input and output'),
      )
    for (const [single, many] of twins)
      if (one[single] !== undefined && one[many] !== undefined)
        found.push(problem([...path, single], `stands beside ${many}`, 'keep one of them'))
    const aboves = one.tiers?.map(({ above }) => above) ?? []
    if (aboves.some((above, place) => place > 0 && above <= aboves[place - 1]!))
      found.push(problem([...path, 'tiers'], 'must go from smaller to larger inputs'))
    return found
  })
}

function momentOf(text: string): number | null {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text)
  if (!day && !/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/.test(text))
    return null
  const atMs = Date.parse(day ? `${text}T00:00:00Z` : text)
  if (Number.isNaN(atMs)) return null
  // Date.parse turns 30 February into 1 March.
  return day && !new Date(atMs).toISOString().startsWith(text) ? null : atMs
}
