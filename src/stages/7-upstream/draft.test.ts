import { expect, test } from 'bun:test'
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createCohere } from '@ai-sdk/cohere'
import { createGoogle } from '@ai-sdk/google'
import type { LanguageModelV4, LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { unsentFetch, warningsOf } from './draft.ts'

const access = { baseURL: 'http://127.0.0.1:1/v1', apiKey: 'k', fetch: unsentFetch }
const models: Record<string, LanguageModelV4> = {
  anthropic: createAnthropic(access).languageModel('claude-sonnet-4-5'),
  bedrock: createAmazonBedrock({ ...access, region: 'us-east-1' }).languageModel(
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
  ),
  cohere: createCohere(access).languageModel('command-a-03-2025'),
  google: createGoogle(access).languageModel('gemini-2.5-pro'),
}
const prompt: LanguageModelV4CallOptions['prompt'] = [
  { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
]
const odd: LanguageModelV4CallOptions = {
  prompt,
  frequencyPenalty: 1,
  tools: [{ type: 'provider', id: 'other.search', name: 'search', args: {} }],
}

test.each(Object.keys(models))(
  'what the package of %s would leave out is known without asking anybody',
  async (name) => {
    const found = (await warningsOf(models[name]!, odd)).filter(({ type }) => type === 'unsupported')
    expect(found.length).toBeGreaterThan(0)
    expect(await warningsOf(models[name]!, { prompt, temperature: 0.5 })).toEqual([])
  },
)

test('a package that throws says nothing here', async () => {
  const broken = { doStream: () => Promise.reject(new Error('no')) } as unknown as LanguageModelV4
  expect(await warningsOf(broken, { prompt })).toEqual([])
})
