import { describe, expect, test } from 'bun:test'
import { calcPrice, findProvider } from '@pydantic/genai-prices'
import fc from 'fast-check'
import { zeroUsage, type Usage } from '../openai/usage.ts'
import { providerIdOf } from './bundled.ts'
import { readPriceFile } from './price-file.ts'
import { Prices, type PriceQuery, type PricedUpstream } from './prices.ts'
import { exactSum, rateOf, sumOf } from './rates.ts'

const upstreams: PricedUpstream[] = [
  { name: 'main', provider: 'openai', baseUrl: 'https://api.openai.com/v1' },
  { name: 'play', provider: 'sandbox', baseUrl: null },
  { name: 'claude', provider: 'anthropic', baseUrl: 'https://api.anthropic.com/v1' },
  { name: 'gemini', provider: 'google', baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai' },
  { name: 'azure', provider: 'azure', baseUrl: 'https://acme.openai.azure.com/openai/v1' },
  { name: 'groq', provider: 'openai-compatible', baseUrl: 'https://api.groq.com/openai/v1' },
  { name: 'own', provider: 'openai-compatible', baseUrl: 'http://127.0.0.1:8000/v1' },
]
const nowMs = Date.parse('2026-11-25T12:00:00Z')

function usage(given: Partial<Usage>): Usage {
  const all = { ...zeroUsage, ...given }
  return { ...all, total: given.total ?? all.input + all.output }
}

function query(given: Partial<PriceQuery>): PriceQuery {
  const provider = upstreams.find(({ name }) => name === (given.upstream ?? 'main'))?.provider ?? 'openai'
  return {
    provider, upstream: 'main', model: 'gpt-4o-mini', serviceTier: null, atMs: nowMs, usage: null, units: null, batch: false,
    ...given,
  } // prettier-ignore
}

function cost(given: Partial<PriceQuery>, file?: string): number | null {
  return new Prices(upstreams, file === undefined ? null : readPriceFile(file, 'prices.yaml')).price(
    query(given),
  ).costNanoUsd
}

describe('rule 4: each class of tokens has its price, and none is counted twice', () => {
  const million = 1_000_000
  test.each([
    ['plain', 'main', 'gpt-4o-mini', { input: million, output: million }, 750_000_000],
    ['dated name', 'main', 'gpt-4o-mini-2024-07-18', { input: 1000, output: 500 }, 450_000],
    ['cached is part of input', 'main', 'gpt-4o', { input: 2000, cachedInput: 1500 }, 500 * 2500 + 1500 * 1250],
    ['reasoning is part of output', 'main', 'o3', { input: 10, output: 500, reasoning: 400 }, 20_000 + 4_000_000],
    ['old snapshot is dearer', 'main', 'gpt-4o-2024-05-13', { input: 1000, output: 0 }, 5_000_000],
    ['audio apart', 'main', 'gpt-4o-audio-preview', { input: 100, audioInput: 80, output: 50, audioOutput: 40 }, 20 * 2500 + 80 * 40_000 + 10 * 10_000 + 40 * 80_000],
    ['cached audio', 'main', 'gpt-realtime', { input: 100, audioInput: 80, cachedInput: 60 }, 40 * 32_000 + 20 * 400 + 40 * 400],
    ['cached audio as the answer says', 'main', 'gpt-realtime', { input: 100, audioInput: 50, cachedInput: 30, cachedAudio: 20 }, 40 * 4000 + 30 * 32_000 + 30 * 400],
    ['images in and out', 'main', 'gpt-image-1', { input: 50, imageInput: 40, cachedInput: 10, cachedImage: 10, output: 100 }, 10 * 5000 + 30 * 10_000 + 10 * 2500 + 100 * 40_000],
    ['fine-tuned is not its base', 'main', 'ft:gpt-4o-mini-2024-07-18:acme::abc', { input: 1000, output: 1000 }, 1_500_000],
    ['fine-tuned without date', 'main', 'ft:gpt-4o-mini:acme::abc', { input: 1000, cachedInput: 1000 }, 150_000],
    ['publisher in front', 'main', 'openai/gpt-4o', { input: 1 }, 2500],
    ['sandbox has the prices of OpenAI', 'play', 'gpt-4o-mini-2024-07-18', { input: 1000 }, 150_000],
    ['Anthropic: cache written and read', 'claude', 'claude-sonnet-4-6', { input: 12_000, cacheWrite: 2000, cachedInput: 9000, output: 100 }, 1000 * 3000 + 2000 * 3750 + 9000 * 300 + 100 * 15_000],
    ['Google: dearer above 200k', 'gemini', 'gemini-2.5-pro', { input: 200_001, output: 10 }, 200_001 * 2500 + 10 * 15_000],
    ['Google: not at 200k', 'gemini', 'gemini-2.5-pro', { input: 200_000, output: 10 }, 200_000 * 1250 + 10 * 10_000],
    ['Google: thoughts are beside output, in total', 'gemini', 'gemini-2.5-flash', { input: 10, output: 5, total: 115 }, 10 * 300 + 105 * 2500],
    ['Google’s own way to write a name', 'gemini', 'models/gemini-2.5-flash', { input: 10 }, 3000],
    ['Azure', 'azure', 'gpt-4.1-mini', { input: 1000, output: 1000 }, 2_000_000],
    ['a known server that speaks like OpenAI', 'groq', 'llama-3.3-70b-versatile', { input: 1000, output: 1000 }, 590_000 + 790_000],
    ['embeddings', 'main', 'text-embedding-3-small', { input: 7, output: 0 }, 140],
    ['half up', 'main', 'text-embedding-3-large', { input: 1, cachedInput: 0 }, 130],
  ] as const)('%s', (_, upstream, model, counts, nano) => {
    expect(cost({ upstream, model, usage: usage(counts) })).toBe(nano)
  }) // prettier-ignore

  test('the service tier of the answer decides, and a batch costs half', () => {
    const asked = { model: 'gpt-4o', usage: usage({ input: 1000, cachedInput: 400, output: 100 }) }
    const standard = 600 * 2500 + 400 * 1250 + 100 * 10_000
    expect(cost({ ...asked, serviceTier: 'default' })).toBe(standard)
    expect(cost({ ...asked, serviceTier: 'flex' })).toBe(standard / 2)
    expect(cost({ ...asked, batch: true })).toBe(standard / 2)
    expect(cost({ ...asked, serviceTier: 'priority' })).toBe(600 * 4250 + 400 * 2125 + 100 * 17_000)
    expect(cost({ ...asked, serviceTier: 'platinum' })).toBeNull()
  })

  test('the price at the time of the call', () => {
    const at = (date: string) => cost({ model: 'o3', usage: usage({ input: 1000 }), atMs: Date.parse(date) })
    expect(at('2025-06-09T23:59:59Z')).toBe(10_000_000)
    expect(at('2025-06-10T00:00:00Z')).toBe(2_000_000)
  })

  test('explicit zeros cost nothing, which is not the same as unknown', () => {
    expect(cost({ usage: usage({}) })).toBe(0)
    expect(cost({ usage: null })).toBeNull()
  })

  test('units: seconds of audio, characters, and free moderations', () => {
    expect(cost({ model: 'whisper-1', units: { audioSeconds: 60 } })).toBe(6_000_000)
    expect(cost({ model: 'whisper-1', units: { audioSeconds: 12.5 } })).toBe(1_250_000)
    expect(cost({ model: 'tts-1', units: { characters: 1000 } })).toBe(15_000_000)
    expect(cost({ model: 'dall-e-3', units: { images: 2 } })).toBe(80_000_000)
    expect(cost({ model: 'dall-e-3', units: { 'images/hd/1024x1792': 1 } })).toBe(120_000_000)
    expect(cost({ model: 'dall-e-3', units: { 'images/standard/auto': 1 } })).toBe(40_000_000)
    expect(cost({ model: 'dall-e-2', units: { 'images/auto/256x256': 1 } })).toBe(16_000_000)
    expect(cost({ model: 'dall-e-3', units: { 'images/hd/9x9': 1 } })).toBeNull()
    expect(cost({ model: 'gpt-4o-mini-2024-07-18', units: { trainedTokens: 1000 } })).toBe(3_000_000)
    expect(cost({ model: 'omni-moderation-2024-09-26' })).toBe(0)
    expect(cost({ model: 'text-moderation-latest' })).toBe(0)
  })

  test('as the bundled list itself computes, for every model it has', () => {
    let compared = 0
    for (const provider of [
      'openai',
      'anthropic',
      'google',
      'aws',
      'groq',
      'mistral',
      'deepseek',
      'openrouter',
    ]) {
      const one = [{ name: 'u', provider, baseUrl: null }]
      for (const { id } of findProvider({ providerId: provider })!.models) {
        const counts = usage({ input: 150_000, cachedInput: 40_000, cacheWrite: 10_007, output: 3333 })
        const ours = new Prices(one, null).price(query({ upstream: 'u', provider, model: id, usage: counts }))
        const theirs = calcPrice(
          {
            input_tokens: 150_000,
            cache_read_tokens: 40_000,
            cache_write_tokens: 10_007,
            output_tokens: 3333,
          },
          id,
          { providerId: provider, timestamp: new Date(nowMs) },
        )
        if (ours.costNanoUsd === null || theirs === null) continue
        if (!('output_mtok' in theirs.model_price)) continue
        // Where the list is corrected: audio, and the search that is in each request.
        if (id.startsWith('ft:') || id.includes('audio') || id.endsWith('search-preview')) continue
        expect(`${id} ${Math.abs(ours.costNanoUsd - theirs.total_price * 1e9) <= 1}`).toBe(`${id} true`)
        compared++
      }
    }
    expect(compared).toBeGreaterThan(600)
  })
})

describe('rule 12: what is billed by something else than tokens', () => {
  const tokens = { usage: usage({ input: 1000, output: 100 }) }
  const gpt41 = 1000 * 2000 + 100 * 8000
  const cents = 10_000_000

  test.each([
    ['a web search', 'gpt-4.1', { webSearches: 3 }, 3 * cents],
    ['the older tool, without reasoning', 'gpt-4.1', { 'webSearches/preview': 2 }, 5 * cents],
    ['a search of files', 'gpt-4.1', { fileSearches: 3 }, 7_500_000],
    ['both', 'gpt-4.1', { webSearches: 1, fileSearches: 1 }, cents + 2_500_000],
    ['none', 'gpt-4.1', { webSearches: 0 }, 0],
  ] as const)('%s costs beside the tokens', (_, model, units, nano) => {
    expect(cost({ model, ...tokens, units })).toBe(gpt41 + nano)
    expect(cost({ model, ...tokens, units, upstream: 'play' })).toBe(gpt41 + nano)
  })

  test('the older tool with a model that reasons costs what the newer one does', () => {
    const gpt5 = 1000 * 1250 + 100 * 10_000
    for (const name of ['webSearches', 'webSearches/preview'])
      expect(cost({ model: 'gpt-5', ...tokens, units: { [name]: 1 } })).toBe(gpt5 + cents)
  })

  test('search models of chat completions: each request is a search', () => {
    expect(cost({ model: 'gpt-4o-search-preview-2025-03-11', ...tokens })).toBe(3_500_000 + 25_000_000)
    expect(cost({ model: 'gpt-4o-mini-search-preview', ...tokens })).toBe(210_000 + 25_000_000)
    expect(cost({ model: 'gpt-5-search-api', ...tokens })).toBe(2_250_000 + cents)
    const asked = { inputTokens: 0, outputTokens: 0, upstreams: ['main'], serviceTier: null, atMs: nowMs }
    expect(new Prices(upstreams, null).worstNanoUsd({ ...asked, model: 'gpt-5-search-api' })).toBe(cents)
  })

  test('batches and flex halve tokens, not the calls of tools', () => {
    const units = { webSearches: 1, 'webSearches/preview': 1, fileSearches: 1 }
    const tools = cents + 25_000_000 + 2_500_000
    expect(cost({ model: 'gpt-4.1', ...tokens, units, batch: true })).toBe(gpt41 / 2 + tools)
    expect(cost({ model: 'gpt-4.1', ...tokens, units, serviceTier: 'flex' })).toBe(gpt41 / 2 + tools)
    expect(cost({ model: 'gpt-5-search-api', ...tokens, batch: true })).toBe(1_125_000 + cents)
    const priority = 1000 * 3500 + 100 * 14_000
    expect(cost({ model: 'gpt-4.1', ...tokens, units, serviceTier: 'priority' })).toBe(priority + tools)
  })

  test('videos by model and size, containers by memory; what is not published is unpriced', () => {
    for (const [model, unit, nano] of [
      ['sora-2', 'videoSeconds/720x1280', 800_000_000],
      ['sora-2-2025-10-06', 'videoSeconds/1280x720', 800_000_000],
      ['sora-2-pro', 'videoSeconds/1280x720', 2_400_000_000],
      ['sora-2-pro', 'videoSeconds/1792x1024', 4_000_000_000],
      ['sora-2', 'videoSeconds/1792x1024', null],
      ['sora-2-pro', 'videoSeconds', null],
      ['sora-9', 'videoSeconds/720x1280', null],
    ] as const)
      expect([model, unit, cost({ model, units: { [unit]: 8 } })]).toEqual([model, unit, nano])
    expect(cost({ model: null, units: { containers: 1 } })).toBe(30_000_000)
    expect(cost({ model: null, units: { 'containers/1g': 1 } })).toBe(30_000_000)
    expect(cost({ model: null, units: { 'containers/64g': 1 } })).toBe(1_920_000_000)
    expect(cost({ model: null, units: { 'containers/7g': 1 } })).toBeNull()
    expect(cost({ model: null, units: { webSearches: 1 } })).toBeNull()
  })

  test('rule 5: a tool without a price makes the row unpriced, not silently cheaper', () => {
    for (const name of ['webSearches', 'webSearches/preview', 'fileSearches'])
      for (const [upstream, model] of [
        ['groq', 'llama-3.3-70b-versatile'],
        ['azure', 'gpt-4.1'],
      ] as const) {
        expect(cost({ upstream, model, ...tokens, units: { [name]: 1 } })).toBeNull()
        expect(cost({ upstream, model, ...tokens, units: { [name]: 0 } })).toBeGreaterThan(0)
      }
    expect(cost({ model: 'gpt-4.1', ...tokens, units: { webSearches: -1 } })).toBeNull()
    expect(cost({ model: 'gpt-4.1', ...tokens, units: { webSearches: Number.NaN } })).toBeNull()
    expect(cost({ model: 'gpt-4.1', ...tokens, units: { webSearches: 1e300 } })).toBeNull()
  })

  const file = `
prices:
  - { model: house, input: 1, output: 2, perWebSearch: 0.003, perThousandFileSearches: 1, serviceTiers: { flex: 0.5, priority: { input: 2, output: 4 } } }
  - { model: house-preview, input: 1, output: 2, perThousandWebSearches: 4, perThousandPreviewWebSearches: 8 }
  - { model: gpt-4.1, input: 1, output: 2 }
  - { model: gpt-5, factor: 0.5 }
  - { model: film, perVideoSecond: 0.01, videos: { "1920x*": 0.07 } }
  - { model: container, perContainer: 0.01, containers: { 4g: 0.02 } }
  - { model: gift, free: true }
`
  test('own prices', () => {
    const units = { webSearches: 1, fileSearches: 2 }
    const own = (model: string, more: Partial<PriceQuery>) => cost({ model, ...tokens, ...more }, file)
    expect(own('house', { units })).toBe(1_200_000 + 3_000_000 + 2_000_000)
    expect(own('house', { units, serviceTier: 'flex' })).toBe(600_000 + 3_000_000 + 2_000_000)
    expect(own('house', { units, serviceTier: 'priority' })).toBe(2_400_000 + 3_000_000 + 2_000_000)
    expect(own('house-preview', { units: { webSearches: 1 } })).toBe(1_200_000 + 4_000_000)
    expect(own('house-preview', { units: { 'webSearches/preview': 1 } })).toBe(1_200_000 + 8_000_000)
    expect(own('house-preview', { units })).toBeNull()
    expect(own('gift', { units })).toBe(0)
    // Other prices of tokens do not change what the list says of tools; a discount does.
    expect(own('gpt-4.1', { units })).toBe(1_200_000 + cents + 5_000_000)
    expect(own('gpt-5', { units })).toBe((2_250_000 + cents + 5_000_000) / 2)
    const film = (unit: string) => cost({ model: 'film', units: { [unit]: 2 } }, file)
    expect([film('videoSeconds/1920x1080'), film('videoSeconds/720x1280'), film('videoSeconds')]).toEqual([
      140_000_000, 20_000_000, 20_000_000,
    ])
    const container = (unit: string) => cost({ model: null, units: { [unit]: 1 } }, file)
    expect([container('containers/4g'), container('containers/1g')]).toEqual([20_000_000, 10_000_000])
  })
})

describe('rule 5: no price known is null, never 0', () => {
  test.each([
    ['a model nobody knows', 'main', 'gpt-99'],
    ['a later snapshot, which may cost more', 'main', 'gpt-4o-2027-01-01'],
    ['a later model whose name begins like a known one', 'claude', 'claude-sonnet-5-5'],
    ['a variant', 'main', 'gpt-4o-ultra'],
    ['a server of one’s own', 'own', 'gpt-4o-mini'],
    ['no model', 'main', null],
    ['a long name of digits', 'main', `gpt-5-nano-${'1'.repeat(5000)}`],
    ['a name without end', 'gemini', 'models/'.repeat(100_000)],
    ['a member of every object', 'main', '__proto__'],
    ['another member', 'main', 'constructor'],
  ])('%s', (_, upstream, model) => {
    expect(cost({ upstream, model, usage: usage({ input: 10, output: 10 }) })).toBeNull()
  })

  test('members of every object are no aliases', () => {
    for (const model of ['__proto__', 'constructor', 'toString'])
      expect(cost({ model, usage: usage({ input: 1 }) }, 'aliases: { a: gpt-4o }\n')).toBeNull()
  })

  test('a class that was used and has no price', () => {
    expect(cost({ model: 'text-embedding-3-small', usage: usage({ input: 10, output: 10 }) })).toBeNull()
    expect(cost({ model: 'gpt-4o-mini', units: { images: 1 } })).toBeNull()
  })
})

describe('rule 11: bounds', () => {
  const counts = fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 2 ** 40 }))
  const odd = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constant(Infinity),
    fc.constant(-0),
    fc.constant(2 ** 53),
  )

  test('whatever is counted, a cost is a safe integer or null', () => {
    const prices = new Prices(upstreams, null)
    const one = fc.record({
      input: fc.oneof(counts, odd), cachedInput: fc.oneof(counts, odd), cacheWrite: fc.oneof(counts, odd),
      output: fc.oneof(counts, odd), reasoning: fc.oneof(counts, odd), audioInput: fc.oneof(counts, odd),
      audioOutput: fc.oneof(counts, odd), total: fc.oneof(counts, odd),
    }) // prettier-ignore
    const model = fc.constantFrom(
      'gpt-4o-mini',
      'o1-pro',
      'gpt-realtime',
      'text-embedding-3-small',
      'whisper-1',
    )
    fc.assert(
      fc.property(one, model, odd, (counted, name, seconds) => {
        const nano = prices.price(
          query({ model: name, usage: { ...zeroUsage, ...counted }, units: { audioSeconds: seconds } }),
        ).costNanoUsd
        expect(nano === null || (Number.isSafeInteger(nano) && nano >= 0)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('more than can be said saturates', () => {
    const most = usage({ input: 2 ** 40, output: 2 ** 40, total: 2 ** 40 })
    expect(cost({ model: 'o1-pro', usage: most })).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('the short cut and the long way agree', () => {
    const dollars = fc.integer({ min: 0, max: 10_000_000 }).map((n) => n / 10_000)
    fc.assert(
      fc.property(fc.array(fc.tuple(counts, dollars), { minLength: 1, maxLength: 8 }), (pairs) => {
        const numbers = Float64Array.from(pairs, ([n]) => n)
        const rates = pairs.map(([, price]) => rateOf(price, 1_000_000))
        expect(sumOf(numbers, rates)).toBe(exactSum(numbers, rates))
        // Against plain fractions: dollars per million with four places are tenths of a nano-dollar times 1/1000.
        const pico = pairs.reduce((sum, [n, price]) => sum + BigInt(n) * BigInt(Math.round(price * 1e6)), 0n)
        const nano = (pico + 500n) / 1000n
        const most = BigInt(Number.MAX_SAFE_INTEGER)
        expect(BigInt(sumOf(numbers, rates))).toBe(nano > most ? most : nano)
      }),
      { numRuns: 1000 },
    )
  })

  test('rounded once, at the end, half up', () => {
    const file = 'prices:\n  - { model: m, input: 0.0005, output: 0.0004 }\n'
    expect(cost({ model: 'm', usage: usage({ input: 1 }) }, file)).toBe(1)
    expect(cost({ model: 'm', usage: usage({ output: 1 }) }, file)).toBe(0)
    expect(cost({ model: 'm', usage: usage({ input: 1, output: 1 }) }, file)).toBe(1)
    expect(cost({ model: 'm', usage: usage({ output: 4 }) }, file)).toBe(2)
  })

  test('the worst case covers what any answer within it costs', () => {
    const prices = new Prices(upstreams, null)
    const within = fc.integer({ min: 0, max: 400_000 })
    const model = fc.constantFrom('gpt-4o', 'gpt-5.4', 'gpt-realtime', 'gpt-4o-audio-preview', 'o3')
    fc.assert(
      fc.property(model, within, within, within, (name, input, output, part) => {
        const inputTokens = input
        const worst = prices.worstNanoUsd({
          model: name, inputTokens, outputTokens: output, upstreams: ['main'], serviceTier: null, atMs: nowMs,
        })! // prettier-ignore
        const counted = usage({
          input,
          output,
          audioInput: Math.min(part, input),
          audioOutput: Math.min(part, output),
        })
        expect(prices.price(query({ model: name, usage: counted })).costNanoUsd!).toBeLessThanOrEqual(worst)
      }),
    )
    const asked = { model: 'gpt-4o-mini', inputTokens: 10, outputTokens: 10, serviceTier: null, atMs: nowMs }
    expect(prices.worstNanoUsd({ ...asked, upstreams: ['main', 'own'] })).toBeNull()
    expect(prices.worstNanoUsd({ ...asked, upstreams: ['main'] })).toBe(1500 + 6000)
    expect(prices.worstNanoUsd({ ...asked, serviceTier: 'priority', upstreams: ['main'] })).toBe(
      2500 + 10_000,
    )
  })
})

describe('rule 13: own prices, versioned', () => {
  const file = `
prices:
  - { model: "llama-*", upstream: own, input: 0.1, output: 0.2 }
  - { model: llama-3, upstream: own, input: 0.3, output: 0.4, from: 2026-12-01 }
  - { model: gpt-4o-mini, factor: 0.9 }
  - { model: dall-e-3, perImage: 0.04, images: { hd/*: 0.1 } }
  - { model: house-voice, perAudioMinute: 0.006, perRequest: 0.001 }
  - { model: per-token, per: token, input: 0.000001, output: 0.000002 }
  - { model: per-thousand, per: 1k, input: 0.001, reasoning: 0.005, output: 0.002 }
  - { model: tiered, input: 1, output: 2, tiers: [{ above: 1000, input: 3 }], serviceTiers: { flex: 0.5, priority: { input: 9, output: 9 } } }
  - { model: gift, free: true }
  - { model: gpt-5.4, serviceTiers: { priority: 2 } }
aliases: { my-deployment: gpt-4o }
providers: { own: openai }
`
  test.each([
    ['a pattern', 'own', 'llama-3', { input: 1000, output: 1000 }, 300_000],
    ['a discount on the list', 'main', 'gpt-4o-mini', { input: 1000 }, 135_000],
    ['per token', 'main', 'per-token', { input: 10, output: 10 }, 30_000],
    [
      'per thousand',
      'main',
      'per-thousand',
      { input: 10, output: 10, reasoning: 4 },
      10_000 + 6 * 2000 + 4 * 5000,
    ],
    ['small input', 'main', 'tiered', { input: 1000, output: 1 }, 1_002_000],
    ['large input', 'main', 'tiered', { input: 1001, output: 1 }, 3_005_000],
    ['free', 'main', 'gift', { input: 1001, output: 1 }, 0],
    ['a deployment', 'azure', 'my-deployment', { input: 1000 }, 2_500_000],
    ['an upstream with the prices of a provider', 'own', 'gpt-4o', { input: 1000 }, 2_500_000],
  ] as const)('%s', (_, upstream, model, counts, nano) => {
    expect(cost({ upstream, model, usage: usage(counts) }, file)).toBe(nano)
  })

  test('units, dates and service tiers', () => {
    expect(cost({ model: 'dall-e-3', units: { images: 3 } }, file)).toBe(120_000_000)
    expect(cost({ model: 'dall-e-3', units: { 'images/hd/auto': 3 } }, file)).toBe(300_000_000)
    expect(cost({ model: 'house-voice', units: { audioSeconds: 30 } }, file)).toBe(4_000_000)
    const later = { upstream: 'own', model: 'llama-3', usage: usage({ input: 1000 }) }
    expect(cost({ ...later, atMs: Date.parse('2026-12-01T00:00:00Z') - 1 }, file)).toBe(100_000)
    expect(cost({ ...later, atMs: Date.parse('2026-12-01T00:00:00Z') }, file)).toBe(300_000)
    const tier = (serviceTier: string, model = 'tiered') =>
      cost({ model, usage: usage({ input: 100, output: 10 }), serviceTier }, file)
    expect(tier('flex')).toBe(60_000)
    expect(tier('priority')).toBe(990_000)
    expect(tier('scale')).toBeNull()
    expect(tier('priority', 'gpt-5.4')).toBe(2 * (100 * 2500 + 10 * 15_000))
  })

  test('each row gets the version of what priced it', () => {
    const bundled = new Prices(upstreams, null)
    const own = new Prices(upstreams, readPriceFile(file, 'prices.yaml'))
    expect(bundled.version).toMatch(/^genai-prices@\d+\.\d+\.\d+-\d+$/)
    expect(own.version).toMatch(/^genai-prices@\d+\.\d+\.\d+-\d+\+[0-9a-f]{8}$/)
    expect(own.price(query({ usage: usage({}) })).priceVersion).toBe(own.version)
    expect(new Prices(upstreams, readPriceFile(`${file} `, 'p')).version).not.toBe(own.version)
  })

  test('names of the bundled list', () => {
    expect(providerIdOf('openai-compatible', 'https://openrouter.ai/api/v1')).toBe('openrouter')
    expect(providerIdOf('openai-compatible', 'https://api.example.com/v1')).toBeNull()
  })
})
