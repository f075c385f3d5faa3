// What the tests of the cache share: an upstream that counts and answers in OpenAI's form, a clock that a test moves, and
// calls that show how the cache took part.

import type { Clock } from '../../src/base/clock.ts'
import { ask, jsonBody, request } from './harness.ts'
import type { RawReply } from './message.ts'
import { chunk, eventsHead, lastChunk, reply, type Script, type SeenRequest } from './scripted-upstream.ts'

/** A clock whose wall a test moves on. */
export class MovedClock implements Clock {
  aheadMs = 0
  nowMs(): number {
    return performance.now()
  }
  wallMs(): number {
    return Date.now() + this.aheadMs
  }
}

/** A chat completion that names the request it answers. */
export function completion(text: string, more: { reason?: string; refusal?: string | null } = {}): string {
  return JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_790_000_000,
    model: 'gpt-4o-mini-2024-07-18',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: text, refusal: more.refusal ?? null, annotations: [] },
        logprobs: null,
        finish_reason: more.reason ?? 'stop',
      },
    ],
    usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    service_tier: 'default',
  })
}

/** The same as chunks. */
export function completionFrames(text: string, usage: boolean): string[] {
  const head = {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_790_000_000,
    model: 'gpt-4o-mini',
  }
  const withNull = usage ? { usage: null } : {}
  const say = (delta: object, reason: string | null = null): string =>
    `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }], ...withNull })}\n\n`
  return [
    say({ role: 'assistant', content: '', refusal: null }),
    ...[...text].map((letter) => say({ content: letter })),
    say({}, 'stop'),
    ...(usage
      ? [
          `data: ${JSON.stringify({ ...head, choices: [], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } })}\n\n`,
        ]
      : []),
    'data: [DONE]\n\n',
  ]
}

/** Answers chats by their count: `answer 1`, `answer 2`; as a stream where one is asked for. */
export function countingScript(): Script {
  let count = 0
  return async (seen, peer) => {
    const text = `answer ${++count}`
    if (!asks(seen).stream) return peer.write(reply(200, completion(text)))
    await peer.write(eventsHead)
    for (const frame of completionFrames(text, asks(seen).stream_options?.include_usage === true))
      await peer.write(chunk(frame))
    await peer.write(lastChunk)
  }
}

/** What a request asked. */
export function asks(seen: SeenRequest): any {
  try {
    return JSON.parse(seen.body.toString())
  } catch {
    return {}
  }
}

/** The body of a chat. */
export function chat(text: string, more: object = {}): object {
  return { model: 'gpt-4o-mini', messages: [{ role: 'user', content: text }], ...more }
}

/** One call. `body`: a value, or the text of a body as it is. */
export function call(
  port: number,
  body: unknown,
  more: { path?: string; lines?: readonly string[]; key?: string | null; method?: string } = {},
): Promise<RawReply> {
  const { path = '/v1/chat/completions', lines = [], key, method = 'POST' } = more
  const sent = typeof body === 'string' ? { lines: ['Content-Type: application/json'], body } : jsonBody(body)
  const all = { ...sent, lines: [...sent.lines, ...lines], ...(key === undefined ? {} : { key }) }
  return ask(
    port,
    method === 'GET'
      ? request('GET', path, { lines, ...(key === undefined ? {} : { key }) })
      : request(method, path, all),
  )
}

/** How the cache took part in an answer. */
export function status(answer: RawReply): string {
  return answer.header('x-cache-status') ?? '-'
}

/** The text of a chat completion, whole or told in events. */
export function textOf(answer: RawReply): string {
  if (!/event-stream/.test(answer.header('content-type') ?? ''))
    return answer.json().choices[0].message.content as string
  return answer.body
    .toString()
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: {'))
    .map((frame) => JSON.parse(frame.slice(6)).choices[0]?.delta.content ?? '')
    .join('')
}
