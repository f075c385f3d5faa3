import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Exchange, nobody } from '../../exchange.ts'
import type { Principal } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { findEndpoint } from '../../openai/endpoints.ts'
import { cut, detailOf, failureOf, firstByteMs, isoTime, statusOf, tenths } from './access-line.ts'
import { humanLine, printable, timeOfDay } from './human.ts'
import { jsonLine } from './json-lines.ts'
import { inert } from './member.ts'

const wallMs = Date.UTC(2026, 10, 22, 9, 15, 3, 7)
const web: Principal = {
  ...nobody,
  kind: 'key',
  key: 'web',
  team: 'core',
  app: 'shop',
  user: null,
  env: 'prod',
  models: null,
  endpoints: null,
}

interface Asked {
  readonly method?: string
  readonly path?: string
  readonly query?: string
  readonly model?: string
  readonly userAgent?: string
  readonly address?: string
}

function exchange(asked: Asked = {}): Exchange {
  const {
    method = 'POST',
    path = '/v1/chat/completions',
    query = '',
    model,
    userAgent,
    address = '127.0.0.1',
  } = asked
  const headers = HeaderBlock.fromPairs(userAgent === undefined ? [] : [['User-Agent', userAgent]])
  const request = { method, path, query, headers, body: null, peerAddress: address, upgrade: null }
  const x = new Exchange('hgr_abc', request, { nowMs: () => 1000, wallMs: () => wallMs })
  x.endpoint = findEndpoint(method, path)
  x.status = 200
  if (model !== undefined) x.bodyBytes = Buffer.from(JSON.stringify({ model }))
  return x
}

function answered(): Exchange {
  const x = exchange({ model: 'gpt-4o-mini', userAgent: 'OpenAI/JS 6.49.0', query: '?api-key=sk-secret123' })
  x.principal = web
  x.upstream = 'main'
  x.upstreamRequestId = 'req_1'
  x.attempts = 1
  x.answeredModel = 'gpt-4o-mini-2024-07-18'
  x.usage = {
    input: 19,
    cachedInput: 0,
    cacheWrite: 0,
    output: 10,
    reasoning: 4,
    audioInput: 0,
    audioOutput: 0,
    cachedAudio: 0,
    imageInput: 0,
    imageOutput: 0,
    cachedImage: 0,
    acceptedPrediction: 0,
    rejectedPrediction: 0,
    total: 29,
  }
  x.firstByteAtMs = 1120.26
  x.bytesIn = 300
  x.bytesOut = 1200
  return x
}

const parsed = (x: Exchange, endedAtMs = 1312.44): Record<string, unknown> =>
  JSON.parse(jsonLine(x, endedAtMs)) as Record<string, unknown>

describe('JSON lines', () => {
  test('an answered exchange, whole', () => {
    expect(jsonLine(answered(), 1312.44)).toBe(
      '{"at":"2026-11-22T09:15:03.007Z","id":"hgr_abc","requestId":"req_1","method":"POST","path":"/v1/chat/completions",' +
        '"query":true,"endpoint":"chat.completions","status":200,"key":"web","team":"core","app":"shop","env":"prod",' +
        '"model":"gpt-4o-mini","answeredModel":"gpt-4o-mini-2024-07-18","upstream":"main","attempts":1,"stream":false,' +
        '"clientGone":false,"usage":{"input":19,"output":10,"total":29,"reasoning":4},"bytesIn":300,"bytesOut":1200,' +
        '"firstByteMs":120.3,"durationMs":312.4,"address":"127.0.0.1","userAgent":"OpenAI/JS 6.49.0"}\n',
    )
  })

  test('what has no value is left out', () => {
    expect(jsonLine(exchange({ method: 'GET', path: '/v1/odd' }), 1000)).toBe(
      '{"at":"2026-11-22T09:15:03.007Z","id":"hgr_abc","method":"GET","path":"/v1/odd","endpoint":"unknown","status":200,' +
        '"attempts":0,"stream":false,"clientGone":false,"bytesIn":0,"bytesOut":0,"durationMs":0,"address":"127.0.0.1"}\n',
    )
  })

  test('a refusal names its failure, without keys', () => {
    const x = exchange()
    x.status = 502
    x.failure = new Failure('upstream_auth_failed', 'message', { detail: 'answered 401: sk-proj-abcdef123' })
    expect(parsed(x)).toMatchObject({
      status: 502,
      failure: 'upstream_auth_failed',
      detail: 'answered 401: [removed]',
    })
  })

  test('a client that left is 499, whatever broke after that', () => {
    const x = answered()
    x.gone = true
    x.failure = new Failure('upstream_unavailable', 'message', { detail: 'reset' })
    const line = parsed(x)
    expect(line).toMatchObject({ status: 499, failure: 'client_gone', clientGone: true })
    expect(line).not.toHaveProperty('detail')
  })

  test('explicit zeros of usage stay', () => {
    const x = exchange()
    x.usage = {
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
    expect(parsed(x)['usage']).toEqual({ input: 0, output: 0, total: 0 })
  })

  test('a line is one line and one object, whatever a client sends', () => {
    const naughty = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '\n{"status":200}',
        '"}\n',
        '\u001b[2J\u001b]0;x\u0007',
        '\u009b31m',
        '\u2028',
        '\u202eabc',
        '\\',
        '\ud800',
        '\u0000',
        '<script>',
        '${x}',
        '%n',
      ),
    )
    fc.assert(
      fc.property(naughty, naughty, naughty, (path, model, userAgent) => {
        const x = exchange({ path, model, userAgent })
        const line = jsonLine(x, 2000)
        expect(line.indexOf('\n')).toBe(line.length - 1)
        expect(line).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/)
        const read = JSON.parse(line) as Record<string, unknown>
        expect(read['status']).toBe(200)
        expect(read['path']).toBe(path)
        expect(read['userAgent']).toBe(x.request.headers.get('user-agent'))
      }),
      { numRuns: 500 },
    )
  })

  test('long texts are cut', () => {
    const long = 'x'.repeat(100_000)
    const line = jsonLine(
      exchange({
        path: `/v1/${long}`,
        model: 'x'.repeat(1000),
        userAgent: long,
        method: long,
      }),
      2000,
    )
    expect(line.length).toBeLessThan(2500)
    expect(JSON.parse(line)).toMatchObject({ model: `${'x'.repeat(256)}…` })
  })
})

