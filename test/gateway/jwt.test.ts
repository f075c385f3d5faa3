// Promise: a token of a configured issuer opens what its claims say, by every way a credential can be sent, and nothing
// else does; whatever tokens are thrown at the gate, and whatever becomes of the issuer, its keys are fetched in measure
// and the gate goes on serving.

import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { loadConfig } from '../../src/config/load.ts'
import { ConfigProblems, formatProblem } from '../../src/config/problem.ts'
import { verifyConfig } from '../../src/config/verify.ts'
import { makeCertificates, opensslMissing } from '../wire/certificates.ts'
import { encode, forge, goodClaims, goodToken, issuer, makeSigner, type Signer } from '../jwt/tokens.ts'
import {
  ask,
  clientKey,
  eventually,
  finallyClose,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  serve,
  served,
  startGate,
  upstreamAt,
  writeConfig,
  type ConfigTree,
} from './harness.ts'
import { readHead } from './message.ts'
import { dial } from './peer.ts'
import {
  chunk,
  eventsHead,
  fine,
  lastChunk,
  reply,
  ScriptedUpstream,
  type Script,
} from './scripted-upstream.ts'

promiseTests()

const one = makeSigner('one')
const two = makeSigner('two', 'ES256')
const upstream = ScriptedUpstream.start(fine)
finallyClose(() => upstream.stop())

/** An issuer's server of keys, counted. */
class IdentityProvider {
  readonly server: ScriptedUpstream
  keys: readonly Signer[]

  constructor(keys: readonly Signer[], tls?: { cert: string; key: string }) {
    this.keys = keys
    this.server = ScriptedUpstream.start(
      (_, peer) => peer.write(this.answer()),
      tls === undefined ? {} : { tls },
    )
    finallyClose(() => this.server.stop())
  }

  get url(): string {
    return this.server.url.replace('/v1', '/jwks')
  }

  get fetches(): number {
    return this.server.requests.length
  }

  answer(): Buffer {
    return reply(200, JSON.stringify({ keys: this.keys.map(({ jwk }) => jwk) }))
  }

  /** No longer there: connections are refused. */
  stop(): void {
    this.server.stop()
  }
}

function treeWith(jwt: ConfigTree | ConfigTree[], more: ConfigTree = {}): ConfigTree {
  const { access, ...rest } = more
  return {
    upstreams: [upstreamAt(upstream.url)],
    access: {
      keys: [{ name: 'client', value: clientKey }],
      jwt: [jwt].flat(),
      guessing: { burst: 1_000_000 },
      ...(access as ConfigTree | undefined),
    },
    ...rest,
  }
}

function issuerAt(jwksUrl: string, more: ConfigTree = {}): ConfigTree {
  const claims = { user: 'sub', team: 'org', app: 'azp', models: 'models', endpoints: 'endpoints' }
  return { issuer, audience: 'headgate', jwksUrl, algorithms: ['RS256', 'ES256'], claims, ...more }
}

const chat = '/v1/chat/completions'

async function post(port: number, credential: string, model = 'gpt-4o', target = chat) {
  return ask(port, request('POST', target, { ...jsonBody({ model, messages: [] }), key: credential }))
}

async function status(port: number, credential: string): Promise<number> {
  return (await post(port, credential)).status
}

