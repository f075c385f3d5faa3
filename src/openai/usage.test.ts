import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  addUnits,
  addUsage,
  audioSeconds,
  noFacts,
  readAnswer,
  readUnits,
  readUsage,
  tokensMax,
} from './usage.ts'

const none = {
  input: 0,
  cachedInput: 0,
  cacheWrite: 0,
  output: 0,
  reasoning: 0,
  audioInput: 0,
  audioOutput: 0,
  cachedAudio: 0,
  imageInput: 0,
  imageOutput: 0,
  cachedImage: 0,
  acceptedPrediction: 0,
  rejectedPrediction: 0,
  total: 0,
}

test('chat completions', () => {
  const usage = {
    prompt_tokens: 19,
    completion_tokens: 10,
    total_tokens: 29,
    prompt_tokens_details: { cached_tokens: 5, audio_tokens: 2, cache_write_tokens: 3 },
    completion_tokens_details: {
      reasoning_tokens: 4,
      audio_tokens: 1,
      accepted_prediction_tokens: 7,
      rejected_prediction_tokens: 2,
    },
  }
  expect(readUsage(usage)).toEqual({
    input: 19,
    cachedInput: 5,
    cacheWrite: 3,
    output: 10,
    reasoning: 4,
    audioInput: 2,
    audioOutput: 1,
    cachedAudio: 0,
    imageInput: 0,
    imageOutput: 0,
    cachedImage: 0,
    acceptedPrediction: 7,
    rejectedPrediction: 2,
    total: 29,
  })
})

test('responses', () => {
  const usage = {
    input_tokens: 36,
    input_tokens_details: { cached_tokens: 30 },
    output_tokens: 87,
    output_tokens_details: { reasoning_tokens: 64 },
    total_tokens: 123,
  }
  expect(readUsage(usage)).toEqual({
    ...none,
    input: 36,
    cachedInput: 30,
    output: 87,
    reasoning: 64,
    total: 123,
  })
})

test('realtime names its details in the singular', () => {
  const usage = {
    total_tokens: 253,
    input_tokens: 132,
    output_tokens: 121,
    input_token_details: {
      text_tokens: 119,
      audio_tokens: 13,
      cached_tokens: 64,
      cached_tokens_details: { audio_tokens: 5, image_tokens: 0 },
    },
    output_token_details: { text_tokens: 30, audio_tokens: 91 },
  }
  expect(readUsage(usage)).toEqual({
    ...none,
    input: 132,
    cachedInput: 64,
    output: 121,
    audioInput: 13,
    audioOutput: 91,
    cachedAudio: 5,
    total: 253,
  })
})

test('embeddings, images and transcriptions', () => {
  expect(readUsage({ prompt_tokens: 8, total_tokens: 8 })).toEqual({ ...none, input: 8, total: 8 })
  expect(
    readUsage({
      total_tokens: 100,
      input_tokens: 50,
      output_tokens: 50,
      input_tokens_details: { text_tokens: 10, image_tokens: 40 },
    }),
  ).toEqual({ ...none, input: 50, output: 50, imageInput: 40, total: 100 })
  expect(
    readUsage({
      type: 'tokens',
      input_tokens: 14,
      input_token_details: { text_tokens: 0, audio_tokens: 14 },
      output_tokens: 45,
    }),
  ).toEqual({ ...none, input: 14, audioInput: 14, output: 45, total: 59 })
  expect(readUsage({ type: 'duration', seconds: 27 })).toBeNull()
})

test('an explicit 0 is a count, null and absent are not', () => {
  expect(readUsage({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 })).toEqual(none)
  expect(readUsage({ prompt_tokens: 3, completion_tokens: null, prompt_tokens_details: null })).toEqual({
    ...none,
    input: 3,
    total: 3,
  })
  for (const absent of [null, undefined, {}, [], 'usage', 3, { prompt_tokens: null }, [1, 2]])
    expect(readUsage(absent)).toBeNull()
})

test.each([[-1], [1.5], [NaN], [Infinity], [tokensMax + 1], ['12'], [true], [{}], [[3]]])(
  'a count of %p refuses the whole object',
  (bad) => {
    const good = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
    expect(readUsage({ ...good, prompt_tokens: bad })).toBeNull()
    expect(readUsage({ ...good, completion_tokens: bad })).toBeNull()
    expect(readUsage({ ...good, total_tokens: bad })).toBeNull()
    expect(readUsage({ ...good, prompt_tokens_details: { cached_tokens: bad } })).toBeNull()
    expect(readUsage({ ...good, completion_tokens_details: { reasoning_tokens: bad } })).toBeNull()
  },
)

test('details that are no object refuse the whole object', () => {
  expect(readUsage({ prompt_tokens: 1, prompt_tokens_details: 5 })).toBeNull()
})

test('the largest counts do not leave the range', () => {
  const usage = readUsage({ prompt_tokens: tokensMax, completion_tokens: tokensMax })
  expect(usage).toMatchObject({ input: tokensMax, output: tokensMax, total: tokensMax })
})

