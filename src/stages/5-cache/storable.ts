// Which answers may be given again: complete ones, and nothing else. An answer that was cut at a length, refused, filtered,
// broken off or that tells an error is what happened once, not what the request means. What cannot be read is not kept.

import type { Reply } from '../../exchange.ts'
import { chatFromChunks } from '../../openai/chat-replay.ts'
import { isObject, type Json } from '../../openai/canonical-json.ts'
import { completionFromChunks } from '../../openai/completion-replay.ts'
import { readEvents } from '../../openai/event-list.ts'
import { responseFromEvents } from '../../openai/response-replay.ts'
import type { Form } from './entry.ts'

/** How an answer is told, by its content type. */
export function formOf(contentType: string): Form {
  if (/^text\/event-stream\b/i.test(contentType)) return 'events'
  return /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType) ? 'json' : 'bytes'
}

/** What an answer says of itself; null where it may not be given again. */
export interface Judged {
  readonly serviceTier: string | null
  /** It holds addresses that end to work within the hour. */
  readonly shortLived: boolean
}

const plain: Judged = { serviceTier: null, shortLived: false }

/** Judges a complete answer to `endpoint`. */
export function judge(
  endpoint: string,
  reply: Pick<Reply, 'status' | 'contentType'>,
  body: Uint8Array,
): Judged | null {
  if (reply.status === 429) return plain
  if (reply.status !== 200 || body.length === 0) return null
  const form = formOf(reply.contentType)
  if (endpoint === 'audio.speech')
    return form === 'events' ? speechEvents(body) : form === 'json' ? null : plain
  if (form === 'bytes') return null
  return form === 'events' ? judgeEvents(endpoint, body) : judgeJson(endpoint, body)
}

function judgeJson(endpoint: string, body: Uint8Array): Judged | null {
  let answer: Json
  try {
    answer = JSON.parse(Buffer.prototype.toString.call(body, 'utf8')) as Json
  } catch {
    return null
  }
  return isObject(answer) && answer['error'] == null ? judgeAnswer(endpoint, answer) : null
}

function judgeAnswer(endpoint: string, answer: { [name: string]: Json }): Judged | null {
  const tier = typeof answer['service_tier'] === 'string' ? answer['service_tier'] : null
  const judged: Judged = { serviceTier: tier, shortLived: false }
  if (endpoint === 'chat.completions' || endpoint === 'completions')
    return areChoicesWhole(answer['choices']) ? judged : null
  if (endpoint === 'responses') return isResponseWhole(answer) ? judged : null
  if (endpoint === 'images.generations') return judgeImages(answer)
  const list = endpoint === 'moderations' ? answer['results'] : answer['data']
  return Array.isArray(list) && list.length > 0 ? judged : null
}

const ended = new Set(['stop', 'tool_calls', 'function_call'])

function areChoicesWhole(choices: Json | undefined): boolean {
  if (!Array.isArray(choices) || choices.length === 0) return false
  return choices.every((choice) => {
    if (!isObject(choice) || !ended.has(String(choice['finish_reason']))) return false
    const message = choice['message']
    return !isObject(message) || message['refusal'] == null || message['refusal'] === ''
  })
}

function isResponseWhole(response: { [name: string]: Json }): boolean {
  if (response['status'] !== 'completed' || response['incomplete_details'] != null) return false
  const output = response['output']
  if (!Array.isArray(output) || output.length === 0) return false
  return output.every((item) => {
    if (!isObject(item)) return false
    const unfinished = item['status'] === 'incomplete' || item['status'] === 'failed'
    const content = Array.isArray(item['content']) ? item['content'] : []
    return !unfinished && !content.some((part) => isObject(part) && part['type'] === 'refusal')
  })
}

function judgeImages(answer: { [name: string]: Json }): Judged | null {
  const { data } = answer
  if (!Array.isArray(data) || data.length === 0) return null
  const shortLived = data.some((image) => isObject(image) && typeof image['url'] === 'string')
  return { serviceTier: null, shortLived }
}

function judgeEvents(endpoint: string, body: Uint8Array): Judged | null {
  const read = readEvents(body)
  if (read === null) return null
  if (endpoint === 'responses') {
    const response = responseFromEvents(read.events)
    return response === null ? null : judgeAnswer(endpoint, response)
  }
  if (endpoint === 'images.generations') {
    const last = read.events.at(-1)
    return isObject(last) && last['type'] === 'image_generation.completed' ? plain : null
  }
  if (!read.done) return null
  if (endpoint === 'completions') {
    const answer = completionFromChunks(read.events)
    return answer === null ? null : judgeAnswer(endpoint, answer)
  }
  if (endpoint !== 'chat.completions') return null
  const answer = chatFromChunks(read.events)
  // One that cannot be put together can still be given again as it came, once it is known to have ended well.
  return answer === null ? judgeChunks(read.events) : judgeAnswer(endpoint, answer)
}

function judgeChunks(chunks: readonly Json[]): Judged | null {
  let ends = 0
  for (const chunk of chunks) {
    if (!isObject(chunk) || chunk['error'] != null || !Array.isArray(chunk['choices'])) return null
    for (const choice of chunk['choices']) {
      if (!isObject(choice)) return null
      const { delta, finish_reason: reason } = choice
      if (isObject(delta) && delta['refusal'] != null && delta['refusal'] !== '') return null
      if (reason == null) continue
      if (!ended.has(String(reason))) return null
      ends++
    }
  }
  return ends > 0 ? plain : null
}

function speechEvents(body: Uint8Array): Judged | null {
  const last = readEvents(body)?.events.at(-1)
  return isObject(last) && last['type'] === 'speech.audio.done' ? plain : null
}