describe('a good token', () => {
  const provider = new IdentityProvider([one, two])

  test('is taken in every way a credential is sent, and names its bearer in the log', async () => {
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    const token = goodToken(one, { azp: 'web' })
    expect(await status(gate.port, token)).toBe(200)
    expect(await status(gate.port, goodToken(two))).toBe(200)
    for (const line of [`x-api-key: ${token}`, `api-key: ${token}`, `authorization: bearer ${token}`]) {
      const bytes = request('GET', '/v1/models', { key: null, lines: [line] })
      expect((await ask(gate.port, bytes)).status).toBe(200)
    }
    const line = await gate.logged(({ app }) => app === 'web')
    expect(line).toMatchObject({ user: 'ann', team: 'core', app: 'web', status: 200 })
    expect(line).not.toHaveProperty('key')
    expect(JSON.stringify(gate.lines)).not.toContain(token.slice(-60))
    expect(upstream.requests.every(({ raw }) => !raw.includes(token.slice(0, 40)))).toBe(true)
    expect(provider.fetches).toBe(1)
  })

  test('beside it client keys still count', async () => {
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    expect(await status(gate.port, clientKey)).toBe(200)
  })

  test('streams events', async () => {
    const events = ['data: {"n":1}\n\n', 'data: {"n":2}\n\n', 'data: [DONE]\n\n']
    const streaming = ScriptedUpstream.start(async (_, peer) => {
      await peer.write(eventsHead)
      for (const event of events) await peer.write(chunk(event))
      await peer.write(lastChunk)
    })
    finallyClose(() => streaming.stop())
    const gate = await startGate(treeWith(issuerAt(provider.url), { upstreams: [upstreamAt(streaming.url)] }))
    const answer = await post(gate.port, goodToken(one))
    expect(answer.status).toBe(200)
    expect(answer.body.toString()).toBe(events.join(''))
  })

  test('opens a WebSocket, by header or by subprotocol', async () => {
    const agree: Script = async (_, peer) => {
      await peer.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      )
      await peer.until(() => peer.closed, 'the tunnel to end', 600_000)
    }
    const sockets = ScriptedUpstream.start(agree, { atHead: true })
    finallyClose(() => sockets.stop())
    const gate = await startGate(treeWith(issuerAt(provider.url), { upstreams: [upstreamAt(sockets.url)] }))
    const shake = async (credential: string, protocol: boolean): Promise<string> => {
      const lines = [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version: 13',
        ...(protocol ? [`Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.${credential}`] : []),
      ]
      const peer = await dial(gate.port)
      void peer.write(
        request('GET', '/v1/realtime?model=gpt-realtime', { lines, key: protocol ? null : credential }),
      )
      const head = await peer.until(() => readHead(peer.received), 'a head')
      peer.close()
      return head.firstLine
    }
    const token = goodToken(two)
    expect(await shake(token, false)).toContain('101')
    expect(await shake(token, true)).toContain('101')
    expect(await shake(`${token.slice(0, -2)}AA`, true)).toContain('401')
    expect(await shake(goodToken(two, { models: ['gpt-4o'] }), true)).toContain('403')
  })

  test('is fenced by its claims', async () => {
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    const narrow = goodToken(one, {
      models: ['gpt-4o-mini', 'o*'],
      endpoints: ['chat.completions', 'models'],
    })
    const asked = async (model: string, target?: string) => {
      const answer = await post(gate.port, narrow, model, target)
      return answer.status === 200 ? 200 : answer.json().error.code
    }
    expect(await asked('gpt-4o-mini')).toBe(200)
    expect(await asked('o3')).toBe(200)
    expect(await asked('gpt-4o')).toBe('model_not_allowed')
    expect(await asked('gpt-4o-mini', '/v1/embeddings')).toBe('access_denied')
    expect(await asked('gpt-4o-mini', '/v1/some/future')).toBe('access_denied')
    const nothing = goodToken(one, { models: [] })
    expect((await post(gate.port, nothing)).json()).toMatchObject({
      error: { code: 'model_not_allowed', message: 'Your token may not use this model.' },
    })
  })
})

describe('any other token is a 401', () => {
  test('in the same words as a wrong key, whatever is wrong with it', async () => {
    const provider = new IdentityProvider([one])
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    const wrongKey = await post(gate.port, 'hg_test_wrong-key-00000000000000000001')
    const stranger = makeSigner('one')
    const [head, payload, signature] = goodToken(one).split('.') as [string, string, string]
    const bad = [
      goodToken(stranger),
      goodToken(one, { exp: 1 }),
      goodToken(one, { aud: 'other' }),
      goodToken(one, { iss: 'https://evil.test' }),
      goodToken(one, { sub: ['ann'] }),
      forge({ alg: 'RS256', kid: 'nine' }, goodClaims(), one),
      forge({ alg: 'RS256', kid: 'one', crit: ['b64'], b64: false }, goodClaims(), one),
      `${encode({ alg: 'none' })}.${payload}.`,
      `${head}.${payload}.`,
      `${head}.${payload}.${signature}.x.y`,
      `${head}.${payload}.${signature}=`,
      `${head}.${payload}`,
      'a.b.c',
      '..',
      'eyJ.',
    ]
    for (const token of bad) {
      const seen = upstream.requests.length
      const answer = await post(gate.port, token)
      expect([token, answer.status]).toEqual([token, 401])
      expect(answer.body.toString()).toBe(wrongKey.body.toString())
      expect(answer.header('www-authenticate')).toBe('Bearer')
      expect(upstream.requests.length).toBe(seen)
    }
    const lines = JSON.stringify(
      await eventually(() => gate.lines.length > bad.length && gate.lines, 'lines'),
    )
    expect(lines).toContain('token: expired')
    expect(lines).not.toContain(signature.slice(0, 20))
  })

  test('also where anyone may come in without a credential', async () => {
    const provider = new IdentityProvider([one])
    const gate = await startGate(treeWith(issuerAt(provider.url), { access: { anonymous: 'allow' } }))
    expect((await ask(gate.port, request('GET', '/v1/models', { key: null }))).status).toBe(200)
    expect(await status(gate.port, goodToken(one))).toBe(200)
    expect(await status(gate.port, goodToken(one, { exp: 1 }))).toBe(401)
  })
})

