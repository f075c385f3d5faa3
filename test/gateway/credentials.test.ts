// Promise: one good credential opens what its key may use, and nothing else opens anything. Whatever is missing, wrong,
// doubled or malformed is a 401 in OpenAI's shape, said in the same words whichever it is, and no upstream hears of it.

import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { ask, clientKey, jsonBody, promiseTests, request, startGate, upstreamAt } from './harness.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const hashed = 'hg_test_known-by-its-hash-000000000001'
const other = 'hg_test_another-good-key-0000000000001'
const narrow = 'hg_test_some-models-only-0000000000001'
const chatOnly = 'hg_test_some-endpoints-only-000000001'

const upstream = ScriptedUpstream.start(fine)
const gate = await startGate({
  upstreams: [upstreamAt(upstream.url)],
  access: {
    keys: [
      { name: 'client', value: clientKey },
      { name: 'other', value: other, team: 'core', app: 'web', user: 'ann', env: 'prod' },
      { name: 'hashed', hash: `sha256:${createHash('sha256').update(hashed).digest('hex')}` },
      { name: 'narrow', value: narrow, models: ['gpt-4o-mini', 'text-embedding-*', '*-tts'] },
      { name: 'chat-only', value: chatOnly, endpoints: ['chat.completions', 'models', 'fine_tuning.jobs'] },
    ],
    // Whose objects are is another promise: see objects.test.ts.
    objects: { unknown: 'allow' },
  },
})

const path = '/v1/chat/completions'
const body = jsonBody({ model: 'gpt-4o', messages: [] })

async function status(lines: readonly string[], target = path): Promise<number> {
  const seen = upstream.requests.length
  const answer = await ask(
    gate.port,
    request('POST', target, { ...body, lines: [...body.lines, ...lines], key: null }),
  )
  expect(upstream.requests.length - seen).toBe(answer.status === 200 ? 1 : 0)
  return answer.status
}

/** Ways to send a credential, and how `key` looks in each. */
const ways: Record<string, (key: string) => string> = {
  Authorization: (key) => `Authorization: Bearer ${key}`,
  'x-api-key': (key) => `x-api-key: ${key}`,
  'api-key': (key) => `api-key: ${key}`,
}

describe('one good credential', () => {
  for (const [name, line] of Object.entries(ways)) {
    test.each([clientKey, hashed, other])(`in ${name} is taken: %s`, async (key) =>
      expect(await status([line(key)])).toBe(200),
    )
  }

  test('may be written in any case of its scheme and field', async () => {
    for (const line of [
      `authorization: bearer ${clientKey}`,
      `AUTHORIZATION: BEARER ${clientKey}`,
      `X-API-KEY:${clientKey}`,
      `Api-Key:\t${clientKey}\t`,
    ]) {
      expect(await status([line])).toBe(200)
    }
  })

  test('names its owner in the access log, and its text is nowhere', async () => {
    await status([`Authorization: Bearer ${other}`])
    const line = await gate.logged((each) => each['key'] === 'other' && each['status'] === 200)
    expect(line).toMatchObject({
      team: 'core',
      app: 'web',
      user: 'ann',
      env: 'prod',
      model: 'gpt-4o',
      endpoint: 'chat.completions',
    })
    expect(JSON.stringify(gate.lines)).not.toMatch(/hg_test/)
  })
})

