// Promise (accounting rule 10): a POST with an Idempotency-Key is executed once; a repeat gets the same status and body,
// errors and streams included, and costs nothing. Another request with the same key is refused, and so is one while the
// first is under way; a refusal before anything was sent is not kept. What is kept cannot be read in the store.

import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  ask,
  eventually,
  jsonBody,
  promiseTests,
  request,
  served,
  upstreamAt,
  type Served,
} from './harness.ts'
import type { RawReply } from './message.ts'
import { dial } from './peer.ts'
import { chunk, eventsHead, fine, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const other = 'hg_test_8Sk3wYr0MnAu5XdZc9OgIt4KhQe7Vb6F'
const upstream = ScriptedUpstream.start(fine)
const gate: Served = await served({
  tree: {
    upstreams: [upstreamAt(upstream.url)],
    meter: { idempotency: { enabled: true, maxBytes: '4KB' } },
    access: {
      keys: [
        { name: 'client', value: 'hg_test_7Rk2vXq9LmZt4WcYb8NfHs3JgPd6Ua5E' },
        { name: 'other', value: other },
        { name: 'bound', value: 'hg_test_9Tl4xZs1NoBv6YeAd0PhJu5LiRf8Wc7G', models: ['none-*'] },
      ],
    },
  },
})
const path = '/v1/chat/completions'
let number = 0
const fresh = (): string => `key ${number++}`

async function post(
  key: string | null,
  more: { body?: unknown; path?: string; client?: string; lines?: string[]; port?: number } = {},
): Promise<RawReply> {
  const body = jsonBody(more.body ?? { model: 'gpt-4o', messages: [] })
  const lines = [...body.lines, ...(key === null ? [] : [`Idempotency-Key: ${key}`]), ...(more.lines ?? [])]
  const client = more.client === undefined ? {} : { key: more.client }
  return ask(
    more.port ?? gate.port,
    request('POST', more.path ?? path, { ...body, lines, ...client }),
    'POST',
  )
}

/** Once the answer is kept. */
async function repeated(key: string, more: Parameters<typeof post>[1] = {}): Promise<RawReply> {
  return eventually(async () => {
    const answer = await post(key, more)
    return answer.header('idempotent-replayed') === 'true' && answer
  }, 'the repeat')
}

const code = (answer: RawReply): unknown =>
  (JSON.parse(answer.body.toString()) as { error: { code: unknown } }).error.code

describe('rule 10: the same key and request', () => {
  test.each([
    ['an answer', reply(200, '{"id":"one"}', ['x-request-id: req_1', 'openai-version: 2020'])],
    ['an error', reply(400, '{"error":{"message":"no such tool"}}', ['retry-after: 3'])],
    [
      'a stream',
      Buffer.concat([
        Buffer.from(eventsHead),
        chunk('data: {"choices":[{}]}\n\n'),
        chunk('data: [DONE]\n\n'),
        Buffer.from(lastChunk),
      ]),
    ],
  ])('%s is given again, and the upstream is asked once', async (_, answer) => {
    upstream.script = (_request, peer) => peer.write(answer)
    const key = fresh()
    const count = upstream.requests.length
    const first = await post(key)
    expect(first.header('idempotent-replayed')).toBeNull()
    const again = await repeated(key)
    expect([again.status, again.body.toString(), again.header('content-type')]).toEqual([
      first.status,
      first.body.toString(),
      first.header('content-type'),
    ])
    // An x-request-id of ours names the exchange, and this is another one.
    const ours = first.header('x-request-id')!.startsWith('hgx_')
    for (const name of [...(ours ? [] : ['x-request-id']), 'openai-version', 'retry-after'])
      expect(again.header(name)).toBe(first.header(name))
    expect(upstream.requests.length).toBe(count + 1)
  })

  test('an upstream that does not answer was asked all the same: the error is kept', async () => {
    upstream.script = () => {}
    const { port } = await served({
      tree: {
        upstreams: [upstreamAt(upstream.url, { timeouts: { firstByte: '300ms' } })],
        meter: { idempotency: { enabled: true } },
      },
    })
    const key = fresh()
    const first = await post(key, { port })
    const again = await repeated(key, { port })
    expect([first.status, again.status, code(again)]).toEqual([504, 504, 'upstream_timeout'])
  })

  test("an upstream's 429 is a refusal before execution: a repeat asks again", async () => {
    upstream.script = (_request, peer) => peer.write(reply(429, '{"error":{"message":"slow down"}}'))
    const key = fresh()
    expect((await post(key)).status).toBe(429)
    upstream.script = fine
    const again = await eventually(async () => {
      const answer = await post(key)
      return answer.status !== 409 && answer
    }, 'the second')
    expect([again.status, again.header('idempotent-replayed')]).toEqual([200, null])
  })

  test.each([500, 503])('a kept %d tells SDKs not to try again with the same key', async (status) => {
    const answer = reply(status, '{"error":{"message":"down"}}', ['x-should-retry: true'])
    upstream.script = (_request, peer) => peer.write(answer)
    const key = fresh()
    const first = await post(key)
    const count = upstream.requests.length
    const again = await repeated(key)
    expect([again.status, again.body.toString()]).toEqual([first.status, first.body.toString()])
    expect(again.header('x-should-retry')).toBe('false')
    expect(upstream.requests.length).toBe(count)
  })

  test('a stream that the upstream broke off is given again as it was sent, error and all', async () => {
    const content = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    upstream.script = (_request, peer) => peer.write(`${eventsHead}${chunk(content)}${lastChunk}`)
    const key = fresh()
    const body = { model: 'gpt-4o', stream: true, messages: [] }
    const first = await post(key, { body })
    expect(first.status).toBe(200)
    expect(first.body.toString()).toStartWith(content)
    expect(first.body.toString()).toContain('"upstream_unavailable"')
    const count = upstream.requests.length
    const again = await repeated(key, { body })
    expect([again.status, again.header('content-type'), again.body.toString()]).toEqual([
      200,
      first.header('content-type'),
      first.body.toString(),
    ])
    expect(upstream.requests.length).toBe(count)
  })

  test('a stream that broke off and is too large to be kept is refused, and not executed again', async () => {
    const content = `data: {"choices":[{"index":0,"delta":{"content":"${'x'.repeat(5000)}"}}]}\n\n`
    upstream.script = (_request, peer) => peer.write(`${eventsHead}${chunk(content)}${lastChunk}`)
    const key = fresh()
    const body = { model: 'gpt-4o', stream: true, messages: [] }
    expect((await post(key, { body })).status).toBe(200)
    const count = upstream.requests.length
    await eventually(async () => code(await post(key, { body })) === 'idempotency_not_kept', 'the refusal')
    expect(upstream.requests.length).toBe(count)
  })

  test('belongs to one tenant and one endpoint; without a key nothing is kept', async () => {
    upstream.script = fine
    const key = fresh()
    const count = upstream.requests.length
    await post(key)
    await post(key, { client: other })
    await post(key, { path: '/v1/embeddings' })
    await post(null)
    await post(null)
    expect(upstream.requests.length).toBe(count + 5)
  })

  test('with another body is refused with 422', async () => {
    upstream.script = fine
    const key = fresh()
    await post(key)
    const answer = await post(key, { body: { model: 'gpt-4o', messages: ['other'] } })
    expect([answer.status, code(answer), answer.header('x-should-retry')]).toEqual([
      422,
      'idempotency_key_reused',
      'false',
    ])
  })

  test('while the first is under way is told to come again, and 20 at once are one', async () => {
    const turn = Promise.withResolvers<void>()
    upstream.script = async (_, peer) => {
      await turn.promise
      await peer.write(reply(200, '{"id":"slow"}'))
    }
    const key = fresh()
    const count = upstream.requests.length
    const all = Array.from({ length: 20 }, () => post(key))
    await eventually(() => upstream.requests.length > count, 'the first')
    const early = await post(key)
    expect([early.status, code(early), early.header('x-should-retry')]).toEqual([
      409,
      'idempotency_in_progress',
      'true',
    ])
    turn.resolve()
    const states = (await Promise.all(all)).map((answer) => answer.status)
    expect(states.filter((status) => status === 200).length).toBeGreaterThanOrEqual(1)
    expect(states.every((status) => status === 200 || status === 409)).toBe(true)
    expect((await repeated(key)).body.toString()).toBe('{"id":"slow"}')
    expect(upstream.requests.length).toBe(count + 1)
  })

  test('after a refusal before anything was sent is executed', async () => {
    upstream.script = fine
    const key = fresh()
    const bound = 'hg_test_9Tl4xZs1NoBv6YeAd0PhJu5LiRf8Wc7G'
    expect((await post(key, { client: bound })).status).toBe(403)
    const count = upstream.requests.length
    const answer = await post(key, { client: bound, body: { model: 'none-1', messages: [] } })
    expect([answer.status, upstream.requests.length]).toEqual([200, count + 1])
  })

  test('after its client left a stream amid is executed again', async () => {
    upstream.script = (_, peer) => peer.write(`${eventsHead}${chunk('data: {"choices":[{}]}\n\n')}`)
    const key = fresh()
    const body = jsonBody({ model: 'gpt-4o', stream: true, messages: [] })
    const peer = await dial(gate.port)
    await peer.write(request('POST', path, { ...body, lines: [...body.lines, `Idempotency-Key: ${key}`] }))
    await peer.untilText('choices')
    peer.reset()
    upstream.script = fine
    const again = await eventually(async () => {
      const answer = await post(key, { body: { model: 'gpt-4o', stream: true, messages: [] } })
      return answer.status === 200 && answer
    })
    expect(again.header('idempotent-replayed')).toBeNull()
  })

  test('whose answer was too large is refused, and not executed again', async () => {
    upstream.script = (_, peer) => peer.write(reply(200, JSON.stringify({ pad: 'x'.repeat(5000) })))
    const key = fresh()
    expect((await post(key)).status).toBe(200)
    const count = upstream.requests.length
    await eventually(async () => code(await post(key)) === 'idempotency_not_kept', 'the refusal')
    expect(upstream.requests.length).toBe(count)
  })
})

test.each([
  ['empty', ''],
  ['256 characters', 'k'.repeat(256)],
  ['not ASCII', 'schlüssel'],
])('a key that is %s is refused', async (_, key) => {
  expect((await post(key)).status).toBe(400)
})

test('a key sent twice is refused, one of 255 characters is not', async () => {
  upstream.script = fine
  expect((await post(fresh(), { lines: ['Idempotency-Key: b'] })).status).toBe(400)
  expect((await post('k'.repeat(255))).status).toBe(200)
})

test('an upload with a key is refused', async () => {
  const lines = ['Content-Type: multipart/form-data; boundary=b', 'Idempotency-Key: up']
  expect((await ask(gate.port, request('POST', '/v1/files', { lines, body: '--b--' }), 'POST')).status).toBe(
    400,
  )
})

test('what is kept cannot be read in the store', async () => {
  upstream.script = (_, peer) => peer.write(reply(200, '{"id":"canary-4711"}'))
  const key = 'visible-key-4711'
  await post(key)
  await repeated(key)
  const file = join(gate.folder, 'data', 'headgate.db')
  const db = new Database(file, { readonly: true })
  const rows = db.query('select * from answers').all()
  db.close()
  expect(rows.length).toBeGreaterThan(3)
  const kept = `${JSON.stringify(rows)}${readFileSync(file, 'latin1')}${existsSync(`${file}-wal`) ? readFileSync(`${file}-wal`, 'latin1') : ''}`
  for (const text of ['canary-4711', key, Buffer.from('canary-4711').toString('base64').slice(0, 12)])
    expect(kept.includes(text)).toBe(false)
})

describe('the store that another process holds locked', () => {
  /** Writes nothing, and lets nobody else write. */
  async function locked<T>(work: (release: () => void) => Promise<T>): Promise<T> {
    const db = new Database(join(gate.folder, 'data', 'headgate.db'))
    db.run('PRAGMA busy_timeout = 5000')
    db.run('BEGIN IMMEDIATE')
    const release = () => void (db.inTransaction && db.run('ROLLBACK'))
    try {
      return await work(release)
    } finally {
      release()
      db.close()
    }
  }

  test('for a moment is waited for', async () => {
    upstream.script = fine
    const count = upstream.requests.length
    const answer = await locked(async (release) => {
      setTimeout(release, 300)
      return post(fresh())
    })
    expect(answer.status).toBe(200)
    expect(upstream.requests.length).toBe(count + 1)
  })

  test('for long is a 503 that says so, for many at once as for one, and nothing is executed', async () => {
    upstream.script = fine
    const [count, said] = [upstream.requests.length, gate.output().stderr.length]
    const startedAtMs = performance.now()
    const keys = [fresh(), fresh(), fresh()]
    const answers = await locked(() => Promise.all(keys.map((key) => post(key))))
    const tookMs = performance.now() - startedAtMs
    expect(answers.map((answer) => [answer.status, code(answer)])).toEqual(
      keys.map(() => [503, 'overloaded']),
    )
    expect(tookMs).toBeGreaterThan(2000)
    expect(tookMs).toBeLessThan(10_000)
    expect(upstream.requests.length).toBe(count)
    const log = gate.output().stderr.slice(said)
    expect(log).not.toContain('bug')
    expect(log.split('requests with an Idempotency-Key are refused with 503')).toHaveLength(2)
    expect(log).toContain('the store does not answer (another process holds it locked')
    expect((await post(keys[0]!)).status).toBe(200)
  }, 20_000)
})
