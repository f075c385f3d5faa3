// Where the bundled list lacks a price that OpenAI publishes on openai.com/api/pricing, or has one that
// would bill audio at the price of text. Prices in dollars per million tokens unless said otherwise. Whoever changes a
// line here raises `revision`: it is part of every row's price version. Tools, videos and containers are those of
// developers.openai.com/api/docs/pricing (sections "Built-in tools" and "Video"), as reported there in 2026.

/** Part of the price version. */
export const revision = 3

/** A price as the list has it. */
export interface SupplementPrice {
  readonly input?: number
  readonly cachedInput?: number
  readonly output?: number
  readonly audioInput?: number
  readonly audioOutput?: number
  /** Dollars for a million characters. */
  readonly characters?: number
  /** Dollars for a thousand requests, whatever their tokens. */
  readonly thousandRequests?: number
  /** Dollars for an image by quality and size. */
  readonly images?: Readonly<Record<string, number>>
  /** Dollars for a second of video by size. */
  readonly videos?: Readonly<Record<string, number>>
  /** Dollars for a container by memory. */
  readonly containers?: Readonly<Record<string, number>>
}

/** Exact names of models of OpenAI, or without what follows as a date. Null = free. */
export const supplement: Readonly<Record<string, SupplementPrice | null>> = {
  'omni-moderation': null,
  'text-moderation': null,
  'gpt-4o-audio-preview': { input: 2.5, output: 10, audioInput: 40, audioOutput: 80 },
  'gpt-4o-mini-audio-preview': { input: 0.15, output: 0.6, audioInput: 10, audioOutput: 20 },
  'davinci-002': { input: 2, output: 2 },
  'babbage-002': { input: 0.4, output: 0.4 },
  'dall-e-2': {
    images: { '*/256x256': 0.016, '*/512x512': 0.018, '*/1024x1024': 0.02, '*/auto': 0.02 },
  },
  'dall-e-3': {
    images: {
      'hd/1024x1024': 0.08,
      'hd/auto': 0.08,
      'hd/1792x1024': 0.12,
      'hd/1024x1792': 0.12,
      '*/1024x1024': 0.04,
      '*/auto': 0.04,
      '*/1792x1024': 0.08,
      '*/1024x1792': 0.08,
    },
  },
  // Each request is one search.
  'gpt-4o-search-preview': { input: 2.5, output: 10, thousandRequests: 25 },
  'gpt-4o-mini-search-preview': { input: 0.15, output: 0.6, thousandRequests: 25 },
  'gpt-5-search-api': { input: 1.25, cachedInput: 0.125, output: 10, thousandRequests: 10 },
  'sora-2': { videos: { '720x1280': 0.1, '1280x720': 0.1 } },
  'sora-2-pro': { videos: { '720x1280': 0.3, '1280x720': 0.3, '1024x1792': 0.5, '1792x1024': 0.5 } },
  // No model: what `POST /containers` makes, for 20 minutes. How long one is used no answer says.
  container: { containers: { auto: 0.03, '1g': 0.03, '4g': 0.12, '16g': 0.48, '64g': 1.92 } },
  'tts-1': { characters: 15 },
  'tts-1-hd': { characters: 30 },
  'ft:gpt-3.5-turbo': { input: 3, output: 6 },
  'ft:gpt-4o': { input: 3.75, cachedInput: 1.875, output: 15 },
  'ft:gpt-4o-mini': { input: 0.3, cachedInput: 0.15, output: 1.2 },
  'ft:gpt-4.1': { input: 3, cachedInput: 0.75, output: 12 },
  'ft:gpt-4.1-mini': { input: 0.8, cachedInput: 0.2, output: 3.2 },
  'ft:gpt-4.1-nano': { input: 0.2, cachedInput: 0.05, output: 0.8 },
}

/**
 * Input, cached input and output of OpenAI’s service tier `priority`, by model without its date, up to 272,000 tokens of
 * input (openai.com/api-priority-processing, read November 2026).
 */
export const priorityPrices: Readonly<
  Record<string, readonly [input: number, cached: number, output: number]>
> = {
  'gpt-4o': [4.25, 2.125, 17],
  'gpt-4o-mini': [0.25, 0.125, 1],
  'gpt-4.1': [3.5, 0.875, 14],
  'gpt-4.1-mini': [0.7, 0.175, 2.8],
  'gpt-4.1-nano': [0.2, 0.05, 0.8],
  'gpt-5': [2.5, 0.25, 20],
  'gpt-5-mini': [0.45, 0.045, 3.6],
  'gpt-5.1': [2.5, 0.25, 20],
  'gpt-5-codex': [2.5, 0.25, 20],
  'gpt-5.1-codex': [2.5, 0.25, 20],
  'gpt-5.2': [3.5, 0.35, 28],
  'gpt-5.4': [5, 0.5, 30],
  'gpt-5.4-mini': [1.5, 0.15, 9],
  o3: [3.5, 0.875, 14],
  'o4-mini': [2, 0.5, 8],
}

/** Dollars per million tokens trained on, by base model without its date. */
export const trainingPrices: Readonly<Record<string, number>> = {
  'gpt-3.5-turbo': 8,
  'gpt-4o': 25,
  'gpt-4o-mini': 3,
  'gpt-4.1': 25,
  'gpt-4.1-mini': 5,
  'gpt-4.1-nano': 1.5,
}

/**
 * Dollars for a thousand calls of OpenAI's tools, whichever model calls them. `webSearchPreview`: the older tool
 * `web_search_preview` with a model that does not reason; with others it costs what `web_search` costs.
 */
export const toolPrices = { webSearch: 10, webSearchPreview: 25, fileSearch: 2.5 } as const