describe('anything else is a 401', () => {
  const wrong = 'hg_test_wrong-key-00000000000000000001'
  const cases: [what: string, lines: string[]][] = [
    ['none at all', []],
    ['an empty bearer', ['Authorization: Bearer']],
    ['an empty bearer with a space', ['Authorization: Bearer ']],
    ['an empty Authorization', ['Authorization:']],
    ['a bare key', [`Authorization: ${clientKey}`]],
    ['another scheme', [`Authorization: Basic ${clientKey}`]],
    ['a scheme without its space', [`Authorization: Bearer${clientKey}`]],
    ['two schemes', [`Authorization: Bearer Bearer ${clientKey}`]],
    ['two spaces', [`Authorization: Bearer  ${clientKey}`]],
    ['a tab for a space', [`Authorization: Bearer\t${clientKey}`]],
    ['a quoted key', [`Authorization: Bearer "${clientKey}"`]],
    ['a list of keys', [`Authorization: Bearer ${clientKey}, ${clientKey}`]],
    ['a list of credentials', [`Authorization: Bearer ${clientKey}, Bearer ${other}`]],
    ['a key with something behind', [`Authorization: Bearer ${clientKey} x`]],
    ['a key that is cut', [`Authorization: Bearer ${clientKey.slice(0, -1)}`]],
    ['a key with one letter more', [`Authorization: Bearer ${clientKey}x`]],
    ['a key in another case', [`Authorization: Bearer ${clientKey.toUpperCase()}`]],
    ['a key that is escaped', [`Authorization: Bearer ${clientKey.replace('_', '%5f')}`]],
    ['a key beyond ASCII', [`Authorization: Bearer ${clientKey}\xe9`]],
    ['a key of 9 KB', [`Authorization: Bearer ${'k'.repeat(9000)}`]],
    [
      'a hash in place of its key',
      [`Authorization: Bearer sha256:${createHash('sha256').update(hashed).digest('hex')}`],
    ],
    ['the name of a key', ['Authorization: Bearer client']],
    ['SQL', ["Authorization: Bearer ' OR 1=1 --"]],
    ['the key of the upstream', ['Authorization: Bearer sk-upstream-canary-7f3a9c2e5b8d1046']],
    ['a key in the query', []],
    ['a key in a cookie', [`Cookie: api-key=${clientKey}`]],
    ['a key for the proxy', [`Proxy-Authorization: Bearer ${clientKey}`]],
    ['an empty x-api-key', ['x-api-key:']],
    ['a bearer in x-api-key', [`x-api-key: Bearer ${clientKey}`]],
  ]
  for (const first of Object.values(ways)) {
    for (const second of Object.values(ways)) {
      for (const [a, b] of [
        [clientKey, clientKey],
        [clientKey, other],
        [clientKey, wrong],
        [wrong, clientKey],
        [clientKey, ''],
      ] as const) {
        cases.push([`two credentials: ${first(a)} and ${second(b)}`, [first(a), second(b)]])
      }
    }
    cases.push([`a wrong key: ${first(wrong)}`, [first(wrong)]])
  }

  test.each(cases)('%s', async (what, lines) => {
    const target = what.includes('query') ? `${path}?api-key=${clientKey}&key=${clientKey}` : path
    const seen = upstream.requests.length
    const answer = await ask(
      gate.port,
      request('POST', target, { ...body, lines: [...body.lines, ...lines], key: null }),
    )
    expect(answer.status).toBe(401)
    expect(answer.json()).toEqual({
      error: {
        message: expect.any(String),
        type: 'invalid_request_error',
        param: null,
        code: 'invalid_api_key',
      },
    })
    expect(answer.header('www-authenticate')).toBe('Bearer')
    expect(answer.header('content-type')).toBe('application/json')
    expect(answer.header('x-should-retry')).toBe('false')
    expect(answer.body.toString()).not.toContain(clientKey)
    expect(upstream.requests.length).toBe(seen)
  })

  test('also where the path is unknown, is not proxied, or the body is large', async () => {
    expect(await status([], '/v1/some/future/endpoint')).toBe(401)
    expect(await status(['Authorization: Bearer nope'], '/v1/models/x')).toBe(401)
    const large = await ask(
      gate.port,
      request('POST', path, {
        lines: ['Content-Type: application/json', 'Content-Length: 20000000', 'Expect: 100-continue'],
        key: null,
      }),
    )
    expect({ status: large.status, connection: large.header('connection') }).toEqual({
      status: 401,
      connection: 'close',
    })
  })
})

describe('access.anonymous: allow', () => {
  test('lets in who sends no credential, and still refuses a wrong one', async () => {
    const open = await startGate({
      upstreams: [upstreamAt(upstream.url)],
      access: { anonymous: 'allow', keys: [{ name: 'client', value: clientKey }] },
    })
    const at = async (key: string | null, lines: string[] = []) =>
      (await ask(open.port, request('GET', '/v1/models', { key, lines }))).status
    expect(await at(null)).toBe(200)
    expect(await at(clientKey)).toBe(200)
    expect(await at('hg_test_wrong')).toBe(401)
    expect(await at(null, ['Authorization:'])).toBe(401)
    expect(await at(clientKey, [`x-api-key: ${clientKey}`])).toBe(401)
  })
})

