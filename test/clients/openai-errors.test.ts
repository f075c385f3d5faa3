// The official JavaScript client through the gateway: which error class a user sees for what, and when it tries again.

import { describe, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { startGate, upstreamAt } from '../gateway/harness.ts'
import { caught, clientKey, startService, upstreamKey } from './service.ts'

const service = await startService()
const { sandbox, gate } = service
const client = (options: object = {}): OpenAI =>
  new OpenAI({ apiKey: clientKey, baseURL: service.baseURL, maxRetries: 0, ...options })
const openai = client()
const chat = (model: string) => ({ model, messages: [{ role: 'user' as const, content: 'Hello' }] })
const path = '/v1/chat/completions'

describe('error classes', () => {
  const cases = [
    ['fault-400', OpenAI.BadRequestError, 400, null],
    ['fault-context-length', OpenAI.BadRequestError, 400, 'context_length_exceeded'],
    ['fault-403', OpenAI.PermissionDeniedError, 403, 'model_not_found'],
    ['no-such-model', OpenAI.NotFoundError, 404, 'model_not_found'],
    ['fault-409', OpenAI.ConflictError, 409, 'conflict'],
    ['fault-422', OpenAI.UnprocessableEntityError, 422, null],
    ['fault-429', OpenAI.RateLimitError, 429, 'rate_limit_exceeded'],
    ['fault-insufficient-quota', OpenAI.RateLimitError, 429, 'insufficient_quota'],
    ['fault-500', OpenAI.InternalServerError, 500, null],
    ['fault-503', OpenAI.InternalServerError, 503, 'overloaded'],
  ] as const
  for (const [model, kind, status, code] of cases) {
    test(`${model}: ${kind.name}, whole and streamed`, async () => {
      for (const stream of [false, true]) {
        const error = await caught(openai.chat.completions.create({ ...chat(model), stream }), kind)
        expect(error).toMatchObject({ status, code })
        expect(error.requestID).toMatch(/^req_/)
        expect(error.message).not.toContain(upstreamKey)
      }
    })
  }

  test("the upstream's 401 is no fault of the client's key", async () => {
    const error = await caught(openai.chat.completions.create(chat('fault-401')), OpenAI.InternalServerError)
    expect(error).toMatchObject({ status: 502, code: 'upstream_auth_failed' })
    expect(error.message).not.toContain('Incorrect API key')
  })

  test('an answer that breaks off is an error, not half of an answer', async () => {
    for (const model of [
      'fault-cut',
      'fault-cut-reset',
      'fault-reset',
      'fault-close',
      'fault-malformed-http',
    ]) {
      const error = await caught(openai.chat.completions.create(chat(model)), OpenAI.InternalServerError)
      expect(error).toMatchObject({ status: 502, code: 'upstream_unavailable' })
    }
  })

  test('nobody there at all: APIConnectionError', async () => {
    const gone = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
    const { port } = gone
    gone.stop(true)
    await caught(client({ baseURL: `http://127.0.0.1:${port}/v1` }).models.list(), OpenAI.APIConnectionError)
  })
})

describe("the client's own key", () => {
  test('a wrong one: AuthenticationError, and nothing goes upstream', async () => {
    const error = await caught(client({ apiKey: 'sk-wrong' }).models.list(), OpenAI.AuthenticationError)
    expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'invalid_request_error' })
    expect(error.requestID).toMatch(/^hgx_/)
    expect(sandbox.requests).toEqual([])
  })

  test('none, and two', async () => {
    const none = client({ defaultHeaders: { Authorization: null } })
    expect((await caught(none.models.list(), OpenAI.AuthenticationError)).code).toBe('invalid_api_key')
    const two = client({ defaultHeaders: { 'x-api-key': clientKey } })
    expect((await caught(two.models.list(), OpenAI.AuthenticationError)).code).toBe('invalid_api_key')
    expect(sandbox.requests).toEqual([])
  })

  test('as a function, and in the other two headers', async () => {
    const late = client({ apiKey: () => Promise.resolve(clientKey) })
    expect((await late.models.retrieve('gpt-4o')).id).toBe('gpt-4o')
    for (const name of ['x-api-key', 'api-key']) {
      const other = client({ defaultHeaders: { Authorization: null, [name]: clientKey } })
      expect((await other.models.retrieve('gpt-4o')).id).toBe('gpt-4o')
    }
  })
})