/** The line's meaning, written plainly: what the fast writer must equal, byte by byte. */
function plainLine(x: Exchange, endedAtMs: number): string {
  const { request, principal, usage } = x
  const text = (value: string | null): string | undefined => (value === null ? undefined : cut(value))
  const record = {
    at: isoTime(x.startedWallMs),
    id: x.id,
    requestId: text(x.upstreamRequestId),
    method: cut(request.method),
    path: cut(request.path, 1024),
    query: request.query === '' ? undefined : true,
    endpoint: x.endpoint?.operation ?? 'unknown',
    status: statusOf(x),
    failure: failureOf(x) ?? undefined,
    detail: detailOf(x) ?? undefined,
    key: text(principal.key),
    team: text(principal.team),
    app: text(principal.app),
    user: text(principal.user),
    env: text(principal.env),
    model: text(x.model),
    answeredModel: text(x.answeredModel),
    upstream: text(x.upstream),
    attempts: x.attempts,
    stream: x.stream,
    clientGone: x.gone,
    usage:
      usage === null
        ? undefined
        : {
            input: usage.input,
            output: usage.output,
            total: usage.total,
            cachedInput: usage.cachedInput || undefined,
            cacheWrite: usage.cacheWrite || undefined,
            reasoning: usage.reasoning || undefined,
            audioInput: usage.audioInput || undefined,
            audioOutput: usage.audioOutput || undefined,
            cachedAudio: usage.cachedAudio || undefined,
            imageInput: usage.imageInput || undefined,
            imageOutput: usage.imageOutput || undefined,
            cachedImage: usage.cachedImage || undefined,
            acceptedPrediction: usage.acceptedPrediction || undefined,
            rejectedPrediction: usage.rejectedPrediction || undefined,
          },
    bytesIn: x.bytesIn,
    bytesOut: x.bytesOut,
    firstByteMs: firstByteMs(x) ?? undefined,
    durationMs: tenths(endedAtMs - x.startedAtMs),
    address: text(request.peerAddress),
    userAgent: text(request.headers.get('user-agent')),
  }
  return `${inert(JSON.stringify(record))}\n`
}