test('whatever is read is null or integers in range, and no part is larger than its whole', () => {
  const names = [
    'prompt_tokens',
    'input_tokens',
    'completion_tokens',
    'output_tokens',
    'total_tokens',
    'prompt_tokens_details',
    'input_tokens_details',
    'output_token_details',
  ]
  const value = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.jsonValue(),
    fc.dictionary(
      fc.constantFrom('cached_tokens', 'reasoning_tokens', 'audio_tokens'),
      fc.oneof(fc.integer(), fc.double(), fc.jsonValue()),
    ),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value), (usage) => {
      const read = readUsage(usage)
      if (read === null) return
      expect(Object.keys(read)).toEqual(Object.keys(none))
      expect(read.cachedInput + read.cacheWrite).toBeLessThanOrEqual(read.input)
      expect(read.audioInput + read.imageInput).toBeLessThanOrEqual(read.input)
      for (const count of Object.values(read))
        expect(Number.isInteger(count) && count >= 0 && count <= tokensMax).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('rule 4: what is reported is final, also 0, and also where it is odd', () => {
  // xAI counts reasoning beside the output, and pays for both.
  const beside = {
    prompt_tokens: 12,
    completion_tokens: 2,
    total_tokens: 354,
    completion_tokens_details: { reasoning_tokens: 340 },
  }
  expect(readUsage(beside)).toEqual({ ...none, input: 12, output: 342, reasoning: 340, total: 354 })
  // What is said beside the details, and the total alone.
  expect(readUsage({ prompt_tokens: 18, completion_tokens: 1, prompt_cache_hit_tokens: 10 })).toMatchObject({
    cachedInput: 10,
  })
  expect(readUsage({ total_tokens: 9 })).toEqual({ ...none, input: 9, total: 9 })
  // A part larger than its whole.
  expect(
    readUsage({ prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 50 } }),
  ).toMatchObject({ input: 5, cachedInput: 5 })
})

test('sums of usage and of units saturate', () => {
  const one = readUsage({ input_tokens: 3, output_tokens: 4 })!
  expect(addUsage(null, one)).toBe(one)
  expect(addUsage(one, one)).toEqual({ ...none, input: 6, output: 8, total: 14 })
  const most = readUsage({ input_tokens: tokensMax, output_tokens: 0 })!
  expect(addUsage(most, most).input).toBe(tokensMax)
  expect(addUnits({ audioSeconds: 1.5 }, { audioSeconds: 2, images: 1 })).toEqual({
    audioSeconds: 3.5,
    images: 1,
  })
})

test('rule 11: seconds of audio are believed within bounds only', () => {
  expect(readUnits({ type: 'duration', seconds: 27.25 })).toEqual({ audioSeconds: 27.25 })
  expect(readUnits({ type: 'duration', seconds: 0 })).toEqual({ audioSeconds: 0 })
  for (const seconds of [-1, Number.NaN, Infinity, 1e12, null, {}, '-1', '1e9', 'x'])
    expect(readUnits({ type: 'duration', seconds })).toBeNull()
  expect(readUnits({ type: 'tokens', seconds: 3 })).toBeNull()
  expect(audioSeconds('8.470000')).toEqual({ audioSeconds: 8.47 })
})

describe('answers and events', () => {
  const usage = { input_tokens: 1, output_tokens: 2, total_tokens: 3 }
  const read = { ...none, input: 1, output: 2, total: 3 }

  test('the places, and no other', () => {
    expect(readAnswer({ model: 'gpt-4o', usage, service_tier: 'flex' })).toEqual({
      usage: read,
      model: 'gpt-4o',
      serviceTier: 'flex',
      units: null,
      final: true,
    })
    const response = { model: 'gpt-5', usage, service_tier: 'priority' }
    expect(readAnswer({ type: 'response.completed', response })).toMatchObject({
      usage: read,
      model: 'gpt-5',
      serviceTier: 'priority',
    })
    expect(readAnswer({ x_groq: { usage } })).toMatchObject({ usage: read })
    expect(readAnswer({ choices: [{ usage }] })).toMatchObject({ usage: read })
    expect(readAnswer({ response: { tools: [{ parameters: { usage } }], usage: null } }).usage).toBeNull()
    expect(readAnswer({ metadata: { usage, model: 'x' } })).toEqual({ ...noFacts, final: true })
    expect(readAnswer({ model: 7, service_tier: 'x'.repeat(300) })).toEqual({ ...noFacts, final: true })
    expect(readAnswer([1])).toEqual(noFacts)
    expect(readAnswer({ usage: { type: 'duration', seconds: 3 } }).units).toEqual({ audioSeconds: 3 })
  })

  test('a running sum amid a stream is not final', () => {
    const chunk = (finish: string | null) => ({ choices: [{ delta: {}, finish_reason: finish }], usage })
    expect(readAnswer(chunk(null)).final).toBe(false)
    expect(readAnswer(chunk('stop')).final).toBe(true)
    expect(readAnswer({ choices: [], usage }).final).toBe(true)
  })
})
