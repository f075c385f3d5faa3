// Promise: requests go where the routes say, under the names that are used there; what names an object goes to the account
// that has it; lists show what all accounts have.

import { describe, expect, test } from 'bun:test'
import { MemoryObjects } from '../../src/objects/objects.ts'
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { call, chat, post } from './failover/accounts.ts'
import { finallyClose, promiseTests, startGate, upstreamAt, type ConfigTree } from './harness.ts'
import { fine, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

async function sandbox(seed = 1): Promise<Sandbox> {
  const started = await startSandbox({ seed })
  finallyClose(() => started.close())
  return started
}

function scripted(script = fine): ScriptedUpstream {
  const upstream = ScriptedUpstream.start(script)
  finallyClose(() => upstream.stop())
  return upstream
}

describe('without routes', () => {
  test('all upstreams share the requests, by weight', async () => {
    const [a, b] = [scripted(), scripted()]
    const gate = await startGate({
      upstreams: [upstreamAt(a.url, { name: 'a', weight: 3 }), upstreamAt(b.url, { name: 'b' })],
    })
    for (let count = 0; count < 200; count++) await chat(gate)
    expect(a.requests.length).toBeWithin(115, 181)
    expect(a.requests.length + b.requests.length).toBe(200)
  })
})

describe('routes', () => {
  test('match by model, endpoint and team; the first that matches counts, and what none matches goes to all', async () => {
    const ups = { gpt: scripted(), emb: scripted(), core: scripted() }
    const key = (name: string, team?: string) => ({
      name,
      value: `hg_test_${name}-0000000000000000001`,
      team,
    })
    const gate = await startGate({
      upstreams: Object.entries(ups).map(([name, { url }]) => upstreamAt(url, { name })),
      access: {
        keys: [key('plain'), key('boss', 'core')].map(
          (each) => JSON.parse(JSON.stringify(each)) as ConfigTree,
        ),
      },
      routes: [
        { match: { teams: ['co*'] }, upstreams: ['core'] },
        { match: { models: ['gpt-*'], endpoints: ['chat.completions'] }, upstreams: ['gpt'] },
        { match: { endpoints: ['embeddings'] }, upstreams: [{ name: 'emb', model: 'embedder-2' }] },
        { upstreams: ['gpt', { name: 'core', fallback: true }] },
      ],
    })
    const asked = async (path: string, body: ConfigTree, who = 'plain') => {
      const response = await fetch(`http://127.0.0.1:${gate.port}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key(who).value}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      return response.headers.get('x-headgate-upstream')
    }
    expect(await asked('/v1/chat/completions', { model: 'gpt-4o' }, 'boss')).toBe('core')
    expect(await asked('/v1/chat/completions', { model: 'gpt-4o' })).toBe('gpt')
    expect(await asked('/v1/embeddings', { model: 'e', input: 'x' })).toBe('emb')
    expect(ups.emb.last.body.toString()).toBe('{"model":"embedder-2","input":"x"}')
    expect(await asked('/v1/chat/completions', { model: 'other' })).toBe('gpt')
    ups.gpt.script = (_, peer) => peer.write(reply(500, '{}'))
    expect(await asked('/v1/chat/completions', { model: 'other' })).toBe('core')
  })
})

describe('a model by another name', () => {
  test('is asked for under it, with every other byte as the client sent it', async () => {
    const upstream = scripted((seen, peer) =>
      peer.write(reply(200, `{"model":"${JSON.parse(seen.body.toString()).model}"}`)),
    )
    const gate = await startGate({
      upstreams: [
        upstreamAt(upstream.url, { models: { '*': '*', fast: 'gpt-4o-mini', 'our-*': 'theirs/*' } }),
      ],
    })
    const body =
      '{ "messages" : [{"role":"user","content":"\\"model\\": \\"fast\\""}], "x":{"model":"fast"},\n "model" : "fast" ,"n":1.0}'
    const sent = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    const answer = await call(gate, '/v1/chat/completions', sent)
    expect(upstream.last.body.toString()).toBe(
      body.replace('"model" : "fast" ,', '"model" : "gpt-4o-mini" ,'),
    )
    expect(answer.text).toBe('{"model":"gpt-4o-mini"}')
    await chat(gate, { model: 'our-large' })
    expect(upstream.last.body.toString()).toContain('"model":"theirs/large"')
    await chat(gate, { model: 'gpt-4o' })
    expect(upstream.last.body.toString()).toContain('"model":"gpt-4o"')
    const twice = await call(gate, '/v1/chat/completions', {
      ...sent,
      body: '{"model":"fast","mod\\u0065l":"gpt-4o"}',
    })
    expect(twice.status).toBe(400)
  })

  test('that no upstream serves is a 404 without a call', async () => {
    const upstream = scripted()
    const gate = await startGate({
      upstreams: [upstreamAt(upstream.url, { models: { fast: 'gpt-4o-mini' } })],
    })
    const refused = await chat(gate, { model: 'slow' })
    expect(refused).toMatchObject({ status: 404, attempts: 0 })
    expect(JSON.parse(refused.text).error).toMatchObject({ code: 'not_found', param: 'model' })
    expect(upstream.requests).toHaveLength(0)
  })

  test('must be one that the caller may use, unless the alias itself is named', async () => {
    const upstream = scripted()
    const key = (name: string, models: string[]) => ({
      name,
      value: `hg_test_${name}-0000000000000000001`,
      models,
    })
    const keys = [key('globs', ['f*']), key('named', ['fast']), key('both', ['f*', 'gpt-*'])]
    const gate = await startGate({
      upstreams: [upstreamAt(upstream.url, { models: { '*': '*', fast: 'gpt-4o-mini' } })],
      access: { keys },
    })
    const status = async (name: string) =>
      (
        await fetch(`http://127.0.0.1:${gate.port}/v1/chat/completions`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${keys.find((each) => each.name === name)!.value}`,
            'content-type': 'application/json',
          },
          body: '{"model":"fast","messages":[]}',
        })
      ).status
    expect([await status('globs'), await status('named'), await status('both')]).toEqual([403, 200, 200])
  })

  test('in a path is asked for under it too', async () => {
    const upstream = scripted()
    const gate = await startGate({ upstreams: [upstreamAt(upstream.url, { models: { 'a/b': 'c/d' } })] })
    expect((await call(gate, '/v1/models/a%2fb')).status).toBe(200)
    expect(upstream.last.target).toBe('/v1/models/c%2Fd')
  })
})

