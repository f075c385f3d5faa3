// Promise: the upstream's key goes to the upstream that the operator configured, over TLS that was verified, and nowhere
// else: no field of a request chooses where it goes, no answer leads it away, no message shows any part of it.

import { describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  access,
  ask,
  clientKey,
  eventually,
  finallyClose,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  served,
  startGate,
  upstreamAt,
  upstreamKey,
} from './harness.ts'
import { field } from './message.ts'
import { dial } from './peer.ts'
import { chunk, eventsHead, fine, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const gate = await startGate({ upstreams: [upstreamAt(upstream.url)] })
const chat = request('POST', '/v1/chat/completions', jsonBody({ model: 'gpt-4o', messages: [] }))

/** Somewhere that nobody may ever be sent. */
let canaryConnects = 0
const canary = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: { open: () => void canaryConnects++, data() {} },
})
finallyClose(() => canary.stop(true))
const place = `127.0.0.1:${canary.port}`
const url = `http://${place}/v1`

describe('no request chooses where it goes', () => {
  const names = [
    'api_base', 'base_url', 'baseUrl', 'baseURL', 'api_host', 'host', 'endpoint', 'url', 'target', 'target_url', 'proxy', 'http_proxy', 'callback_url', 'webhook_url',
    'redirect_uri', 'server_url', 'user_config', 'custom_host', 'provider', 'deployment', 'upstream', 'organization', 'api_version', 'resource', 'model', 'extra_body',
    '__proto__', 'constructor',
  ] // prettier-ignore

  test('by a member of its body, at any depth', async () => {
    for (const name of names) {
      for (const value of [url, { [name]: url }, [url], { litellm_params: { [name]: url, api_key: 'x' } }]) {
        const text = `{"messages":[{"role":"user","content":${JSON.stringify(url)}}],${JSON.stringify(name)}:${JSON.stringify(value)}}`
        const count = upstream.requests.length
        const answer = await ask(
          gate.port,
          request('POST', '/v1/chat/completions', { lines: ['Content-Type: application/json'], body: text }),
        )
        expect({ name, status: answer.status }).toEqual({ name, status: 200 })
        expect(upstream.requests[count]!.body.toString()).toBe(text)
      }
    }
    expect(canaryConnects).toBe(0)
  })

  test('by a header field', async () => {
    const fields = [
      'X-Forwarded-Host', 'X-Host', 'X-Original-Host', 'X-Forwarded-Server', 'X-HTTP-Host-Override', 'Forwarded', 'X-Original-URL', 'X-Rewrite-URL', 'X-Proxy-URL', 'Destination',
      'X-Portkey-Custom-Host', 'x-portkey-config', 'Helicone-Target-URL', 'Helicone-OpenAI-API-Base', 'X-Target-URL', 'X-Api-Base', 'OpenAI-Base-URL', 'Referer', 'Origin', 'From',
      'X-Forwarded-For', 'X-Backend', 'X-Upstream', 'Location', 'Proxy', 'X-Headgate-Upstream', 'X-Wap-Profile', 'True-Client-IP', 'Client-IP', 'Alt-Svc', 'Link',
    ] // prettier-ignore
    for (const name of fields) {
      for (const value of [url, place, `host=${place}`, `{"base_url":"${url}","provider":"openai"}`]) {
        const count = upstream.requests.length
        const answer = await ask(gate.port, request('GET', '/v1/models', { lines: [`${name}: ${value}`] }))
        expect({ name, status: answer.status }).toEqual({ name, status: 200 })
        expect(upstream.requests[count]!.headers('host')).toEqual([`127.0.0.1:${upstream.port}`])
      }
    }
    expect(canaryConnects).toBe(0)
  })

  test('by its query, its target or its Host', async () => {
    const auth = `Authorization: Bearer ${clientKey}\r\n\r\n`
    for (const bytes of [
      ...names.map((name) => `GET /v1/models?${name}=${url} HTTP/1.1\r\nHost: gate.test\r\n${auth}`),
      `GET /v1/models HTTP/1.1\r\nHost: ${place}\r\n${auth}`,
      `GET http://${place}/v1/models HTTP/1.1\r\nHost: ${place}\r\n${auth}`,
      `GET https://${place}/v1/models HTTP/1.1\r\nHost: ${place}\r\n${auth}`,
      `GET /v1/@${place}/models HTTP/1.1\r\nHost: gate.test\r\n${auth}`,
      `GET /v1/http:/${place}/models HTTP/1.1\r\nHost: gate.test\r\n${auth}`,
    ]) {
      const count = upstream.requests.length
      const answer = await ask(gate.port, bytes)
      expect({ bytes, status: answer.status }).toEqual({ bytes, status: 200 })
      expect(upstream.requests[count]!.headers('host')).toEqual([`127.0.0.1:${upstream.port}`])
    }
    expect(canaryConnects).toBe(0)
  })
})