describe('the fast writer says what JSON.stringify says', () => {
  const text = fc.oneof(
    fc.constantFrom('gpt-4o-mini', '', '"', '\\', 'ü', '\u202e', '\ud800', '\u007f', '😀', 'a'.repeat(300)),
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ minLength: 250, maxLength: 1100, size: 'max' }),
  )
  const maybe = fc.option(text, { freq: 3 })
  const tokens = fc.oneof(fc.constant(0), fc.nat(), fc.nat(2 ** 40))
  const usage = fc.record({
    input: tokens,
    cachedInput: tokens,
    cacheWrite: tokens,
    output: tokens,
    reasoning: tokens,
    audioInput: tokens,
    audioOutput: tokens,
    cachedAudio: tokens,
    imageInput: tokens,
    imageOutput: tokens,
    cachedImage: tokens,
    acceptedPrediction: tokens,
    rejectedPrediction: tokens,
    total: tokens,
  })
  const atMs = fc.oneof(
    fc.constantFrom(0, 1000, 1000.04, 1000.05, 999.99, NaN, Infinity, -Infinity, 1e300),
    fc.double({ min: 0, max: 1e6 }),
    fc.double(),
  )
  const facts = fc.record({
    upstreamRequestId: maybe,
    answeredModel: maybe,
    upstream: maybe,
    attempts: fc.nat(4),
    status: fc.integer({ min: 100, max: 599 }),
    usage: fc.option(usage),
    gone: fc.boolean(),
    stream: fc.boolean(),
    bytesIn: tokens,
    bytesOut: tokens,
    firstByteAtMs: atMs,
    failure: fc.option(
      maybe.map((detail) => new Failure('upstream_timeout', 'm', detail === null ? {} : { detail })),
    ),
  })
  const who = fc.record({ key: maybe, team: maybe, app: maybe, user: maybe, env: maybe })
  const asked = fc.record(
    {
      method: text,
      path: text,
      query: fc.constantFrom('', '?a=1'),
      model: text,
      userAgent: text,
      address: text,
    },
    { requiredKeys: [] },
  )

  test('for any exchange, the first time and again', () => {
    fc.assert(
      fc.property(asked, facts, who, atMs, (request, given, names, endedAtMs) => {
        const x = exchange(request)
        Object.assign(x, given)
        x.principal = { ...web, ...names }
        const expected = plainLine(x, endedAtMs)
        expect(jsonLine(x, endedAtMs)).toBe(expected)
        expect(jsonLine(x, endedAtMs)).toBe(expected)
      }),
      { numRuns: 300 },
    )
  })

  test('for more different texts than are kept', () => {
    for (let round = 0; round < 2; round++) {
      for (let each = 0; each < 700; each++) {
        const x = exchange({
          path: `/v1/responses/${each}"`,
          userAgent: `agent ${each % 600}`,
          model: `m${each}`,
        })
        expect(jsonLine(x, 2000)).toBe(plainLine(x, 2000))
      }
    }
  })
})

test('time in a line follows the wall clock, over seconds and backwards', () => {
  for (const ms of [0, 999, 1000, 1001.7, wallMs, wallMs + 993, wallMs - 86_400_000, -1]) {
    expect(isoTime(ms)).toBe(new Date(Math.floor(ms)).toISOString())
  }
  expect(isoTime(NaN)).toStartWith('1970-01-01T00:00:00.')
})

describe('human lines', () => {
  test('an answered exchange', () => {
    expect(humanLine(false)(answered(), 1312.44)).toBe(
      `${timeOfDay(wallMs)} 200 POST /v1/chat/completions       312ms gpt-4o-mini 19+10 web main\n`,
    )
  })

  test('a stream shows its first byte, within 80 columns', () => {
    const x = answered()
    x.stream = true
    const line = humanLine(false)(x, 3312.44)
    expect(line).toContain('completions 120ms/2.31s gpt-4o-mini 19+10 web main\n')
    expect(line.trimEnd().length).toBeLessThanOrEqual(80)
  })

  test('another model than asked for is shown', () => {
    const x = answered()
    x.answeredModel = 'gpt-4.1'
    expect(humanLine(false)(x, 1012.44)).toContain('12.4ms gpt-4o-mini → gpt-4.1 19+10')
  })

  test('a refusal says why, and what it lacks is left out', () => {
    const x = exchange()
    x.status = 504
    x.failure = new Failure('upstream_timeout', 'message', { detail: 'first_byte_timeout' })
    expect(humanLine(false)(x, 121_000)).toEndWith(
      ' POST /v1/chat/completions        120s nobody upstream_timeout first_byte_timeout\n',
    )
  })

  test('what was refused before it was read has neither method nor path', () => {
    const x = exchange({ method: '-', path: '-' })
    x.status = 400
    x.failure = new Failure('malformed_request', 'message', { detail: 'This looks like TLS.' })
    expect(humanLine(false)(x, 1000.2)).toEndWith(
      ` 400 ${'(unread)'.padEnd(25)}       0.2ms nobody malformed_request This looks like TLS.\n`,
    )
  })

  test.each([
    [200, 32],
    [301, 36],
    [404, 33],
    [500, 31],
  ])('status %i has colour %i', (status, code) => {
    const x = exchange()
    x.status = status
    expect(humanLine(true)(x, 2000)).toContain(`\u001b[${code}m${status}\u001b[0m`)
    expect(humanLine(false)(x, 2000)).not.toContain('\u001b')
  })

  test('nothing a client sends reaches the terminal as a command', () => {
    const x = exchange({ path: '/v1/\u001b[2J', model: '\u009b31m\u202egpt\n', method: 'G\rT' })
    x.upstream = 'a\u0007b'
    const line = humanLine(false)(x, 2000)
    expect(line).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/)
    expect(line.indexOf('\n')).toBe(line.length - 1)
    expect(printable('a\u001b[31mb')).toBe('a\ufffd[31mb')
  })
})
