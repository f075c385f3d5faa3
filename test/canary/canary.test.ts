// Promise: no secret is ever seen where it does not belong. Gateways are led through what happens to one in its life,
// with marked secrets throughout, and everything they have said, written and answered is searched for any piece of them.

import { expect, test } from 'bun:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomText } from '../../src/base/id.ts'
import { callAdmin } from '../gateway/admin-call.ts'
import {
  ask,
  eventually,
  finallyClose,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  served,
  writeConfig,
  type ConfigTree,
  type Served,
} from '../gateway/harness.ts'
import {
  chunk,
  eventsHead,
  fine,
  lastChunk,
  reply,
  ScriptedUpstream,
  type Script,
} from '../gateway/scripted-upstream.ts'
import { countOf, filesOf, findMarked, type Marked, type Place } from './search.ts'

promiseTests()

const root = join(import.meta.dir, '..', '..')
const upstream = ScriptedUpstream.start(fine)
finallyClose(() => upstream.stop())

/** Secrets that must not be seen, and all that was seen. */
class Watch {
  readonly secrets: Marked[] = []
  readonly places: Place[] = []
  readonly gates: Served[] = []

  /** A new secret: its prefix, and 32 random characters. */
  make(name: string, prefix: string): string {
    const random = randomText(32)
    this.secrets.push({ name, random })
    return prefix + random
  }

  /** A secret that the gateway made itself and showed once. */
  shown(name: string, text: string): string {
    this.secrets.push({ name, random: text.slice(text.lastIndexOf('_') + 1) })
    return text
  }

  saw(name: string, text: string): void {
    this.places.push({ name, bytes: text })
  }

  async proxy(gate: Served, name: string, bytes: Uint8Array): Promise<number> {
    const answer = await ask(gate.port, bytes)
    this.saw(
      `answer to ${name}`,
      [answer.firstLine, ...answer.lines, answer.body.toString('latin1')].join('\n'),
    )
    return answer.status
  }

  /** `secret`: the answer shows one, which is taken note of and then no longer in the text. */
  async admin(gate: Served, what: `${string} /${string}`, call: { token: string | null; body?: unknown }) {
    const answer = await callAdmin(gate.adminPort, what, call)
    const secret: unknown = answer.json?.secret
    let text = `${JSON.stringify(answer.headers)}\n${answer.text}`
    if (typeof secret === 'string') {
      this.shown(`secret of ${what}`, secret)
      expect(countOf(text, secret)).toBe(1)
      text = text.replace(secret, '')
    }
    this.saw(`answer to ${what}`, text)
    return answer
  }

  /** `once`: what the gateway shows by design, on stderr, exactly once. */
  findings(folder: string, once: readonly string[] = []): string[] {
    for (const [index, gate] of this.gates.entries()) {
      const { stdout, stderr } = gate.output()
      this.saw(`stdout ${index}`, stdout)
      this.saw(
        `stderr ${index}`,
        once.reduce((text, secret) => text.replace(secret, ''), stderr),
      )
    }
    const places = [...this.places, ...filesOf(join(folder, 'data'))]
    // What is no secret is found: the search looks where it should.
    expect(findMarked([{ name: 'a path', random: '/v1/models' }], places)).toContain('access.log: a path')
    return findMarked(this.secrets, places)
  }
}

