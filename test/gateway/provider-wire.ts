// The wires of providers that do not speak like OpenAI, for upstreams that answer as they do: how each frames the events of
// a recorded stream, and what its own package makes of the same bytes.

import { crc32 } from 'node:zlib'
import type { LanguageModelV4, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createCohere } from '@ai-sdk/cohere'
import { createGoogle } from '@ai-sdk/google'
import type { ConfigTree } from './harness.ts'

/** One provider as tests see it. */
export interface ProviderWire {
  /** `provider` of the configuration. */
  readonly provider: string
  readonly model: string
  readonly contentType: string
  /** One event as the provider sends it. */
  frame(event: string): Buffer
  /** The provider's own package, over this fetch. */
  model$(fetch: typeof globalThis.fetch): LanguageModelV4
  readonly settings?: ConfigTree
}

const baseURL = 'http://127.0.0.1:1/v1'
const events = 'text/event-stream'

export const wires: Readonly<Record<string, ProviderWire>> = {
  anthropic: {
    provider: 'anthropic',
    model: 'claude-sonnet-4-5',
    contentType: events,
    frame: namedEvent,
    model$: (fetch) => createAnthropic({ baseURL, apiKey: 'k', fetch }).languageModel('claude-sonnet-4-5'),
  },
  google: {
    provider: 'google',
    model: 'gemini-2.5-pro',
    contentType: events,
    frame: (event) => Buffer.from(`data: ${event}\r\n\r\n`),
    model$: (fetch) => createGoogle({ baseURL, apiKey: 'k', fetch }).languageModel('gemini-2.5-pro'),
  },
  cohere: {
    provider: 'cohere',
    model: 'command-a-03-2025',
    contentType: events,
    frame: namedEvent,
    model$: (fetch) => createCohere({ baseURL, apiKey: 'k', fetch }).languageModel('command-a-03-2025'),
  },
  'amazon-bedrock': {
    provider: 'bedrock',
    model: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    contentType: 'application/vnd.amazon.eventstream',
    frame: (event) => {
      const [type, payload] = Object.entries(JSON.parse(event) as Record<string, unknown>)[0]!
      return eventStreamMessage(type, JSON.stringify(payload))
    },
    model$: (fetch) =>
      createAmazonBedrock({ baseURL, region: 'us-east-1', apiKey: 'k', fetch }).languageModel(
        'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
      ),
    settings: { region: 'us-east-1' },
  },
}

function namedEvent(event: string): Buffer {
  const { type } = JSON.parse(event) as { type?: string }
  return Buffer.from(`event: ${type ?? 'message'}\ndata: ${event}\n\n`)
}

/** A message of AWS's event stream encoding (smithy.io, "Amazon event stream"). */
export function eventStreamMessage(type: string, payload: string, kind = 'event'): Buffer {
  const named = kind === 'event' ? ':event-type' : ':exception-type'
  const headers = Buffer.concat(
    [
      [named, type],
      [':content-type', 'application/json'],
      [':message-type', kind],
    ].map(([name = '', value = '']) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(Buffer.byteLength(value))
      return Buffer.concat([
        Buffer.from([Buffer.byteLength(name)]),
        Buffer.from(name),
        Buffer.from([7]),
        length,
        Buffer.from(value),
      ])
    }),
  )
  const body = Buffer.from(payload)
  const message = Buffer.alloc(12 + headers.length + body.length + 4)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(headers.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  headers.copy(message, 12)
  body.copy(message, 12 + headers.length)
  message.writeUInt32BE(crc32(message.subarray(0, message.length - 4)), message.length - 4)
  return message
}

/** What an answer comes to, by whoever read it. */
export interface Outcome {
  readonly text: string
  readonly reasoning: string
  readonly calls: { id: string; name: string; input: unknown }[]
  readonly input: number | null
  readonly cached: number
  readonly output: number | null
  readonly finish: string
}

/** What the provider's own package makes of these bytes; null where it finds no whole answer in them. */
export async function reference(wire: ProviderWire, bytes: Buffer): Promise<Outcome | null> {
  const fetch = (() =>
    Promise.resolve(
      new Response(new Uint8Array(bytes), { headers: { 'content-type': wire.contentType } }),
    )) as unknown as typeof globalThis.fetch
  const { stream } = await wire
    .model$(fetch)
    .doStream({ prompt: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] })
  const parts: LanguageModelV4StreamPart[] = []
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
  }
  const text = (type: string): string =>
    parts.map((part) => (part.type === type ? (part as { delta: string }).delta : '')).join('')
  const finish = parts.find((part) => part.type === 'finish')
  const { unified, raw } = finish?.finishReason ?? { unified: 'error', raw: undefined }
  if (
    parts.some((part) => part.type === 'error') ||
    unified === 'error' ||
    (unified === 'other' && raw === undefined)
  )
    return null
  return {
    text: text('text-delta'),
    reasoning: text('reasoning-delta'),
    calls: parts.flatMap((part) =>
      part.type === 'tool-call' && part.providerExecuted !== true
        ? [{ id: part.toolCallId, name: part.toolName, input: JSON.parse(part.input) as unknown }]
        : [],
    ),
    input: finish!.usage.inputTokens.total ?? null,
    cached: finish!.usage.inputTokens.cacheRead ?? 0,
    output: finish!.usage.outputTokens.total ?? null,
    finish: unified,
  }
}
