// LangChain's OpenAI classes through the gateway.

import { HumanMessage, type AIMessageChunk, type ToolMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { describe, expect, test } from 'bun:test'
import { z } from 'zod'
import { caught, clientKey, countOf, eventually, firstOf, startService } from './service.ts'

const service = await startService()
const { sandbox } = service
const chat = (options: object = {}): ChatOpenAI =>
  new ChatOpenAI({
    model: 'gpt-4o-mini',
    apiKey: clientKey,
    configuration: { baseURL: service.baseURL },
    maxRetries: 0,
    ...options,
  })

const weather = tool(({ city }: { city: string }) => `snow in ${city}`, {
  name: 'get_weather',
  description: 'The weather at a place',
  schema: z.object({ city: z.string() }),
})

for (const useResponsesApi of [false, true]) {
  describe(useResponsesApi ? 'ChatOpenAI by responses' : 'ChatOpenAI by chat completions', () => {
    const model = chat({ useResponsesApi })

    test('invoke', async () => {
      const answer = await model.invoke('Where is Graz?')
      expect(answer.text).toContain('Graz')
      expect(answer.usage_metadata!.total_tokens).toBeGreaterThan(0)
    })

    test('stream', async () => {
      let whole: AIMessageChunk | null = null
      let pieces = 0
      for await (const chunk of await model.stream('Sing of Bruges')) {
        whole = whole === null ? chunk : whole.concat(chunk)
        pieces++
      }
      expect(whole!.text).toContain('Bruges')
      expect(pieces).toBeGreaterThan(5)
      expect(whole!.usage_metadata!.output_tokens).toBeGreaterThan(0)
    })

    test('tools there and back', async () => {
      const bound = model.bindTools([weather])
      const question = new HumanMessage('What is the weather in Tromsoe?')
      const first = await bound.invoke([question])
      expect(first.tool_calls).toHaveLength(1)
      const result = await (weather.invoke(first.tool_calls![0]!) as Promise<ToolMessage>)
      expect(result.content).toContain('snow in')
      const answer = await bound.invoke([question, first, result])
      expect(answer.text).toContain('snow in')
    })

    test('structured output', async () => {
      const shape = z.object({ title: z.string(), pages: z.number() })
      const book = await model.withStructuredOutput(shape).invoke('A book about Delft')
      expect(shape.parse(book)).toEqual(book)
    })

    test('a stream that breaks is an error', async () => {
      const broken = chat({ useResponsesApi, model: 'fault-cut-4' })
      const read = async (): Promise<number> => countOf(await broken.stream('x'))
      expect((await caught(read(), Error)).message).toContain('broke off')
    })
  })
}

test('batch, and retries of its own', async () => {
  sandbox.faults.add({ match: { path: '/v1/chat/completions' }, fault: 'fault-503', times: 1 })
  const answers = await chat({ maxRetries: 2 }).batch(['one', 'two', 'three'])
  expect(answers.map(({ text }) => text.match(/one|two|three/)?.[0])).toEqual(['one', 'two', 'three'])
  expect(sandbox.requests).toHaveLength(4)
})

test('a wrong key is refused', async () => {
  const error = await caught(chat({ apiKey: 'sk-wrong' }).invoke('x'), Error)
  expect(error).toMatchObject({ status: 401 })
  expect(sandbox.requests).toEqual([])
})

test('a client that leaves is noticed upstream', async () => {
  sandbox.setLatency({ chunkDelayMs: 20 })
  await firstOf(await chat({ model: 'sandbox-tokens-500' }).stream('x'))
  await eventually(() => sandbox.books()[0]!.ended === 'aborted', 'the upstream to notice', 1000)
})

test('the old completions', async () => {
  const model = new OpenAI({
    model: 'gpt-3.5-turbo-instruct',
    apiKey: clientKey,
    configuration: { baseURL: service.baseURL },
  })
  expect(await model.invoke('Once upon a time')).not.toBe('')
})

test('embeddings', async () => {
  const model = new OpenAIEmbeddings({
    model: 'text-embedding-3-small',
    dimensions: 256,
    apiKey: clientKey,
    configuration: { baseURL: service.baseURL },
  })
  const [query, documents] = [await model.embedQuery('sea'), await model.embedDocuments(['sea', 'land'])]
  expect(query).toHaveLength(256)
  expect(documents[0]).toEqual(query)
})