describe('the keys of an issuer', () => {
  test('ten thousand tokens with unknown keys are one fetch, and good tokens pass meanwhile', async () => {
    const provider = new IdentityProvider([one])
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    const token = goodToken(one)
    expect(await status(gate.port, token)).toBe(200)
    const before = provider.fetches
    const payload = encode(goodClaims())
    const flood = async (from: number) => {
      const peer = await dial(gate.port)
      for (let index = from; index < from + 500; index += 50) {
        const batch = Array.from({ length: 50 }, (_, offset) => {
          const unknown = `${encode({ alg: 'RS256', kid: `k${index + offset}` })}.${payload}.${encode(Buffer.alloc(256, 7))}`
          return request('GET', '/v1/models', { key: unknown })
        })
        const answered = () => peer.received.toString('latin1').split('HTTP/1.1 401').length - 1
        void peer.write(Buffer.concat(batch))
        await peer.until(() => answered() === index - from + 50, 'every answer')
      }
      peer.close()
    }
    await Promise.all(Array.from({ length: 20 }, (_, index) => flood(index * 500)))
    expect(await status(gate.port, token)).toBe(200)
    expect(provider.fetches - before).toBe(1)
  })

  test('are fetched at once when a token names a new one, and an old one counts no more', async () => {
    const provider = new IdentityProvider([one])
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    const old = goodToken(one)
    expect(await status(gate.port, old)).toBe(200)
    provider.keys = [two]
    expect(await status(gate.port, goodToken(two))).toBe(200)
    expect(await status(gate.port, old)).toBe(401)
  })

  test('a body that arrives while keys are fetched is passed on whole', async () => {
    const provider = new IdentityProvider([one])
    provider.server.script = async (_, peer) => {
      await Bun.sleep(300)
      await peer.write(provider.answer())
    }
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    const text = 'x'.repeat(3_000_000)
    const answer = await post(gate.port, goodToken(one), text)
    expect(answer.status).toBe(200)
    expect(JSON.parse(upstream.last.body.toString()).model).toBe(text)
  })

  test('outlive the issuer, also over a reload', async () => {
    const provider = new IdentityProvider([one])
    const tree = treeWith(issuerAt(provider.url))
    const gate = await startGate(tree)
    expect(await status(gate.port, goodToken(one))).toBe(200)
    provider.stop()
    expect(await status(gate.port, goodToken(two))).toBe(401)
    expect(await status(gate.port, goodToken(one, { sub: 'bob' }))).toBe(200)
    await gate.reload(tree)
    await gate.reload({
      ...tree,
      upstreams: [upstreamAt(upstream.url), upstreamAt(upstream.url, { name: 'b' })],
    })
    expect(await status(gate.port, goodToken(one, { sub: 'eve' }))).toBe(200)
  })

  const odd: [what: string, answer: Buffer | (() => Buffer), why: RegExp][] = [
    ['a redirect', reply(302, '', ['Location: https://example.com/jwks']), /redirects \(302\)/],
    ['an error', reply(500, 'oops'), /answers 500/],
    ['no JSON', reply(200, '<html>'), /not a JSON Web Key Set/],
    [
      'a compressed answer',
      reply(200, Buffer.from(Bun.gzipSync('{}')), ['Content-Encoding: gzip']),
      /compressed/,
    ],
    ['a huge set', reply(200, `{"keys":[],"x":"${'x'.repeat(300_000)}"}`), /larger than 256 KB/],
    [
      'only secrets',
      reply(200, '{"keys":[{"kty":"oct","k":"AAAA"}]}'),
      /no usable key; key 1: a shared secret/,
    ],
  ]
  for (const [what, answer, why] of odd) {
    test(`${what} is no key set: its tokens are refused, and /readyz says why`, async () => {
      const provider = new IdentityProvider([one])
      provider.server.script = (_, peer) => peer.write(answer as Buffer)
      const gate = await startGate(treeWith(issuerAt(provider.url)))
      expect(await status(gate.port, goodToken(one))).toBe(401)
      expect(await status(gate.port, clientKey)).toBe(200)
      const ready = await fetch(`http://127.0.0.1:${gate.adminPort}/readyz`)
      const { reasons } = (await ready.json()) as { reasons: string[] }
      expect(ready.status).toBe(200)
      expect(reasons).toEqual([expect.stringMatching(why)])
      expect(reasons[0]).toStartWith(`tokens of ${issuer}: its keys at ${provider.url} `)
    })
  }

  test('an answer that does not end is given up', async () => {
    const provider = new IdentityProvider([one])
    provider.server.script = (_, peer) => peer.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"keys":')
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    const begun = performance.now()
    expect(await status(gate.port, goodToken(one))).toBe(401)
    expect(performance.now() - begun).toBeGreaterThan(4_000)
  })

  test.skipIf(opensslMissing)('are fetched over verified TLS only (needs openssl)', async () => {
    const certificates = makeCertificates()
    const folder = scratchFolder()
    const caFile = join(folder, 'ca.pem')
    writeFileSync(caFile, certificates.ca)
    const cases = [
      [certificates.good, 200],
      [certificates.expired, 401],
      [certificates.otherName, 401],
      [certificates.selfSigned, 401],
      [certificates.otherCa, 401],
    ] as const
    for (const [certificate, wanted] of cases) {
      const provider = new IdentityProvider([one], certificate)
      const gate = await startGate(treeWith(issuerAt(provider.url, { tls: { caFile } })))
      expect(await status(gate.port, goodToken(one))).toBe(wanted)
      expect(provider.fetches).toBe(wanted === 200 ? 1 : 0)
    }
    const provider = new IdentityProvider([one], certificates.good)
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    expect(await status(gate.port, goodToken(one))).toBe(401)
  })

  test('with the issuer away at the start: it serves, says so, and recovers by itself', async () => {
    const port = freePort()
    const gate = await served({
      tree: treeWith(issuerAt(`http://127.0.0.1:${port}/jwks`, { refresh: '1s' })),
    })
    expect(await status(gate.port, goodToken(one))).toBe(401)
    expect(await status(gate.port, clientKey)).toBe(200)
    await gate.says(/cannot be fetched: .*Until they are there, tokens of this issuer are refused/)
    const reasons = async () => {
      const ready = await fetch(`http://127.0.0.1:${gate.adminPort}/readyz`)
      return ((await ready.json()) as { reasons: string[] }).reasons
    }
    expect(await reasons()).toEqual([expect.stringContaining(`tokens of ${issuer}: its keys at`)])
    const back = Bun.serve({ port, hostname: '127.0.0.1', fetch: () => Response.json({ keys: [one.jwk] }) })
    finallyClose(() => back.stop(true))
    await eventually(async () => (await reasons()).length === 0, 'the gate to recover')
    expect(await status(gate.port, goodToken(one))).toBe(200)
    expect(gate.output().stderr).toContain('fetched again, all is well')
    expect(gate.output().stderr).not.toContain(goodToken(one).slice(0, 40))
  })
})