describe('a key with a list of models', () => {
  const asked = async (text: string, at = path) => {
    const seen = upstream.requests.length
    const answer = await ask(
      gate.port,
      request('POST', at, { lines: ['Content-Type: application/json'], body: text, key: narrow }),
    )
    expect(upstream.requests.length - seen).toBe(answer.status === 200 ? 1 : 0)
    return answer
  }

  test.each([
    ['{"model":"gpt-4o-mini"}', path],
    ['{"messages":[],"model":"gpt-4o-mini"}', path],
    ['{"model":"text-embedding-3-large"}', '/v1/embeddings'],
    ['{"model":"text-embedding-"}', '/v1/embeddings'],
    ['{"model":"gpt-4o-mini-tts"}', '/v1/audio/speech'],
    [
      '{"model":"gpt-4o-mini","messages":[{"content":"\\"model\\":\\"gpt-4o\\""}],"metadata":{"model":"gpt-4o"}}',
      path,
    ],
    ['{"mod\\u0065l":"gpt-4o-min\\u0069"}', path],
    ['{"model":"gpt-4o-mini","tools":[{"type":"image_generation","model":"x-tts"}]}', '/v1/responses'],
    ['{"model":"gpt-4o-mini","models":["x-tts", "gpt-4o-mini"],"fallbacks":[]}', path],
    ['{"model":"gpt-4o-mini","input":"{\\"model\\":\\"gpt-5\\"}"}', '/v1/responses'],
    ['{"model":"gpt-4o-mini","prompt":{"id":"p","variables":{"model":"T"}}}', '/v1/responses'],
    [
      '{"model":"gpt-4o-mini","tools":[{"function":{"parameters":{"properties":{"model":{"type":"string"}},"default":{"model":"T"}}}}]}',
      path,
    ],
    [
      '{"model":"gpt-4o-mini","response_format":{"json_schema":{"schema":{"$defs":{"model":{"type":"string"}}}}}}',
      path,
    ],
    ['{"model":"gpt-4o-mini","moderation":{"model":null}}', path],
    ['{"assistant_id":"a","model":"gpt-4o-mini"}', '/v1/threads/runs'],
    ['{"model":"gpt-4o-mini"}', '/v1/assistants'],
    ['{"messages":[]}', '/v1/threads'],
  ])('passes %s', async (text, at) => expect((await asked(text, at)).status).toBe(200))

  test.each([
    '{"model":"gpt-4o"}',
    '{"model":"gpt-4o-mini "}',
    '{"model":" gpt-4o-mini"}',
    '{"model":"GPT-4o-mini"}',
    '{"model":"gpt-4o-mini\\u0000"}',
    '{"model":"gpt-4o-mini-2024"}',
    '{"model":"xgpt-4o-mini"}',
    '{"model":"text-embedding"}',
    '{"model":["gpt-4o-mini"]}',
    '{"model":{"id":"gpt-4o-mini"}}',
    '{"model":null}',
    '{"model":""}',
    '{"Model":"gpt-4o-mini"}',
    '{"MODEL":"gpt-4o"}',
    '{"model":"gpt-4o-mini","tools":[{"type":"image_generation","model":"gpt-image-1"}]}',
    '{"model":"gpt-4o-mini","tools":[{"Model":"gpt-image-1"}]}',
    '{"model":"gpt-4o-mini","tools":[{"model":"gpt-image-1","model":"gpt-4o-mini"}]}',
    '{"model":"gpt-4o-mini","tools":[{"model":"gpt-image-1"}],"tools":[]}',
    '{"model":"gpt-4o-mini","tools":[{"model":{"id":"gpt-image-1"}}]}',
    '{"model":"gpt-4o-mini","input":[{"tools":[{"model":"gpt-image-1"}]}]}',
    '{"model":"gpt-4o-mini","session":{"mod\\u0065l":"gpt-realtime"}}',
    '{"model":"gpt-4o-mini","metadata":{"a":{}},"session":{"model":"gpt-realtime"}}',
    '{"model":"gpt-4o-mini","metadata":"a","session":{"model":"gpt-realtime"}}',
    '{"model":"gpt-4o-mini","metadata":[{"model":"gpt-5"}]}',
    '{"model":"gpt-4o-mini","models":["gpt-4o-mini","gpt-5"]}',
    '{"model":"gpt-4o-mini","models":[["gpt-5"]]}',
    '{"model":"gpt-4o-mini","fallbacks":[{"model":"gpt-5"}]}',
    '{"model":"gpt-4o-mini","extra_body":{"models":"gpt-5"}}',
    '{}',
    '[{"model":"gpt-4o-mini"}]',
    '"gpt-4o-mini"',
    'null',
  ])('refuses %s', async (text) => {
    const answer = await asked(text)
    expect(answer.status, answer.body.toString()).toBe(403)
    expect(answer.json().error).toMatchObject({
      code: 'model_not_allowed',
      type: 'permission_error',
      param: 'model',
    })
  })

  test.each([
    ['a model named twice', '{"model":"gpt-4o-mini","model":"gpt-4o"}'],
    ['a model named twice, the good one last', '{"model":"gpt-4o","model":"gpt-4o-mini"}'],
    ['a model named twice alike', '{"model":"gpt-4o-mini","model":"gpt-4o-mini"}'],
    ['a model named twice, once escaped', '{"model":"gpt-4o-mini","mode\\u006c":"gpt-4o"}'],
    ['a model named twice, once in another case', '{"model":"gpt-4o-mini","Model":"gpt-5"}'],
    ['a model named twice, first in another case', '{"MODEL":"gpt-5","model":"gpt-4o-mini"}'],
    ['a model named twice, once as nothing', '{"model":"gpt-5","model":null}'],
    ['a model named twice, the good one and nothing', '{"model":"gpt-4o-mini","model":null}'],
    ['a model named twice, once cut by a NUL', '{"model":"gpt-4o-mini","model\\u0000":"gpt-4o-mini"}'],
    ['broken JSON', '{"model":"gpt-4o-mini"'],
    ['broken JSON behind', '{"model":"gpt-4o-mini"} {"model":"gpt-4o"}'],
    ['a comment', '{"model":"gpt-4o-mini" /* , "model": "gpt-4o" */}'],
    ['a trailing comma', '{"model":"gpt-4o-mini",}'],
    ['no UTF-8', '{"model":"gpt-4o-mini","a":"\xff"}'],
  ])('refuses %s, since it cannot be sure', async (_what, text) => {
    const seen = upstream.requests.length
    const answer = await ask(
      gate.port,
      request('POST', path, {
        lines: ['Content-Type: application/json'],
        body: Buffer.from(text, 'latin1'),
        key: narrow,
      }),
    )
    expect([400, 403]).toContain(answer.status)
    expect(answer.json().error.code).toBeOneOf(['bad_request', 'invalid_json', 'model_not_allowed'])
    expect(upstream.requests.length).toBe(seen)
  })

  test('is not let through where the model cannot be read', async () => {
    const seen = upstream.requests.length
    const form = {
      lines: ['Content-Type: multipart/form-data; boundary=b'],
      body: '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-4o-mini\r\n--b--\r\n',
      key: narrow,
    }
    expect((await ask(gate.port, request('POST', '/v1/audio/transcriptions', form))).status).toBe(403)
    expect((await ask(gate.port, request('GET', '/v1/some/future/endpoint', { key: narrow }))).status).toBe(
      403,
    )
    const upgrade = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
    ]
    expect(
      (
        await ask(
          gate.port,
          request('GET', '/v1/realtime?model=gpt-4o-mini', { lines: upgrade, key: narrow }),
        )
      ).status,
    ).toBe(403)
    // Unknown here may be known there: to an upstream that does not mind case, /v1/Batches is /v1/batches.
    expect((await asked('{"model":"gpt-4o-mini"}', '/v1/some/future/endpoint')).status).toBe(403)
    expect((await asked('{"model":"gpt-4o-mini"}', '/v1/Batches')).status).toBe(403)
    expect((await asked('{"model":"gpt-4o-mini"}', '/v1/threads/Runs')).status).toBe(403)
    expect(upstream.requests.length).toBe(seen)
  })

  test.each([
    ['/v1/batches', '{"model":"gpt-4o-mini","input_file_id":"file-1","endpoint":"/v1/chat/completions"}'],
    ['/v1/realtime/client_secrets', '{"model":"gpt-4o-mini","session":{"model":"gpt-realtime"}}'],
    ['/v1/realtime/sessions', '{"model":"gpt-4o-mini"}'],
    ['/v1/evals/e/runs', '{"model":"gpt-4o-mini","data_source":{"model":"gpt-5"}}'],
    ['/v1/fine_tuning/alpha/graders/run', '{"model":"gpt-4o-mini","grader":{"model":"gpt-5"}}'],
    ['/v1/threads/t/runs/r/submit_tool_outputs', '{"model":"gpt-4o-mini","tool_outputs":[]}'],
    ['/v1/chatkit/sessions', '{"model":"gpt-4o-mini","workflow":{"id":"wf_1"}}'],
    ['/v1/videos/v/remix', '{"model":"gpt-4o-mini","prompt":"x"}'],
  ])('may not use %s, whose body does not decide what is paid for', async (at, text) => {
    const answer = await asked(text, at)
    expect(answer.status).toBe(403)
    expect(answer.json().error).toMatchObject({ code: 'model_not_allowed', param: null })
  })

  test.each([
    '/v1/fine_tuning/jobs/ft-1/resume',
    '/v1/chat/completions',
    '/v1/embeddings',
    '/v1/realtime/client_secrets',
  ])('may not start what costs without a body: %s', async (at) => {
    const seen = upstream.requests.length
    for (const lines of [
      [],
      ['Content-Length: 0'],
      ['Content-Type: application/json', 'Content-Length: 0'],
    ]) {
      const answer = await ask(gate.port, request('POST', at, { lines, key: narrow }))
      expect(answer.json().error.code).toBe('model_not_allowed')
    }
    expect(upstream.requests.length).toBe(seen)
  })

  test.each([
    ['DELETE', '/v1/models/ft:gpt-5:org', 403],
    ['DELETE', '/v1/models/ft%3Agpt-5%3Aorg', 403],
    ['DELETE', '/v1/models/org%2Fgpt-4o-mini', 403],
    ['DELETE', '/v1/models/gpt-4o-mini', 200],
    ['DELETE', '/v1/models/org%2Fx-tts', 200],
    ['GET', '/v1/models/gpt-5', 200],
    ['POST', '/v1/fine_tuning/jobs/ft-1/cancel', 200],
    ['POST', '/v1/responses/resp_1/cancel', 200],
  ] as const)('%s %s: %d', async (method, target, expected) => {
    const seen = upstream.requests.length
    const answer = await ask(gate.port, request(method, target, { key: narrow }))
    expect(answer.status).toBe(expected)
    expect(upstream.requests.length - seen).toBe(expected === 200 ? 1 : 0)
  })

  test('is held to it where a model is only named, not paid for', async () => {
    for (const text of ['{"model":"gpt-5"}', '{"Model":"gpt-4o-mini"}', '{"tools":[{"model":"gpt-5"}]}'])
      expect((await asked(text, '/v1/assistants')).json().error.code).toBe('model_not_allowed')
    for (const text of ['{"model":"gpt-5","model":null}', '{"model":null,"MODEL":null}'])
      expect((await asked(text, '/v1/assistants')).json().error.code).toBeOneOf([
        'bad_request',
        'model_not_allowed',
      ])
  })

  test.each([
    ['no type', '/v1/embeddings', []],
    ['a form', '/v1/embeddings', ['Content-Type: application/x-www-form-urlencoded']],
    ['text', path, ['Content-Type: text/plain']],
    ['a type that only begins so', path, ['Content-Type: application/json-seq']],
    ['two types in one line', path, ['Content-Type: application/json, text/plain']],
    ['another charset', path, ['Content-Type: application/json; charset=utf-7']],
    [
      'two lines',
      '/v1/videos',
      ['Content-Type: application/json', 'content-type: application/x-www-form-urlencoded'],
    ],
    ['the same line twice', path, ['Content-Type: application/json', 'Content-Type: application/json']],
    [
      'a coding behind none',
      path,
      ['Content-Type: application/json', 'Content-Encoding: identity', 'Content-Encoding: gzip'],
    ],
  ])('must label its body as JSON, once: %s is a 415', async (_what, at, lines) => {
    const seen = upstream.requests.length
    const sent = { lines, body: '{"model":"gpt-4o-mini-tts","x":"&model=gpt-5&"}' }
    const answer = await ask(gate.port, request('POST', at, { ...sent, key: narrow }))
    expect(answer.status).toBe(415)
    expect(answer.json().error.code).toBe('unsupported_media_type')
    expect(upstream.requests.length).toBe(seen)
  })

  test.each(['application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"'])(
    'may say %s',
    async (type) => {
      const sent = { lines: [`Content-Type: ${type}`], body: '{"model":"gpt-4o-mini"}' }
      expect((await ask(gate.port, request('POST', path, { ...sent, key: narrow }))).status).toBe(200)
    },
  )

  test('binds no other key', async () => {
    for (const [at, type, text] of [
      [path, 'text/plain', '{"model":"gpt-4o-mini","Model":"gpt-5","tools":[{"model":1}]}'],
      ['/v1/batches', 'application/json', '{"model":1}'],
      ['/v1/some/future/endpoint', 'application/json', '{'],
    ] as const) {
      const sent = { lines: [`Content-Type: ${type}`], body: text }
      expect((await ask(gate.port, request('POST', at, sent))).status).toBe(200)
      expect(upstream.last.body.toString()).toBe(text)
    }
  })

  test('may look at what names no model', async () => {
    expect((await ask(gate.port, request('GET', '/v1/files', { key: narrow }))).status).toBe(200)
  })

  test('may not send a compressed body, which would not be read', async () => {
    const answer = await ask(
      gate.port,
      request('POST', path, {
        lines: ['Content-Type: application/json', 'Content-Encoding: gzip'],
        body: Bun.gzipSync('{"model":"gpt-4o"}'),
        key: narrow,
      }),
    )
    expect(answer.status).toBe(415)
  })
})