describe('no answer leads away', () => {
  test.each([300, 301, 302, 303, 305, 307, 308])('%d is neither followed nor passed on', async (status) => {
    upstream.script = (_seen, peer) =>
      peer.write(
        reply(status, `<a href="${url}">`, [
          `Location: ${url}`,
          `Refresh: 0; url=${url}`,
          'Content-Type: text/html',
        ]),
      )
    const count = upstream.requests.length
    for (const bytes of [chat, request('GET', '/v1/models')]) {
      const answer = await ask(gate.port, bytes)
      expect(answer.status).toBe(502)
      expect(answer.json().error.code).toBe('upstream_unavailable')
      expect(answer.lines.join('\n') + answer.body.toString()).not.toContain(place)
    }
    expect({ asked: upstream.requests.length - count, canaryConnects }).toEqual({
      asked: 2,
      canaryConnects: 0,
    })
    upstream.script = fine
  })

  test('nor does a Location beside another status', async () => {
    upstream.script = (_seen, peer) =>
      peer.write(reply(201, '{}', [`Location: ${url}`, `Content-Location: /x`]))
    const answer = await ask(gate.port, chat)
    expect({ status: answer.status, location: answer.header('location') }).toEqual({
      status: 201,
      location: null,
    })
    expect(canaryConnects).toBe(0)
    upstream.script = fine
  })
})

