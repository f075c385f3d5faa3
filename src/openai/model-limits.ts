// The most that models can read and write at once, for reservations: an upper bound, so that a family is given its largest
// member's (platform.openai.com/docs/models, read November 2026). A model that is not known gets the largest of all.

/** Tokens of one call. */
export interface ModelLimits {
  readonly context: number
  readonly output: number
}

// The first prefix that fits holds; what names a provider or a fine-tune in front of the name is taken off.
const families: readonly (readonly [prefix: string, context: number, output: number])[] = [
  ['gpt-3.5', 16_385, 4096],
  ['gpt-4.1', 1_047_576, 32_768],
  ['gpt-4o', 128_000, 16_384],
  ['gpt-4-turbo', 128_000, 4096],
  ['gpt-4-', 128_000, 8192],
  ['gpt-4.5', 128_000, 16_384],
  ['gpt-4', 32_768, 8192],
  ['gpt-audio', 128_000, 16_384],
  ['gpt-realtime', 32_000, 4096],
  ['gpt-image', 32_000, 32_000],
  ['chatgpt-4o', 128_000, 16_384],
  ['o1', 200_000, 100_000],
  ['o3', 200_000, 100_000],
  ['o4', 200_000, 100_000],
  ['gpt-oss', 131_072, 131_072],
  ['text-embedding', 8192 * 2048, 0],
  ['omni-moderation', 32_768, 0],
  ['babbage', 16_384, 16_384],
  ['davinci', 16_384, 16_384],
]

/** What holds for a model that is not known. */
export const largestLimits: ModelLimits = { context: 1_050_000, output: 131_072 }

const known = new Map<string, ModelLimits>()
const knownMax = 1000

/** The limits of a model, by its family. Costs a look-up for a model seen before. */
export function limitsOf(model: string | null): ModelLimits {
  if (model === null) return largestLimits
  const seen = known.get(model)
  if (seen !== undefined) return seen
  const name = /^ft:([^:]+)/.exec(model)?.[1] ?? model.slice(model.lastIndexOf('/') + 1)
  const family = families.find(([prefix]) => name.startsWith(prefix))
  const limits = family === undefined ? largestLimits : { context: family[1], output: family[2] }
  if (known.size < knownMax && model.length <= 256) known.set(model, limits)
  return limits
}