describe('a key with a list of endpoints', () => {
  test.each([
    ['POST', '/v1/chat/completions', 200],
    ['GET', '/v1/chat/completions/chatcmpl-1/messages', 200],
    ['GET', '/v1/models/org%2Fmodel', 200],
    ['GET', '/v1/fine_tuning/jobs', 200],
    ['POST', '/v1/embeddings', 403],
    ['POST', '/v1/completions', 403],
    ['POST', '/v1/responses', 403],
    ['GET', '/v1/files', 403],
    ['PUT', '/v1/chat/completions', 403],
    ['GET', '/v1/some/future/endpoint', 403],
    ['GET', '/v1/chat/completions/', 400],
    ['GET', '/v1/chat/Completions', 403],
    ['GET', '/v1/organization/admin_api_keys', 403],
  ])('%s %s: %d', async (method, target, expected) => {
    const seen = upstream.requests.length
    const answer = await ask(
      gate.port,
      request(method, target, { ...(method === 'GET' ? {} : body), key: chatOnly }),
    )
    expect(answer.status).toBe(expected)
    expect(upstream.requests.length - seen).toBe(expected === 200 ? 1 : 0)
    if (expected === 403)
      expect(answer.json().error).toMatchObject({
        code: 'access_denied',
        type: 'permission_error',
        param: null,
      })
  })
})

describe('broken JSON', () => {
  test.each([
    '{"model":',
    'null',
    '',
    '{"a":1}{"a":1}',
    '[[[[',
    "{'model':'x'}",
    '{"model":"gpt-4o","model":"x"}',
  ])('passes unread where nobody must read it: %s', async (text) => {
    const answer = await ask(
      gate.port,
      request('POST', path, { lines: ['Content-Type: application/json'], body: text }),
    )
    expect(answer.status).toBe(200)
    expect(upstream.last.body.toString()).toBe(text)
  })
})