describe('a reload', () => {
  test('swaps issuers: the tokens of the old one count no more', async () => {
    const first = new IdentityProvider([one])
    const other = new IdentityProvider([two])
    const gate = await startGate(treeWith(issuerAt(first.url)))
    const elsewhere = 'https://other.test'
    const foreign = goodToken(two, { iss: elsewhere })
    expect([await status(gate.port, goodToken(one)), await status(gate.port, foreign)]).toEqual([200, 401])
    await gate.reload(treeWith(issuerAt(other.url, { issuer: elsewhere })))
    expect([await status(gate.port, goodToken(one)), await status(gate.port, foreign)]).toEqual([401, 200])
    await gate.reload(treeWith([issuerAt(first.url), issuerAt(other.url, { issuer: elsewhere })]))
    expect([await status(gate.port, goodToken(one)), await status(gate.port, foreign)]).toEqual([200, 200])
    // The key of one issuer is none of the other's.
    expect(await status(gate.port, goodToken(two))).toBe(401)
    await gate.reload(treeWith([]))
    expect([await status(gate.port, goodToken(one)), await status(gate.port, foreign)]).toEqual([401, 401])
  })

  test('revokes a token by its id', async () => {
    const provider = new IdentityProvider([one])
    const gate = await startGate(treeWith(issuerAt(provider.url)))
    const lost = goodToken(one, { jti: 'lost' })
    expect(await status(gate.port, lost)).toBe(200)
    await gate.reload(treeWith(issuerAt(provider.url, { revoked: ['lost'] })))
    expect(await status(gate.port, lost)).toBe(401)
    expect(await status(gate.port, goodToken(one, { jti: 'kept' }))).toBe(200)
  })

  test('follows a file of keys when it changes', async () => {
    const folder = scratchFolder()
    const file = join(folder, 'jwks.json')
    const write = (signer: Signer) => writeFileSync(file, JSON.stringify({ keys: [signer.jwk] }))
    write(one)
    const gate = await served({
      tree: treeWith(issuerAt('', { jwksUrl: undefined, jwksFile: file })),
      args: ['--watch'],
    })
    const old = goodToken(one)
    expect(await status(gate.port, old)).toBe(200)
    expect(await status(gate.port, goodToken(two))).toBe(401)
    write(two)
    await eventually(async () => (await status(gate.port, goodToken(two))) === 200, 'the new key to count')
    expect(await status(gate.port, old)).toBe(401)
    writeFileSync(file, 'nonsense')
    await gate.says(/the old one stays in force: .*jwks\.json cannot be used: it is not a JSON Web Key Set/)
    expect(await status(gate.port, goodToken(two))).toBe(200)
  })
})