/** Every way an upstream has shown the key it was asked with. */
function tellTales(upstreamKey: () => string): Record<string, Script> {
  const say = (status: number, type = 'application/json'): Script => {
    return (_, peer) =>
      peer.write(
        reply(status, `{"error":{"message":"Incorrect API key provided: ${upstreamKey()}.","code":"x"}}`, [
          `Content-Type: ${type}`,
          `x-request-id: ${upstreamKey()}`,
          `x-echo: Bearer ${upstreamKey()}`,
          `Set-Cookie: k=${upstreamKey()}`,
        ]),
      )
  }
  return {
    'a 403': say(403),
    'a 400': say(400),
    'a 404 of text': say(404, 'text/plain'),
    'a 429': say(429),
    'a 500': say(500),
    'a redirect': (_, peer) => peer.write(reply(302, '', [`Location: http://x.test/${upstreamKey()}`])),
    'fields of a good answer': (_, peer) =>
      peer.write(
        reply(200, '{"object":"list","data":[]}', [
          'Content-Type: application/json',
          `x-echo: ${upstreamKey()}`,
        ]),
      ),
    'a status line': (_, peer) => peer.write(`HTTP/1.1 ${upstreamKey()}\r\n\r\n`),
    'a field without a colon': (_, peer) => peer.write(`HTTP/1.1 200 OK\r\n${upstreamKey()}\r\n\r\n`),
    'half a body': (_, peer) => {
      void peer.write(
        `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"a":1`,
      )
      peer.close()
    },
    'no answer': (_, peer) => peer.close(),
    'half a stream': async (_, peer) => {
      await peer.write(eventsHead + chunk('data: {"a":1}\n\n').toString())
      peer.close()
    },
    'a stream': async (_, peer) => {
      await peer.write(
        eventsHead + chunk('data: {"a":1}\n\n').toString() + chunk('data: [DONE]\n\n').toString() + lastChunk,
      )
    },
  }
}

/** What clients do with a good key, and with bad ones. */
async function clientCalls(watch: Watch, gate: Served, key: string): Promise<void> {
  const chat = jsonBody({ model: 'gpt-4o', messages: [] })
  const wrong = watch.make('wrong key', 'hg_test_')
  const calls: Record<string, Uint8Array> = {
    'models': request('GET', '/v1/models', { key }),
    'models by x-api-key': request('GET', '/v1/models', { key: null, lines: [`x-api-key: ${key}`] }),
    'a key in the query': request('GET', `/v1/models?api_key=${key}`, { key }),
    'chat': request('POST', '/v1/chat/completions', { ...chat, key }),
    'a wrong key': request('GET', '/v1/models', { key: wrong }),
    'a cut key': request('GET', '/v1/models', { key: key.slice(0, -1) }),
    'two keys': request('GET', '/v1/models', { key, lines: [`api-key: ${key}`] }),
    'a key with a space': request('GET', '/v1/models', { key: `${key} ${key}` }),
    'basic credentials': request('GET', '/v1/models', { key: null, lines: [`Authorization: Basic ${Buffer.from(`u:${key}`).toString('base64')}`] }),
    'a key as user agent': request('GET', '/v1/models', { key: null, lines: [`Cookie: ${key}`] }),
    'broken JSON': request('POST', '/v1/chat/completions', { key, lines: ['Content-Type: application/json'], body: '{"model":' }),
    'no such path': request('GET', '/nowhere', { key }),
    'a malformed path': request('GET', '/v1//models', { key }),
    'a malformed field': Buffer.from(`GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer ${key}\r\n\r\n`),
    'a malformed line': Buffer.from(`${key} / HTTP/1.1\r\nHost: x\r\n\r\n`),
    'another version': Buffer.from(`GET /v1/models HTTP/9.9\r\nHost: x\r\nAuthorization: Bearer ${key}\r\n\r\n`),
  } // prettier-ignore
  for (const [name, bytes] of Object.entries(calls)) await watch.proxy(gate, name, bytes)
  const upgrade = (protocol: string) =>
    request('GET', '/v1/realtime?model=gpt-4o', {
      key: null,
      lines: [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        `Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.${protocol}`,
      ],
    })
  upstream.script = (seen, peer) =>
    peer.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: realtime\r\n' +
        `Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nx-echo: ${seen.header('authorization')}\r\n\r\n`,
    )
  expect(await watch.proxy(gate, 'a socket', upgrade(key))).toBe(101)
  expect(await watch.proxy(gate, 'a socket with a wrong key', upgrade(wrong))).toBe(401)
  upstream.script = fine
}

/** A signed token of an issuer whose keys the gateway has, and its configuration. */
async function issuer(folder: string): Promise<{ tree: unknown; sign: () => Promise<string> }> {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' }
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify({ keys: [jwk] }))
  return {
    tree: [
      {
        issuer: 'https://idp.test',
        audience: 'headgate',
        jwksFile: join(folder, 'jwks.json'),
        algorithms: ['RS256'],
        claims: { user: 'sub' },
      },
    ],
    sign: () =>
      new SignJWT({ sub: 'ann' })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .setIssuer('https://idp.test')
        .setAudience('headgate')
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
  }
}