describe('what an upstream says of our key stays here', () => {
  const said = `Incorrect API key provided: ${upstreamKey.slice(0, 8)}****${upstreamKey.slice(-4)}. You can find your API key at https://platform.openai.com/account/api-keys.`

  test('a 401 becomes our own 502, without its text', async () => {
    upstream.script = (_seen, peer) =>
      peer.write(
        reply(401, JSON.stringify({ error: { message: said, code: 'invalid_api_key' } }), [
          'WWW-Authenticate: Bearer realm="strange"',
          'x-strange: 1',
        ]),
      )
    const answer = await ask(gate.port, chat)
    expect(answer.status).toBe(502)
    expect(answer.json().error).toEqual({
      message: expect.stringContaining('main'),
      type: 'server_error',
      param: null,
      code: 'upstream_auth_failed',
    })
    const all = answer.lines.join('\n') + answer.body.toString()
    for (const text of [
      'strange',
      'Incorrect',
      '****',
      upstreamKey.slice(0, 8),
      upstreamKey.slice(-4),
      'platform.openai.com',
    ])
      expect(all).not.toContain(text)
    expect(answer.header('x-should-retry')).toBe('false')
    upstream.script = fine
  })

  test.each<[what: string, text: string, kept: string]>([
    ['the whole key', `Key ${upstreamKey} may not use this model`, 'may not use this model'],
    [
      'a masked key',
      `Key sk-ups****${upstreamKey.slice(-4)} is blocked in your country`,
      'is blocked in your country',
    ],
    ['half of the key', `Key starting with ${upstreamKey.slice(0, 20)} may not`, 'may not'],
    [
      'another key of the same shape',
      'Project sk-proj-abcdefghijklmnop123456 has no access',
      'has no access',
    ],
    ['the account', 'Organization org-AbCdEfGhIjKlMnOpQrStUvWx is not verified', 'is not verified'],
    [
      'nothing secret',
      'Country, region, or territory not supported',
      'Country, region, or territory not supported',
    ],
  ])('a 403 passes without %s', async (_what, text, kept) => {
    upstream.script = (_seen, peer) =>
      peer.write(
        reply(403, JSON.stringify({ error: { message: text, type: 'x', param: null, code: 'unsupported' } })),
      )
    const answer = await ask(gate.port, chat)
    expect(answer.status).toBe(403)
    const { message, code } = answer.json().error
    expect(code).toBe('unsupported')
    expect(message).toContain(kept)
    for (const part of [upstreamKey.slice(12, 20), upstreamKey.slice(-8), 'sk-proj-', 'org-AbCd', '****'])
      expect(message).not.toContain(part)
    upstream.script = fine
  })

  test.each([400, 404, 409, 422, 429, 500, 503])('a %d never holds the key', async (status) => {
    for (const text of [
      `{"error":{"message":"bad key ${upstreamKey}"}}`,
      `{"error":{"message":"bad key ${upstreamKey.replace('-', '\\u002d')}"}}`,
      upstreamKey,
    ]) {
      for (const framed of [
        reply(status, text),
        Buffer.concat([
          Buffer.from(`HTTP/1.1 ${status} No\r\nTransfer-Encoding: chunked\r\n\r\n`),
          chunk(text.slice(0, 30)),
          chunk(text.slice(30)),
          Buffer.from(lastChunk),
        ]),
      ]) {
        upstream.script = (_seen, peer) => peer.write(framed)
        const answer = await ask(gate.port, chat)
        expect(answer.status).toBe(status)
        expect(JSON.stringify(parsed(answer.body.toString()))).not.toContain(upstreamKey)
      }
    }
    upstream.script = fine
  })

  function parsed(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  }

  test('an error too long to look through does not pass', async () => {
    upstream.script = (_seen, peer) => peer.write(reply(500, 'x'.repeat(600_000) + upstreamKey))
    const answer = await ask(gate.port, chat)
    expect(answer.status).toBe(502)
    expect(answer.body.length).toBeLessThan(1000)
    upstream.script = fine
  })

  test('the reason phrase is ours', async () => {
    upstream.script = (_seen, peer) =>
      peer.write(`HTTP/1.1 200 ${upstreamKey}\r\nContent-Length: 2\r\n\r\n{}`)
    expect((await ask(gate.port, chat)).firstLine).toBe('HTTP/1.1 200 OK')
    upstream.script = fine
  })

  test('an error that cannot be read keeps only its status', async () => {
    const quoting = `{"error":{"message":"bad key ${upstreamKey}"}}`
    const odd: [bytes: Uint8Array, line: string][] = [
      [Bun.gzipSync(quoting), 'Content-Encoding: gzip'],
      [Buffer.from(quoting, 'utf16le'), 'Content-Type: application/json; charset=utf-16'],
    ]
    for (const status of [400, 403, 429, 500]) {
      for (const [bytes, line] of odd) {
        upstream.script = (_seen, peer) => peer.write(reply(status, bytes, [line]))
        const answer = await ask(gate.port, chat)
        expect([answer.status, answer.body.toString()]).toEqual([status, unreadable])
        expect(field(answer.lines, 'content-encoding')).toBeNull()
      }
    }
    upstream.script = fine
  })

  test('a part of the key, or the organisation, does not pass in any error', async () => {
    const message = `key ${upstreamKey.slice(0, 20)} of org-AbCdEfGhIjKlMnOpQrStUvWx`
    upstream.script = (_seen, peer) => peer.write(reply(429, JSON.stringify({ error: { message } })))
    const { body } = await ask(gate.port, chat)
    expect(body.toString()).not.toContain(upstreamKey.slice(3, 14))
    expect(body.toString()).not.toContain('AbCdEfGh')
    upstream.script = fine
  })

  test('what a proxy on the way out wants is not asked of the client', async () => {
    upstream.script = (_seen, peer) => peer.write(reply(407, 'login', ['Proxy-Authenticate: Basic realm=x']))
    const answer = await ask(gate.port, chat)
    expect(answer.status).toBe(502)
    expect(JSON.parse(answer.body.toString())).toMatchObject({ error: { code: 'upstream_unavailable' } })
    upstream.script = fine
  })

  test('compressed events pass as the bytes they are', async () => {
    const bytes = Bun.gzipSync('data: {"a":1}\n\ndata: [DONE]\n\n')
    upstream.script = (_seen, peer) =>
      peer.write(reply(200, bytes, ['Content-Type: text/event-stream', 'Content-Encoding: gzip']))
    const answer = await ask(gate.port, chat)
    expect(Buffer.from(Bun.gunzipSync(new Uint8Array(answer.body))).toString()).toContain('[DONE]')
    upstream.script = fine
  })

  test('a key in the query is refused, and subprotocols that name a key or an account go no further', async () => {
    const inQuery = request('GET', `/v1/models?api-key=${clientKey}`, {})
    expect((await ask(gate.port, inQuery)).status).toBe(400)
    let seen = ''
    upstream.script = (request, peer) => {
      seen = request.lines.join('\n')
      void peer.write(reply(200, '{}'))
    }
    const protocols = `realtime, openai-insecure-api-key.${clientKey}, openai-organization.org-1, openai-project.p`
    for (const lines of [
      [`Sec-WebSocket-Protocol: ${protocols}`],
      [`OpenAI_Organization: org-1`, 'Api_Key: x'],
    ]) {
      expect((await ask(gate.port, request('GET', '/v1/models', { lines }))).status).toBe(200)
      expect(seen.toLowerCase()).not.toMatch(/openai-insecure|openai.organization|openai.project|api_key/)
    }
    upstream.script = fine
  })
})