describe('retries', () => {
  const patient = client({ maxRetries: 2 })

  test('429 with retry-after, then an answer', async () => {
    sandbox.faults.add({ match: { path }, fault: 'fault-429-retry-after-ms-30', times: 2 })
    const answer = await patient.chat.completions.create(chat('gpt-4o-mini'))
    expect(answer.choices).toHaveLength(1)
    const counts = sandbox.requests.map(
      ({ headers }) => headers.find(([name]) => /^x-stainless-retry-count$/i.test(name))?.[1],
    )
    expect(counts).toEqual(['0', '1', '2'])
    sandbox.faults.add({ match: { path }, fault: 'fault-429-retry-after-1', times: 1 })
    expect((await patient.chat.completions.create(chat('gpt-4o-mini'))).choices).toHaveLength(1)
  })

  test('500, then an answer; the same for a stream', async () => {
    for (const stream of [false, true]) {
      sandbox.faults.add({ match: { path }, fault: 'fault-500', times: 1 })
      await patient.chat.completions.create({ ...chat('gpt-4o-mini'), stream })
    }
    expect(sandbox.requests).toHaveLength(4)
  })

  test('no more often than told', async () => {
    sandbox.faults.add({ match: { path }, fault: 'fault-429-retry-after-ms-10' })
    await caught(
      patient.chat.completions.create(chat('gpt-4o-mini'), { maxRetries: 1 }),
      OpenAI.RateLimitError,
    )
    expect(sandbox.requests).toHaveLength(2)
    await caught(
      patient.chat.completions.create(chat('gpt-4o-mini'), { maxRetries: 0 }),
      OpenAI.RateLimitError,
    )
    expect(sandbox.requests).toHaveLength(3)
  })

  test('what may have been paid for is not asked for twice by the client', async () => {
    gate.lines.length = 0
    await caught(patient.chat.completions.create(chat('fault-reset')), OpenAI.InternalServerError)
    await caught(patient.chat.completions.create(chat('fault-401')), OpenAI.InternalServerError)
    await caught(patient.chat.completions.create(chat('fault-cut')), OpenAI.InternalServerError)
    expect(gate.lines.map(({ model }) => model as string)).toEqual(['fault-reset', 'fault-401', 'fault-cut'])
  })

  test('an upstream that cannot be reached is asked again', async () => {
    const gone = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
    const { port } = gone
    gone.stop(true)
    const lonely = await startGate({ upstreams: [upstreamAt(`http://127.0.0.1:${port}/v1`)] })
    const lost = client({ baseURL: `http://127.0.0.1:${lonely.port}/v1`, maxRetries: 1 })
    const error = await caught(lost.chat.completions.create(chat('gpt-4o-mini')), OpenAI.InternalServerError)
    expect(error).toMatchObject({ status: 502, code: 'upstream_unavailable' })
    expect(lonely.lines).toHaveLength(2)
    lonely.gateway.stop()
  })

  test("after the client's own time-out, then an answer", async () => {
    sandbox.faults.add({ match: { path }, fault: 'fault-silence', times: 1 })
    const answer = await client({ maxRetries: 1, timeout: 500 }).chat.completions.create(chat('gpt-4o-mini'))
    expect(answer.choices).toHaveLength(1)
    await caught(
      client({ timeout: 100 }).chat.completions.create(chat('fault-silence')),
      OpenAI.APIConnectionTimeoutError,
    )
  })
})

describe('headers', () => {
  test("of the answer: the upstream's, and ours", async () => {
    const { data, response, request_id } = await openai.chat.completions
      .create(chat('gpt-4o-mini'))
      .withResponse()
    const { headers } = response
    expect(headers.get('x-request-id')).toBe(request_id)
    expect((data as { _request_id?: string })._request_id).toBe(request_id!)
    expect(headers.get('openai-version')).toBe('2020-10-01')
    expect(headers.get('openai-processing-ms')).toMatch(/^\d+$/)
    expect(headers.get('x-ratelimit-remaining-requests')).toMatch(/^\d+$/)
    expect(headers.get('x-headgate-id')).toMatch(/^hgx_/)
    expect(headers.get('x-headgate-upstream')).toBe('main')
    expect(headers.get('x-headgate-attempts')).toBe('1')
  })

  test('asResponse gives the bytes', async () => {
    const response = await openai.chat.completions
      .create({ ...chat('gpt-4o-mini'), stream: true })
      .asResponse()
    expect(response.headers.get('content-type')).toStartWith('text/event-stream')
    expect(await response.text()).toEndWith('data: [DONE]\n\n')
  })

  test('of the request: custom ones pass, the choice of an account does not', async () => {
    const own = client({
      organization: 'org-client',
      project: 'proj_client',
      defaultHeaders: { 'X-Custom': 'one', Cookie: 'session=1' },
      defaultQuery: { trace: 'a b' },
    })
    await own.chat.completions.create(chat('gpt-4o-mini'), {
      headers: { 'x-other': 'two', 'idempotency-key': 'key-1' },
    })
    const [{ headers, target }] = sandbox.requests as [(typeof sandbox.requests)[0]]
    const all = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]))
    expect([all.get('x-custom'), all.get('x-other'), all.get('idempotency-key')]).toEqual([
      'one',
      'two',
      'key-1',
    ])
    expect(all.get('x-stainless-lang')).toBe('js')
    expect(all.get('user-agent')).toStartWith('OpenAI/JS')
    expect([all.get('openai-organization'), all.get('openai-project'), all.get('cookie')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(target).toBe(`${path}?trace=a%20b`)
  })
})

describe('odd but valid answers', () => {
  for (const model of [
    'fault-informational',
    'fault-close-delimited',
    'fault-trailers',
    'fault-gzip',
    'sandbox-tokens-2+fault-drip',
    'fault-slow-headers-50',
  ]) {
    test(`${model}: as any other, whole and streamed`, async () => {
      const whole = await openai.chat.completions.create(chat(model))
      let text = ''
      for await (const chunk of await openai.chat.completions.create({ ...chat(model), stream: true }))
        text += chunk.choices[0]?.delta.content ?? ''
      expect(text).toBe(whole.choices[0]!.message.content!)
      expect(text).not.toBe('')
    })
  }
})