async function command(folder: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const child = Bun.spawn([process.execPath, join(root, 'src/main.ts'), ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, NO_COLOR: '1' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, text: out + err }
}

test('a life with configured secrets', async () => {
  const watch = new Watch()
  const folder = scratchFolder()
  const keys = [1, 2, 3].map((number) => watch.make(`upstream key ${number}`, 'sk-proj-'))
  const client = watch.make('client key', 'hg_test_')
  const token = watch.make('admin token', 'hga_')
  const viewer = watch.make('viewer token', 'hga_')
  const idp = await issuer(folder)
  const jwt = await idp.sign()
  // Its header and claims are no secret, its signature is.
  watch.secrets.push({ name: 'signature of a JWT', random: jwt.split('.')[2]! })
  writeFileSync(join(folder, 'key'), keys[1]!)
  writeFileSync(join(folder, 'command'), keys[2]!)
  const env = { UPSTREAM: keys[0]!, CLIENT: client, TOKEN: token, VIEWER: viewer }
  const tree = (more: ConfigTree = {}): ConfigTree => ({
    upstreams: [
      {
        name: 'main',
        provider: 'openai',
        baseUrl: upstream.url,
        keys: ['${env:UPSTREAM}', `\${file:${join(folder, 'key')}}`, '${command:cat command}'],
        timeouts: { firstByte: '500ms', idle: '500ms' },
      },
    ],
    access: { keys: [{ name: 'client', value: '${env:CLIENT}' }], jwt: idp.tree },
    admin: {
      listen: '127.0.0.1:0',
      token: '${env:TOKEN}',
      tokens: [{ name: 'watch', role: 'viewer', value: '${env:VIEWER}' }],
    },
    ...more,
  })
  const start = async (format: string) => {
    const gate = await served({ tree: tree({ log: { format } }), folder, env })
    watch.gates.push(gate)
    return gate
  }
  const gate = await start('json')

  await clientCalls(watch, gate, client)
  await clientCalls(watch, gate, jwt)
  for (const [name, script] of Object.entries(tellTales(() => keys[0]!))) {
    upstream.script = script
    await watch.proxy(
      gate,
      name,
      request('POST', '/v1/chat/completions', { ...jsonBody({ model: 'gpt-4o' }), key: client }),
    )
  }

  const made = await watch.admin(gate, 'POST /api/keys', {
    token,
    body: { name: 'made', metadata: { a: 'b' } },
  })
  const { id, secret } = made.json as { id: string; secret: string }
  upstream.script = fine
  await clientCalls(watch, gate, secret)
  await watch.admin(gate, `POST /api/keys/${id}/rotate`, { token, body: { grace: '1h' } })
  await watch.admin(gate, 'POST /api/keys', { token, body: { name: 'made' } })
  await watch.admin(gate, 'POST /api/keys', { token, body: { name: secret, unknown: secret } }).then(({ status }) =>
    expect(status).toBe(400),
  ) // prettier-ignore
  await watch.admin(gate, `GET /api/keys/${id}`, { token: viewer })
  await watch.admin(gate, `DELETE /api/keys/${id}`, { token })
  await watch.proxy(gate, 'a revoked key', request('GET', '/v1/models', { key: secret }))
  const cli = await command(
    folder,
    'keys',
    'create',
    '--config',
    gate.file,
    '--name',
    'by-hand',
    '--data',
    join(folder, 'data'),
  )
  // The command line needs the configuration's secrets and has none: it says which variable is missing.
  watch.saw('keys create without an environment', cli.text)

  for (const who of [token, viewer, client, null, secret]) {
    for (const what of ['GET /api/keys', 'GET /api/requests', 'GET /api/upstreams', 'GET /api/audit', 'GET /api/openapi.json', 'GET /readyz', 'GET /healthz', 'GET /nowhere', 'POST /api/reload'] as const)
      await watch.admin(gate, what, { token: who })
  } // prettier-ignore

  const broken = [
    tree({
      upstreams: [
        { name: 'main', provider: 'openai', baseUrl: '${env:UPSTREAM}', keys: ['${env:UPSTREAM} x'] },
      ],
    }),
    tree({ server: { listen: '${env:CLIENT}' }, admin: { listen: '${env:TOKEN}', token: 1 } }),
    tree({
      access: {
        keys: [{ name: '${env:CLIENT}', value: '${env:CLIENT}', hash: '${env:CLIENT}' }],
        '${env:TOKEN}': 1,
      },
    }),
    tree({ storage: { path: '/proc/nowhere/${env:CLIENT}' }, log: { format: '${env:TOKEN}' } }),
  ]
  for (const wrong of broken) {
    writeConfig(wrong, folder)
    expect((await watch.admin(gate, 'POST /api/reload', { token })).status).toBe(422)
    watch.saw('check', (await command(folder, 'check', '--config', gate.file)).text)
  }
  writeConfig(tree({ log: { format: 'json' } }), folder)
  gate.signal('SIGHUP')
  await gate.says('configuration reloaded: SIGHUP')

  // Keys are refused one after the other, until none is left.
  upstream.script = (seen, peer) =>
    peer.write(
      reply(401, `{"error":{"message":"Incorrect API key: ${seen.header('authorization')}"}}`, [
        `x-k: ${keys[0]}`,
      ]),
    )
  for (let count = 0; count < 4; count++)
    expect(await watch.proxy(gate, 'a 401', request('GET', '/v1/models', { key: client }))).toBe(502)
  await watch.admin(gate, 'GET /readyz', { token: null })
  await watch.admin(gate, 'GET /api/upstreams', { token })

  upstream.script = () => {}
  void ask(gate.port, request('GET', '/v1/models', { key: client })).catch(() => null)
  await eventually(() => upstream.requests.at(-1)?.target === '/v1/models', 'the request to be under way')
  gate.signal('SIGKILL')
  await gate.exited
  upstream.script = fine
  const again = await start('human')
  await clientCalls(watch, again, client)
  await watch.admin(again, 'GET /api/audit', { token })
  again.signal('SIGTERM')
  expect(await again.exited).toBe(0)
  expect(watch.findings(folder)).toEqual([])
})

test('a life with secrets that were made', async () => {
  const watch = new Watch()
  const folder = scratchFolder()
  const tree = { upstreams: [{ name: 'main', provider: 'sandbox' }], log: { format: 'json' } }
  const gate = await served({ tree, folder })
  watch.gates.push(gate)
  const token = watch.shown('generated admin token', /hga_[A-Za-z0-9]{46}/.exec(gate.output().stderr)![0])
  const made = await command(folder, 'keys', 'create', '--config', gate.file, '--name', 'by-hand')
  expect({ code: made.code, text: made.code === 0 ? '' : made.text }).toEqual({ code: 0, text: '' })
  const secret = watch.shown('key by the command line', /hg_[a-z0-9]+_[A-Za-z0-9]{46}/.exec(made.text)![0])
  expect(countOf(made.text, secret)).toBe(1)
  watch.saw('keys create', made.text.replace(secret, ''))
  const works = async (key: string) =>
    (await ask(gate.port, request('GET', '/v1/models', { key }))).status === 200
  await eventually(() => works(secret), 'the key to be known')
  const { json } = await watch.admin(gate, 'GET /api/keys', { token })
  const id = json.rows[0].id as string
  for (const args of [
    ['list'],
    ['show', id],
    ['rotate', id],
    ['revoke', id],
    ['revoke', id],
    ['show', secret],
  ]) {
    const { text } = await command(folder, 'keys', ...args, '--config', gate.file)
    const fresh = /hg_[a-z0-9]+_[A-Za-z0-9]{46}/.exec(text)?.[0]
    if (args[0] === 'rotate') watch.shown('rotated key', fresh!)
    watch.saw(`keys ${args[0]}`, args[0] === 'rotate' ? text.replace(fresh!, '') : text)
  }
  await eventually(async () => !(await works(secret)), 'the key to be refused')
  await watch.admin(gate, 'GET /api/audit', { token })
  await watch.admin(gate, 'GET /api/requests', { token })
  gate.signal('SIGTERM')
  await gate.exited
  expect(countOf(gate.output().stderr, token)).toBe(1)
  expect(watch.findings(folder, [token])).toEqual([])
})