const unreadable = JSON.stringify({
  error: {
    message: 'The upstream answered with an error whose text cannot be shown.',
    type: 'upstream_error',
    param: null,
    code: null,
  },
})

describe('TLS to the upstream is verified before a byte is sent', () => {
  const openssl = Bun.which('openssl') !== null
  const folder = scratchFolder()
  const run = (...args: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(['openssl', ...args], { cwd: folder })
    if (exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`)
  }

  function authority(name: string): void {
    run(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
    )
  }

  function certificate(
    name: string,
    more: { ca: string; names: string; dates?: readonly [string, string] },
  ): { cert: string; key: string } {
    writeFileSync(
      join(folder, `${name}.cnf`),
      `subjectAltName=${more.names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n`,
    )
    run(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    )
    // `openssl ca`, since only that takes both dates in every version.
    const dates =
      more.dates === undefined ? ['-days', '10'] : ['-startdate', more.dates[0], '-enddate', more.dates[1]]
    writeFileSync(join(folder, 'index.txt'), '')
    writeFileSync(
      join(folder, 'ca.cnf'),
      '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nrand_serial=yes\n[p]\ncommonName=supplied\n',
    )
    run(
      'ca',
      '-batch',
      '-notext',
      '-config',
      'ca.cnf',
      '-cert',
      `${more.ca}.pem`,
      '-keyfile',
      `${more.ca}.key`,
      '-in',
      `${name}.csr`,
      '-out',
      `${name}.pem`,
      '-extfile',
      `${name}.cnf`,
      ...dates,
    )
    return {
      cert: readFileSync(join(folder, `${name}.pem`), 'utf8'),
      key: readFileSync(join(folder, `${name}.key`), 'utf8'),
    }
  }

  const here = 'DNS:localhost,IP:127.0.0.1'

  async function through(identity: { cert: string; key: string }, caFile: string | null, host = '127.0.0.1') {
    const secure = ScriptedUpstream.start(fine, { tls: identity })
    const own = await startGate({
      upstreams: [
        upstreamAt(secure.url.replace('127.0.0.1', host), {
          tls: caFile === null ? {} : { caFile: join(folder, caFile) },
        }),
      ],
    })
    const answer = await ask(own.port, chat)
    const line = await own.logged(() => true)
    const bytes = secure.peers.reduce((sum, peer) => sum + peer.receivedBytes, 0)
    secure.stop()
    return { answer, line, bytes, requests: secure.requests.length }
  }

  const identities = openssl ? makeIdentities() : null

  function makeIdentities() {
    authority('good-ca')
    authority('other-ca')
    run(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'self.key',
      '-out',
      'self.pem',
      '-days',
      '30',
      '-subj',
      '/CN=localhost',
      '-addext',
      `subjectAltName=${here}`,
    )
    const day = (offset: number) =>
      new Date(Date.now() + offset * 86_400_000).toISOString().replace(/[-:T]/g, '').slice(0, 14) + 'Z'
    return {
      good: certificate('good', { ca: 'good-ca', names: here }),
      expired: certificate('expired', { ca: 'good-ca', names: here, dates: [day(-20), day(-2)] }),
      future: certificate('future', { ca: 'good-ca', names: here, dates: [day(2), day(20)] }),
      name: certificate('name', { ca: 'good-ca', names: 'DNS:api.example.com,IP:127.0.0.2' }),
      prefix: certificate('prefix', {
        ca: 'good-ca',
        names: 'DNS:localhost.example.com,DNS:127.0.0.1,DNS:*.0.0.1',
      }),
      stranger: certificate('stranger', { ca: 'other-ca', names: here }),
      self: {
        cert: readFileSync(join(folder, 'self.pem'), 'utf8'),
        key: readFileSync(join(folder, 'self.key'), 'utf8'),
      },
    }
  }

  test.skipIf(!openssl).each(['127.0.0.1', 'localhost'])(
    'a good certificate is taken, by %s (needs openssl)',
    async (host) => {
      const { answer, requests } = await through(identities!.good, 'good-ca.pem', host)
      expect({ status: answer.status, requests }).toEqual({ status: 200, requests: 1 })
    },
  )

  test.skipIf(!openssl).each([
    ['expired', 'good-ca.pem', '127.0.0.1'],
    ['future', 'good-ca.pem', '127.0.0.1'],
    ['name', 'good-ca.pem', '127.0.0.1'],
    ['name', 'good-ca.pem', 'localhost'],
    ['prefix', 'good-ca.pem', '127.0.0.1'],
    ['prefix', 'good-ca.pem', 'localhost'],
    ['stranger', 'good-ca.pem', '127.0.0.1'],
    ['self', 'good-ca.pem', '127.0.0.1'],
    ['self', null, 'localhost'],
    ['good', null, '127.0.0.1'],
  ] as const)('refuses %s, trusting %s, at %s (needs openssl)', async (which, caFile, host) => {
    const { answer, line, bytes, requests } = await through(identities![which], caFile, host)
    expect({ status: answer.status, bytes, requests }).toEqual({ status: 502, bytes: 0, requests: 0 })
    expect(answer.json().error.code).toBe('upstream_unavailable')
    expect(line['detail']).toStartWith('tls_failed')
  })

  test('does not fall back to plain text', async () => {
    const plain = ScriptedUpstream.start(() => {}, { atHead: true })
    const own = await startGate({
      upstreams: [upstreamAt(plain.url.replace('http:', 'https:'), { timeouts: { connect: '500ms' } })],
    })
    const answer = await ask(own.port, chat)
    expect([502, 504]).toContain(answer.status)
    for (const peer of plain.peers) expect(peer.text).not.toContain('sk-')
    plain.stop()
  })
})

describe('no output holds any part of a key', () => {
  const random = 'Zq7Xw2Lr9Tn4Vb8Kd3Hs6Jf1Pm5Gc0Ya'
  const secretKey = `sk-${random}`
  const secretClient = `hg_prod_${[...random].reverse().join('')}`

  /** Whatever of a secret could be recognised: parts of eight, plain and in base64. */
  function traces(text: string, secret: string): string[] {
    const tail = secret.replace(/^.*_|^sk-/, '')
    const parts = Array.from({ length: tail.length - 7 }, (_, at) => tail.slice(at, at + 8))
    const coded = [0, 1, 2].map((skip) => Buffer.from(secret.slice(skip)).toString('base64').slice(4, 24))
    return [...parts, ...coded].filter((part) => text.includes(part))
  }

  function filesUnder(path: string): string[] {
    return readdirSync(path).flatMap((name) =>
      statSync(join(path, name)).isDirectory() ? filesUnder(join(path, name)) : [join(path, name)],
    )
  }

  test.each(['json', 'human'] as const)('with logs as %s', async (format) => {
    const far = ScriptedUpstream.start(fine)
    const upstreams = [
      {
        name: 'main',
        provider: 'openai',
        baseUrl: far.url,
        keys: ['${env:THE_KEY}'],
        timeouts: { firstByte: '200ms', idle: '200ms' },
      },
    ]
    const tree = {
      upstreams,
      access: { keys: [{ name: 'client', value: '${env:THE_CLIENT}' }] },
      log: { format },
    }
    const own = await served({ tree, env: { THE_KEY: secretKey, THE_CLIENT: secretClient } })
    const seen: string[] = []
    const scripts: (typeof far.script)[] = [
      fine,
      (_request, peer) =>
        peer.write(reply(401, `{"error":{"message":"bad ${secretKey}"}}`, [`x-strange: ${secretKey}`])),
      (_request, peer) => peer.write(reply(403, `{"error":{"message":"bad ${secretKey}"}}`)),
      (_request, peer) => peer.write(reply(500, `bad ${secretKey}`, [`x-request-id: ${secretKey}`])),
      (_request, peer) => peer.write(`HTTP/1.1 ${secretKey}\r\n\r\n`),
      (_request, peer) => peer.write(`HTTP/1.1 200 OK\r\n${secretKey}\r\n\r\n`),
      (_request, peer) => peer.write(reply(302, '', [`Location: http://${secretKey}.test/`])),
      (_request, peer) => peer.close(),
      () => {},
      async (_request, peer) => (
        await peer.write(eventsHead + chunk('data: 1\n\n').toString()),
        peer.close()
      ),
    ]
    for (const script of scripts) {
      far.script = script
      const answer = await ask(
        own.port,
        request('POST', '/v1/chat/completions', { ...jsonBody({ model: 'gpt-4o' }), key: secretClient }),
      )
      seen.push(answer.firstLine, ...answer.lines, answer.body.toString())
    }
    for (const bytes of [
      request('GET', `/v1/models?key=${secretClient}`, { key: secretClient.slice(0, -1) }),
      request('GET', '/v1/models', { key: `${secretClient} x` }),
      request('GET', '/nowhere', { key: secretClient }),
      request('GET', '/v1//x', { key: secretClient, lines: [`x-api-key: ${secretClient}`] }),
      request('POST', '/v1/chat/completions', { body: '{"model":', key: secretClient }),
      `GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization Bearer ${secretClient}\r\n\r\n`,
    ]) {
      const answer = await ask(own.port, bytes)
      seen.push(answer.firstLine, ...answer.lines, answer.body.toString())
    }
    const gone = await dial(own.port)
    await gone.write(
      request('POST', '/v1/chat/completions', { ...jsonBody({ model: 'gpt-4o' }), key: secretClient }),
    )
    gone.reset()
    for (const path of ['/healthz', '/readyz', '/nowhere'])
      seen.push(await (await fetch(`http://127.0.0.1:${own.adminPort}${path}`)).text())
    writeFileSync(
      own.file,
      'upstreams: [{ name: main, provider: openai, keys: ["${env:THE_KEY}"], wrong: true }]',
    )
    own.signal('SIGHUP')
    await own.says(/stays? in force/)
    own.signal('SIGTERM')
    expect(await own.exited).toBe(0)
    const { stdout, stderr } = own.output()
    const files = filesUnder(join(own.folder, 'data')).map((file) => readFileSync(file, 'latin1'))
    expect(files.join('').length).toBeGreaterThan(1000)
    for (const text of [stdout, stderr, ...files, ...seen]) {
      expect(traces(text, secretKey)).toEqual([])
      expect(traces(text, secretClient)).toEqual([])
    }
    far.stop()
  })
})

test('the canary was never called', async () => {
  await eventually(() => gate.gateway.exchanges === 0, 'everything to end')
  expect(canaryConnects).toBe(0)
  expect(access.keys.length).toBe(1)
})
