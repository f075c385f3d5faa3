// Whatever parts a provider's package gives, in whatever order, the events are a valid answer that adds up to the parts, and
// the whole answer is the same as the streamed one. Properties print their seed; OpenAI's description judges the shapes.

import { describe, expect, test } from 'bun:test'
import type {
  LanguageModelV4Content,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
} from '@ai-sdk/provider'
import fc from 'fast-check'
import { faults, present, schemaOf } from '../../../test/openai-description.ts'
import { countsOf, type Face } from './answer.ts'
import { ChatEvents, chatAnswer } from './chat-answer.ts'
import { ResponsesEvents, responsesAnswer } from './responses-answer.ts'

const usage: LanguageModelV4Usage = {
  inputTokens: { total: 42, noCache: 10, cacheRead: 30, cacheWrite: 2 },
  outputTokens: { total: 7, text: 5, reasoning: 2 },
}
const face = (): Face => ({ id: 'x_1', created: 1_700_000_000, model: 'm' })
const ids = () => {
  let next = 0
  return (prefix: string) => `${prefix}_${next++}`
}

type Json = Record<string, any>

function eventsIn(text: string): Json[] {
  return [...text.matchAll(/^data: (\{[^\n]*)\n/gm)].map((match) => JSON.parse(match[1]!) as Json)
}

/** A turn as a provider may give it: blocks in a row, calls in pieces or whole, then the end. */
const word = fc.string({ unit: 'grapheme', maxLength: 12 })
const block = fc.oneof(
  fc.record({ kind: fc.constant('text' as const), words: fc.array(word, { maxLength: 4 }) }),
  fc.record({
    kind: fc.constant('reasoning' as const),
    words: fc.array(word, { maxLength: 4 }),
    signed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('call' as const),
    input: fc.dictionary(word, word, { maxKeys: 3 }).map((value) => JSON.stringify(value)),
    how: fc.constantFrom('pieces', 'whole', 'late', 'endless', 'foreign'),
  }),
)
const turn = fc.array(block, { maxLength: 6 })

type Block = typeof block extends fc.Arbitrary<infer Value> ? Value : never

function partsOf(blocks: readonly Block[]): LanguageModelV4StreamPart[] {
  const parts: LanguageModelV4StreamPart[] = [
    { type: 'stream-start', warnings: [] },
    { type: 'response-metadata', id: 'r', modelId: 'named' },
  ]
  for (const [index, one] of blocks.entries()) {
    const id = `b${index}`
    if (one.kind === 'text') {
      parts.push({ type: 'text-start', id })
      for (const delta of one.words) parts.push({ type: 'text-delta', id, delta })
      parts.push({ type: 'text-end', id })
    } else if (one.kind === 'reasoning') {
      parts.push({ type: 'reasoning-start', id })
      for (const delta of one.words) parts.push({ type: 'reasoning-delta', id, delta })
      parts.push({
        type: 'reasoning-end',
        id,
        ...(one.signed ? { providerMetadata: { anthropic: { signature: 's' } } } : {}),
      })
    } else parts.push(...callParts(id, one.input, one.how))
  }
  parts.push({ type: 'finish', usage, finishReason: { unified: 'stop', raw: 'stop' } })
  return parts
}

function callParts(id: string, input: string, how: string): LanguageModelV4StreamPart[] {
  const foreign = how === 'foreign' ? { providerExecuted: true } : {}
  const parts: LanguageModelV4StreamPart[] = []
  if (how !== 'whole') parts.push({ type: 'tool-input-start', id, toolName: 'f', ...foreign })
  if (how !== 'whole' && how !== 'late')
    for (const delta of [input.slice(0, 3), input.slice(3)])
      parts.push({ type: 'tool-input-delta', id, delta })
  if (how !== 'endless') parts.push({ type: 'tool-call', toolCallId: id, toolName: 'f', input, ...foreign })
  return parts
}

interface Sum {
  text: string
  reasoning: string
  calls: { id: string; input: string }[]
}

function sumOf(blocks: readonly Block[]): Sum {
  const join = (kind: string) =>
    blocks.map((one) => (one.kind === kind ? (one as { words: string[] }).words.join('') : '')).join('')
  return {
    text: join('text'),
    reasoning: join('reasoning'),
    calls: blocks.flatMap((one, index) =>
      one.kind === 'call' && one.how !== 'foreign' ? [{ id: `b${index}`, input: one.input }] : [],
    ),
  }
}

function contentOf(blocks: readonly Block[]): LanguageModelV4Content[] {
  return blocks.flatMap((one, index): LanguageModelV4Content[] => {
    if (one.kind === 'text') return [{ type: 'text', text: one.words.join('') }]
    if (one.kind === 'reasoning') return [{ type: 'reasoning', text: one.words.join('') }]
    const foreign = one.how === 'foreign' ? { providerExecuted: true } : {}
    return [{ type: 'tool-call', toolCallId: `b${index}`, toolName: 'f', input: one.input, ...foreign }]
  })
}

const result = (blocks: readonly Block[]) => ({
  content: contentOf(blocks),
  finishReason: { unified: 'stop' as const, raw: 'stop' },
  usage,
  warnings: [],
})

describe('chat completions', () => {
  test('events add up to the parts', () => {
    fc.assert(
      fc.property(turn, fc.boolean(), (blocks, includeUsage) => {
        const events = new ChatEvents(face(), includeUsage)
        const text = partsOf(blocks)
          .map((part) => events.part(part))
          .join('')
        expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
        const chunks = eventsIn(text)
        const choices = chunks.flatMap((one) => one['choices'] as Json[])
        expect(choices[0]!['delta']).toMatchObject({ role: 'assistant' })
        expect(choices.filter((choice) => choice['finish_reason'] !== null)).toHaveLength(1)
        expect(choices.at(-1)!['finish_reason']).not.toBeNull()
        const sum: Sum = { text: '', reasoning: '', calls: [] }
        for (const { delta } of choices as { delta: Json }[]) {
          sum.text += delta['content'] ?? ''
          sum.reasoning += delta['reasoning_content'] ?? ''
          for (const call of (delta['tool_calls'] ?? []) as Json[]) {
            const known = (sum.calls[call['index']] ??= { id: '', input: '' })
            known.id += call['id'] ?? ''
            known.input += call['function']?.['arguments'] ?? ''
          }
        }
        expect(sum).toEqual(sumOf(blocks))
        const last = chunks.at(-1)!
        expect(last['choices'].length === 0).toBe(includeUsage)
        expect(chunks.every((one) => 'usage' in one)).toBe(includeUsage)
        if (includeUsage)
          expect(last['usage']).toMatchObject({ prompt_tokens: 42, completion_tokens: 7, total_tokens: 49 })
      }),
    )
  })

  test.skipIf(!present)('have the shapes that OpenAI describes (needs openapi.json)', () => {
    const streamed = schemaOf('/chat/completions', 'POST', 'text/event-stream')
    const whole = schemaOf('/chat/completions', 'POST', 'application/json')
    fc.assert(
      fc.property(turn, (blocks) => {
        const events = new ChatEvents(face(), true)
        const chunks = eventsIn(
          partsOf(blocks)
            .map((part) => events.part(part))
            .join(''),
        )
        for (const one of chunks) expect(faults(streamed, one)).toEqual([])
        expect(faults(whole, chatAnswer(result(blocks), face()))).toEqual([])
      }),
      { numRuns: 40 },
    )
  })
})

describe('responses', () => {
  test('events open and close each item once, and add up to the last one', () => {
    fc.assert(
      fc.property(turn, (blocks) => {
        const made = new ResponsesEvents(face(), {}, ids())
        const events = eventsIn(
          partsOf(blocks)
            .map((part) => made.part(part))
            .join(''),
        )
        expect(events.map((event) => event['sequence_number'])).toEqual(events.map((_, index) => index))
        expect(events.slice(0, 2).map(({ type }) => type)).toEqual([
          'response.created',
          'response.in_progress',
        ])
        const open = new Set<string>()
        const closed = new Set<string>()
        for (const event of events) {
          const id: string | undefined = event['item_id']
          if (id !== undefined) expect(open.has(id) && !closed.has(id)).toBe(true)
          if (event['type'] === 'response.output_item.added') {
            expect(event['output_index']).toBe(open.size)
            open.add(event['item'].id)
          }
          if (event['type'] === 'response.output_item.done') closed.add(event['item'].id)
        }
        expect(closed).toEqual(open)
        const { type, response } = events.at(-1)!
        expect(type).toBe('response.completed')
        const output = response['output'] as Json[]
        const texts = (kind: string, of: string) =>
          output
            .flatMap((item) => (item['type'] === kind ? (item[of] as Json[]) : []))
            .map((part) => part['text'])
            .join('')
        expect({
          text: texts('message', 'content'),
          reasoning: texts('reasoning', 'summary'),
          calls: output
            .filter((item) => item['type'] === 'function_call')
            .map((item) => ({ id: item['call_id'], input: item['arguments'] })),
        }).toEqual(sumOf(blocks))
        expect(response['usage']).toMatchObject({ input_tokens: 42, output_tokens: 7, total_tokens: 49 })
        expect(made.response).toEqual(response)
      }),
    )
  })

  test.skipIf(!present)('have the shapes that OpenAI describes (needs openapi.json)', () => {
    const streamed = schemaOf('/responses', 'POST', 'text/event-stream')
    const whole = schemaOf('/responses', 'POST', 'application/json')
    fc.assert(
      fc.property(turn, (blocks) => {
        const made = new ResponsesEvents(face(), {}, ids())
        const events = eventsIn(
          partsOf(blocks)
            .map((part) => made.part(part))
            .join(''),
        )
        for (const event of events) expect(faults(streamed, event)).toEqual([])
        const answer = responsesAnswer(result(blocks), new ResponsesEvents(face(), {}, ids()))
        expect(faults(whole, answer)).toEqual([])
      }),
      { numRuns: 40 },
    )
  })

  test('an answer that was cut says why', () => {
    for (const [unified, reason] of [
      ['length', 'max_output_tokens'],
      ['content-filter', 'content_filter'],
    ] as const) {
      const made = new ResponsesEvents(face(), {}, ids())
      const text = made.part({ type: 'finish', usage, finishReason: { unified, raw: 'x' } })
      expect(eventsIn(text).at(-1)).toMatchObject({
        type: 'response.incomplete',
        response: { status: 'incomplete', incomplete_details: { reason } },
      })
    }
  })
})

test('counts that cannot be are none', () => {
  const of = (total: number | undefined) =>
    countsOf({
      inputTokens: { total, noCache: undefined, cacheRead: -1, cacheWrite: 0.5 },
      outputTokens: { total: undefined, text: undefined, reasoning: Number.NaN },
    })
  expect(of(undefined)).toBeNull()
  expect(of(5)).toEqual({ input: 5, cached: 0, cacheWrite: 0, output: 0, reasoning: 0 })
})