test('GET /v1/models lists what all accounts have, under the names used here', async () => {
  const list = (...ids: string[]) =>
    reply(200, JSON.stringify({ object: 'list', data: ids.map((id) => ({ id, object: 'model' })) }))
  const a = scripted((_, peer) => peer.write(list('gpt-4o', 'gpt-4o-mini')))
  const b = scripted((_, peer) => peer.write(list('llama', 'gpt-4o')))
  const gone = scripted((_, peer) => peer.write(reply(500, '{}')))
  const gate = await startGate({
    upstreams: [
      upstreamAt(a.url, { name: 'a', models: { '*': '*', fast: 'gpt-4o-mini', lost: 'none' } }),
      upstreamAt(b.url, { name: 'b', models: { big: 'llama' } }),
      upstreamAt(gone.url, { name: 'gone' }),
    ],
  })
  const { status, text } = await call(gate, '/v1/models')
  expect(status).toBe(200)
  expect((JSON.parse(text) as { data: { id: string }[] }).data.map(({ id }) => id).toSorted()).toEqual([
    'big',
    'fast',
    'gpt-4o',
    'gpt-4o-mini',
  ])
})

describe('objects', () => {
  async function two() {
    const [a, b] = [await sandbox(1), await sandbox(2)]
    const gate = await startGate({
      upstreams: [upstreamAt(a.url, { name: 'a' }), upstreamAt(b.url, { name: 'b' })],
      routes: [{ pick: 'roundRobin' }],
    })
    return { a, b, gate }
  }

  test('are looked for at the account that made them, in paths and in bodies', async () => {
    const { gate } = await two()
    for (let round = 0; round < 4; round++) {
      const made = await post(gate, '/v1/responses', { model: 'gpt-4o-mini', input: 'Hello', store: true })
      const { id } = JSON.parse(made.text) as { id: string }
      for (let again = 0; again < 3; again++)
        expect(await call(gate, `/v1/responses/${id}`)).toMatchObject({
          status: 200,
          upstream: made.upstream,
          attempts: 1,
        })
      const next = { model: 'gpt-4o-mini', input: 'And?', previous_response_id: id }
      for (let again = 0; again < 3; again++)
        expect(await post(gate, '/v1/responses', next)).toMatchObject({
          status: 200,
          upstream: made.upstream,
        })
      const streamed = await post(gate, '/v1/responses', { ...next, stream: true })
      const streamId = /"id":"(resp_[^"]+)"/.exec(streamed.text)![1]!
      expect(await call(gate, `/v1/responses/${streamId}`)).toMatchObject({
        status: 200,
        upstream: made.upstream,
      })
    }
  })

  test('that are not on record are asked for at all accounts once', async () => {
    const { gate, a, b } = await two()
    const elsewhere = await post({ port: b.port }, '/v1/responses', {
      model: 'gpt-4o-mini',
      input: 'Hello',
      store: true,
    })
    const { id } = JSON.parse(elsewhere.text) as { id: string }
    const found = await call(gate, `/v1/responses/${id}`)
    expect(found).toMatchObject({ status: 200, upstream: 'b' })
    expect(await call(gate, `/v1/responses/${id}`)).toMatchObject({ status: 200, upstream: 'b', attempts: 1 })
    const before = a.requests.length + b.requests.length
    expect((await call(gate, '/v1/responses/resp_nobody00000000')).status).toBe(404)
    expect(a.requests.length + b.requests.length).toBe(before + 2)
    // What is no look is never done twice.
    expect((await call(gate, '/v1/responses/resp_nobody00000000', { method: 'DELETE' })).status).toBe(404)
    expect(a.requests.length + b.requests.length).toBe(before + 3)
  })

  test('are looked up once for a request, also those that another gateway has seen', async () => {
    const [a, b] = [await sandbox(1), await sandbox(2)]
    let finds = 0
    class Counted extends MemoryObjects {
      override find(ids: readonly string[], owner: string) {
        finds++
        return super.find(ids, owner)
      }
    }
    const objects = new Counted()
    const tree = {
      upstreams: [upstreamAt(a.url, { name: 'a' }), upstreamAt(b.url, { name: 'b' })],
      routes: [{ pick: 'roundRobin' }],
    }
    const [maker, other] = [await startGate(tree, { objects }), await startGate(tree, { objects })]
    for (let round = 0; round < 4; round++) {
      const made = await post(maker, '/v1/responses', { model: 'gpt-4o-mini', input: 'Hi', store: true })
      const { id, output } = JSON.parse(made.text) as { id: string; output: { id: string }[] }
      finds = 0
      expect(await call(other, `/v1/responses/${id}`)).toMatchObject({ upstream: made.upstream, attempts: 1 })
      expect(finds).toBe(1)
      const input = [{ type: 'item_reference', id: output[0]!.id }]
      const next = await post(other, '/v1/responses', { model: 'gpt-4o-mini', input })
      expect(next.upstream).toBe(made.upstream)
    }
  })

  test('are listed over all accounts, page by page, none twice and none lost', async () => {
    const { gate, a, b } = await two()
    const ids: string[] = []
    for (let count = 0; count < 7; count++) {
      const { text } = await post(gate, '/v1/vector_stores', { name: `v${count}` })
      ids.push((JSON.parse(text) as { id: string }).id)
    }
    expect(Math.min(...[a, b].map(({ requests }) => requests.length))).toBeGreaterThan(0)
    const listed: string[] = []
    let after = ''
    for (let page = 0; page < 9; page++) {
      const { text, status } = await call(gate, `/v1/vector_stores?limit=2${after}`)
      expect(status).toBe(200)
      const {
        data,
        has_more: more,
        last_id: last,
      } = JSON.parse(text) as { data: { id: string }[]; has_more: boolean; last_id: string }
      listed.push(...data.map(({ id }) => id))
      if (!more) break
      after = `&after=${last}`
    }
    expect(listed.toSorted()).toEqual(ids.toSorted())
    expect(new Set(listed).size).toBe(7)
    // A cursor that nobody remembers is found again.
    const rest = await call(gate, `/v1/vector_stores?limit=100&after=${listed[3]}`)
    expect((JSON.parse(rest.text) as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual(
      listed.slice(4),
    )
    expect((await call(gate, '/v1/vector_stores?after=vs_nobody0000')).status).toBe(400)
    expect((await call(gate, '/v1/vector_stores?limit=x')).status).toBe(400)
  })
})

test('prompts that begin alike go to one upstream, others are spread', async () => {
  const ups = [scripted(), scripted(), scripted()]
  const gate = await startGate({
    upstreams: ups.map(({ url }, index) => upstreamAt(url, { name: `u${index}` })),
    routes: [{ pick: 'prefixAffinity' }],
  })
  const seen = new Set<string | null>()
  for (let topic = 0; topic < 12; topic++) {
    const system = {
      role: 'system',
      content: `You know all about topic ${topic}. ${'It is long. '.repeat(40)}`,
    }
    const of = async (question: string) =>
      (await chat(gate, { messages: [system, { role: 'user', content: question }] })).upstream
    const first = await of('What?')
    for (const question of ['Why?', 'Who?', 'When?']) expect(await of(question)).toBe(first)
    seen.add(first)
  }
  expect(seen.size).toBeGreaterThan(1)
  const keyed = async (content: string) =>
    (await chat(gate, { prompt_cache_key: 'k1', messages: [{ role: 'user', content }] })).upstream
  const first = await keyed('a')
  for (const content of ['b', 'c', 'd', 'e', 'f']) expect(await keyed(content)).toBe(first)
})
