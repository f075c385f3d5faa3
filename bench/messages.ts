// The messages all benches send: a chat call of 1 KB each way, with the header lines a client library and OpenAI send.

/** The key a client shows; nothing but these benches knows it. */
export const clientKey = 'hg-bench-0123456789abcdefghijklmnopqrstuvwxyz'

/** What a gate shows the upstream instead. */
export const upstreamKey = 'sk-bench-not-a-key'

function chatRequest(stream: boolean): string {
  const system =
    'You are a careful assistant. Answer in the language of the question and in no more than three sentences. '
  return JSON.stringify({
    model: 'gpt-4o-mini',
    messages: [
      { role: 'system', content: system.repeat(3) },
      {
        role: 'user',
        content: 'Which of the two proposals above costs less over five years, and by how much? '.repeat(6),
      },
    ],
    temperature: 0.2,
    max_tokens: 400,
    ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
  })
}

export const jsonRequest = chatRequest(false)
const streamRequest = chatRequest(true)

export const jsonAnswer = JSON.stringify({
  id: 'chatcmpl-BenchBenchBenchBenchBenchBench',
  object: 'chat.completion',
  created: 1790000000,
  model: 'gpt-4o-mini-2024-07-18',
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: 'The second proposal costs less over five years. '.repeat(10),
        refusal: null,
      },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: {
    prompt_tokens: 187,
    completion_tokens: 96,
    total_tokens: 283,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  },
  service_tier: 'default',
  system_fingerprint: 'fp_0123456789',
})

/** Header fields as OpenAI answers with, without framing and type. */
export const answerHeaders: readonly (readonly [string, string])[] = [
  ['x-request-id', 'req_0123456789abcdef0123456789abcdef'],
  ['openai-organization', 'org-bench'],
  ['openai-processing-ms', '412'],
  ['openai-version', '2020-10-01'],
  ['x-ratelimit-limit-requests', '30000'],
  ['x-ratelimit-limit-tokens', '150000000'],
  ['x-ratelimit-remaining-requests', '29999'],
  ['x-ratelimit-remaining-tokens', '149999500'],
  ['x-ratelimit-reset-requests', '2ms'],
  ['x-ratelimit-reset-tokens', '0s'],
  ['strict-transport-security', 'max-age=31536000; includeSubDomains; preload'],
  ['x-content-type-options', 'nosniff'],
]

/** One event of a stream, some 200 bytes, in the chunked coding. */
export const streamChunk = chunked(
  `data: ${JSON.stringify({
    id: 'chatcmpl-BenchBenchBench',
    object: 'chat.completion.chunk',
    created: 1790000000,
    model: 'gpt-4o-mini-2024-07-18',
    choices: [{ index: 0, delta: { content: ' tokens' }, finish_reason: null }],
  })}\n\n`,
)

export const streamEnd = Buffer.concat([chunked('data: [DONE]\n\n'), Buffer.from('0\r\n\r\n')])

export const streamHead = answerHead('text/event-stream; charset=utf-8', 'Transfer-Encoding: chunked')

/** A whole answer: head and body. */
export function answer(body: string): Buffer {
  const head = answerHead('application/json', `Content-Length: ${Buffer.byteLength(body)}`)
  return Buffer.concat([head, Buffer.from(body)])
}

function answerHead(type: string, framing: string): Buffer {
  const lines = answerHeaders.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const date = 'Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nServer: cloudflare\r\n'
  return Buffer.from(`HTTP/1.1 200 OK\r\n${date}Content-Type: ${type}\r\n${lines}${framing}\r\n\r\n`)
}

function chunked(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
}

/** Header fields that client libraries send. */
export const requestHeaders: readonly (readonly [string, string])[] = [
  ['Authorization', `Bearer ${clientKey}`],
  ['Accept', 'application/json'],
  ['User-Agent', 'OpenAI/JS 6.49.0'],
  ['X-Stainless-Lang', 'js'],
  ['X-Stainless-Package-Version', '6.49.0'],
  ['X-Stainless-OS', 'Linux'],
  ['X-Stainless-Arch', 'x64'],
  ['X-Stainless-Runtime', 'node'],
  ['X-Stainless-Retry-Count', '0'],
]

/** Head of a POST as a client sends it. */
export function requestHead(target: string, type: string, bodyBytes: number): Buffer {
  const lines = requestHeaders.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const own = `Host: bench.example\r\n${lines}Content-Type: ${type}\r\nContent-Length: ${bodyBytes}\r\n`
  return Buffer.from(`POST ${target} HTTP/1.1\r\n${own}\r\n`)
}

function post(target: string, body: string): Buffer {
  return Buffer.concat([requestHead(target, 'application/json', Buffer.byteLength(body)), Buffer.from(body)])
}

export const jsonCall = post('/v1/chat/completions', jsonRequest)
/** A stream that ends at once: one event, then the end. The query tells our upstream which kind to play. */
export const shortStreamCall = post('/v1/chat/completions?play=short', streamRequest)
/** A stream that goes on until the client leaves. */
export const openStreamCall = post('/v1/chat/completions?play=open', streamRequest)