/** What `headgate check` would say. */
async function problemsOf(tree: ConfigTree): Promise<string> {
  const folder = scratchFolder()
  try {
    const loaded = await loadConfig({ file: writeConfig(tree, folder), cwd: folder, env: {} })
    return (await verifyConfig(loaded)).map(formatProblem).join('\n')
  } catch (cause) {
    if (cause instanceof ConfigProblems) return cause.format()
    throw cause
  }
}

test('what is configured wrongly is said, and nothing starts', async () => {
  const cases: [ConfigTree, RegExp][] = [
    [{ jwksUrl: 'http://idp.example.com/jwks' }, /jwksUrl: must be https: over plain http anyone/],
    [{ jwksUrl: 'https://user:secret@idp.test/' }, /must not hold a user name/],
    [{ jwksUrl: 'file:///etc/passwd' }, /expected an https URL/],
    [{ jwksUrl: undefined }, /needs either jwksUrl or jwksFile/],
    [{ jwksFile: 'a' }, /has both jwksUrl and jwksFile/],
    [{ algorithms: ['HS256'] }, /who can check an HMAC can also forge it/],
    [{ algorithms: ['none'] }, /a token must be signed/],
    [{ algorithms: [] }, /empty list/],
    [{ audience: [] }, /empty list/],
    [{ audience: undefined }, /audience: is required/],
    [{ clockTolerance: '6m' }, /between 0ms and 5m/],
    [{ claims: { use: 'sub' } }, /unknown key .*did you mean `user`/],
    [{ required: ['env'] }, /no claim is named for env.*set claims\.env/],
    [{ jwksUrl: undefined, jwksFile: '/nonexistent.json' }, /cannot read \/nonexistent\.json: no such file/],
  ]
  const trees = cases.map(([more]) => treeWith(issuerAt('https://idp.test/jwks', more)))
  const twice = treeWith([issuerAt('https://idp.test/jwks'), issuerAt('https://idp.test/jwks')])
  const shaped = treeWith(issuerAt('https://idp.test/jwks'), {
    access: { keys: [{ name: 'a', value: 'one-part.another-part.third-part' }] },
  })
  const all = [...trees.map((tree, index) => [tree, cases[index]![1]] as const)]
  for (const [tree, why] of [
    ...all,
    [twice, /another one has this issuer/] as const,
    [shaped, /looks like a JSON web token/] as const,
  ]) {
    const said = await problemsOf(tree)
    expect(said).toMatch(why)
    expect(said).not.toContain('secret@')
  }
  const ended = await serve({ tree: twice })
  if (!('code' in ended)) throw new Error('it started')
  expect([ended.code, ended.stderr]).toEqual([1, expect.stringMatching(/another one has this issuer/)])
})
