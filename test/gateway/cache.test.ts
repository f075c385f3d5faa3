// Promise: what was asked before gets the answer of that time, for as long and for whom the configuration says, and what
// must not be given again never is.

import { describe, expect, test } from 'bun:test'
import {
  call,
  chat,
  completion,
  completionFrames,
  countingScript,
  MovedClock,
  status,
  textOf,
} from './cache-calls.ts'
import { eventually, promiseTests, startGate, upstreamAt, type ConfigTree } from './harness.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream, type Script } from './scripted-upstream.ts'

promiseTests()

const keys = [
  { name: 'ann', value: 'hg_test_ann_0000000000000000000000000001', team: 'core', user: 'ann', app: 'web' },
  { name: 'bob', value: 'hg_test_bob_0000000000000000000000000002', team: 'core', user: 'bob' },
  { name: 'eve', value: 'hg_test_eve_0000000000000000000000000003', team: 'other', user: 'ann', app: 'web' },
  { name: 'core', value: 'hg_test_core_000000000000000000000000004' },
]
const [ann, bob, eve, lone] = keys.map(({ value }) => value) as [string, string, string, string]

async function cached(cache: ConfigTree, script: Script = countingScript(), more: ConfigTree = {}) {
  const clock = new MovedClock()
  const upstream = ScriptedUpstream.start(script)
  const gate = await startGate(
    { upstreams: [upstreamAt(upstream.url)], access: { keys }, cache: { jitter: 0, ...cache }, ...more },
    { clock },
  )
  const ask = (body: unknown, how: Parameters<typeof call>[2] = {}) =>
    call(gate.port, body, { key: ann, ...how })
  return { clock, upstream, gate, ask, statuses: async (...calls: Parameters<typeof ask>[]) => {
    const all: string[] = []
    for (const one of calls) all.push(status(await ask(...one)))
    return all
  } } // prettier-ignore
}

describe('a repeat', () => {
  test('is answered with the same bytes, its age, and without the upstream', async () => {
    const { ask, upstream, gate, clock } = await cached({ mode: 'exact' })
    const first = await ask(chat('a'))
    clock.aheadMs += 5_000
    const again = await ask(chat('a'))
    expect([status(first), status(again), again.header('age')]).toEqual(['MISS', 'HIT', '5'])
    expect(again.body.equals(first.body)).toBe(true)
    expect([first.header('x-headgate-upstream'), again.header('x-headgate-upstream')]).toEqual(['main', null])
    expect(upstream.requests.length).toBe(1)
    const line = await gate.logged(({ attempts }) => attempts === 0)
    expect([line['upstream'], line['usage']]).toEqual([undefined, undefined])
  })

  test('is known by what it means, not by how it is written', async () => {
    const { ask, statuses, upstream } = await cached({ mode: 'exact', normalize: { ignore: ['user'] } })
    await ask('{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0.5}')
    const same = [
      ' { "temperature" : 5e-1 , "messages":[{"content":"\\u0078","role":"user"}], "model":"m"}',
      '{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0.50,"user":"u1","n":1,"top_p":1,"stream":false,"stop":null}',
    ]
    expect(await statuses(...same.map((body): [string] => [body]))).toEqual(['HIT', 'HIT'])
    const other = [
      '{"model":"m","messages":[{"role":"user","content":"x "}],"temperature":0.5}',
      '{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0.51}',
      '{"model":"M","messages":[{"role":"user","content":"x"}],"temperature":0.5}',
      '{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0.5,"seed":9007199254740993}',
      '{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0.5,"seed":9007199254740992}',
    ]
    expect(await statuses(...other.map((body): [string] => [body]))).toEqual(other.map(() => 'MISS'))
    expect(upstream.requests.length).toBe(6)
  })

  test('white space and the order of messages matter, unless the configuration says otherwise', async () => {
    const strict = await cached({ mode: 'exact' })
    const lax = await cached({ mode: 'exact', normalize: { whitespace: true, sortMessages: true } })
    const turned = { ...chat(''), messages: [{ role: 'user', content: 'b' }, { role: 'user', content: '  a \n c ' }] } // prettier-ignore
    const plain = { ...chat(''), messages: [{ role: 'user', content: 'a c' }, { role: 'user', content: 'b' }] } // prettier-ignore
    expect(await strict.statuses([turned], [plain])).toEqual(['MISS', 'MISS'])
    expect(await lax.statuses([turned], [plain])).toEqual(['MISS', 'HIT'])
    // A schema's texts are no prose.
    const tool = (text: string) =>
      chat('t', { tools: [{ type: 'function', function: { name: 'f', parameters: { text } } }] })
    expect(await lax.statuses([tool('a  b')], [tool('a b')])).toEqual(['MISS', 'MISS'])
  })

  test('with other header fields or another query is another request', async () => {
    const { statuses } = await cached({ mode: 'exact', headers: ['x-flavour'] })
    const beta = (value: string) => ({ lines: [`OpenAI-Beta: ${value}`] })
    expect(
      await statuses(
        [chat('h')],
        [chat('h'), beta('a=1')],
        [chat('h'), beta('a=1')],
        [chat('h'), { lines: ['X-Flavour: sweet'] }],
        [chat('h'), { lines: ['X-Other: 1'] }],
        [chat('h'), { path: '/v1/chat/completions?api-version=2' }],
      ),
    ).toEqual(['MISS', 'MISS', 'HIT', 'MISS', 'HIT', 'MISS'])
  })

  test('a body with a member given twice, or that is no JSON, has no part in it', async () => {
    const { statuses } = await cached({ mode: 'exact' })
    const twice = '{"model":"m","messages":[],"model":"m"}'
    const bom = '\ufeff{"model":"m","messages":[]}'
    expect(await statuses([twice], [twice], [bom], [bom], ['{'], ['{'])).toEqual(
      Array.from({ length: 6 }, () => 'BYPASS'),
    )
  })

  test('after a reload that changes answers is asked anew, after one that does not is still known', async () => {
    const { ask, gate, upstream, statuses } = await cached({ mode: 'exact' })
    await ask(chat('r'))
    const tree = (more: ConfigTree, cache: ConfigTree = {}) => ({
      upstreams: [upstreamAt(upstream.url, more)],
      access: { keys },
      cache: { mode: 'exact', jitter: 0, ...cache },
    })
    await gate.reload(tree({ timeouts: { idle: '50s' } }, { ttl: '2h' }))
    expect(await statuses([chat('r')])).toEqual(['HIT'])
    await gate.reload(tree({ organization: 'org-other' }))
    expect(await statuses([chat('r')], [chat('r')])).toEqual(['MISS', 'HIT'])
    await gate.reload({ ...tree({}), cache: { mode: 'off' } })
    expect(await statuses([chat('r')], [chat('r')])).toEqual(['BYPASS', 'BYPASS'])
  })
})

describe('who shares', () => {
  const first = (scope: string) => cached({ mode: 'exact', scope })

  test('key: nobody else', async () => {
    const { statuses } = await first('key')
    expect(await statuses([chat('s')], [chat('s'), { key: bob }], [chat('s'), { key: eve }], [chat('s')])).toEqual(['MISS', 'MISS', 'MISS', 'HIT']) // prettier-ignore
  })

  test('team: the team, and who has none has only its own key, even one called like a team', async () => {
    const { statuses } = await first('team')
    expect(await statuses([chat('s')], [chat('s'), { key: bob }], [chat('s'), { key: eve }], [chat('s'), { key: lone }], [chat('s'), { key: lone }])).toEqual(['MISS', 'HIT', 'MISS', 'MISS', 'HIT']) // prettier-ignore
  })

  test('user and app: one of that name in another team is somebody else', async () => {
    for (const scope of ['user', 'app']) {
      const { statuses } = await first(scope)
      expect(await statuses([chat('s')], [chat('s'), { key: eve }], [chat('s'), { key: ann }])).toEqual(['MISS', 'MISS', 'HIT']) // prettier-ignore
    }
  })

  test('all: everybody, but requests with tools stay in their team', async () => {
    const { statuses } = await first('all')
    const tools = { tools: [{ type: 'function', function: { name: 'pay', parameters: {} } }] }
    expect(await statuses([chat('s')], [chat('s'), { key: eve }], [chat('t', tools)], [chat('t', tools), { key: eve }], [chat('t', tools), { key: bob }])).toEqual(['MISS', 'HIT', 'MISS', 'MISS', 'HIT']) // prettier-ignore
  })

  test('anonymous callers have no cache, unless all share', async () => {
    for (const [scope, second] of [
      ['key', 'BYPASS'],
      ['team', 'BYPASS'],
      ['all', 'HIT'],
    ] as const) {
      // prettier-ignore
      const { statuses } = await cached({ mode: 'exact', scope }, countingScript(), { access: { anonymous: 'allow' } })
      expect(await statuses([chat('s'), { key: null }], [chat('s'), { key: null }])).toEqual([second === 'HIT' ? 'MISS' : 'BYPASS', second]) // prettier-ignore
    }
  })

  test('a key that is withdrawn gets nothing, stored or not', async () => {
    const { ask, gate, upstream } = await cached({ mode: 'exact', scope: 'team' })
    await ask(chat('w'))
    const cache = { mode: 'exact', scope: 'team', jitter: 0 }
    await gate.reload({ upstreams: [upstreamAt(upstream.url)], access: { keys: keys.slice(1) }, cache })
    expect((await ask(chat('w'))).status).toBe(401)
    expect(status(await ask(chat('w'), { key: bob }))).toBe('HIT')
    const narrowed = keys.map((key) => ({ ...key, models: ['gpt-5*'] }))
    await gate.reload({ upstreams: [upstreamAt(upstream.url)], access: { keys: narrowed }, cache })
    expect((await ask(chat('w'), { key: bob })).status).toBe(403)
  })
})

describe('what a client says', () => {
  test('no-cache and max-age ask anew and keep the answer, no-store and x-no-cache have no part in it', async () => {
    const { ask, clock } = await cached({ mode: 'exact' })
    const said = async (...lines: string[]) => {
      const answer = await ask(chat('d'), { lines })
      return `${status(answer)} ${textOf(answer)}`
    }
    expect(await said()).toBe('MISS answer 1')
    expect(await said('Cache-Control: no-cache')).toBe('BYPASS answer 2')
    expect(await said()).toBe('HIT answer 2')
    expect(await said('Cache-Control: no-store')).toBe('BYPASS answer 3')
    expect(await said('x-no-cache: 1')).toBe('BYPASS answer 4')
    expect(await said('x-no-cache: false')).toBe('HIT answer 2')
    clock.aheadMs += 10_000
    expect(await said('Cache-Control: max-age=60')).toBe('HIT answer 2')
    expect(await said('Cache-Control: max-stale, max-age=5')).toBe('EXPIRED answer 5')
    expect(await said('Cache-Control: max-age=60')).toBe('HIT answer 5')
  })

  test('only-if-cached gets the stored answer or a clear 504, and never an upstream', async () => {
    const { ask, upstream } = await cached({ mode: 'exact' })
    const lines = ['Cache-Control: only-if-cached']
    const none = await ask(chat('o'), { lines })
    expect([none.status, none.json().error.code]).toEqual([504, 'not_cached'])
    await ask(chat('o'))
    expect(status(await ask(chat('o'), { lines }))).toBe('HIT')
    expect((await ask(chat('o', { store: true }), { lines })).status).toBe(504)
    expect(upstream.requests.length).toBe(1)
  })

  test('x-headgate-cache-ttl sets the time, and what is none is refused with the reason', async () => {
    const { ask, clock, statuses } = await cached({ mode: 'exact' })
    await ask(chat('t'), { lines: ['x-headgate-cache-ttl: 30'] })
    await ask(chat('u'), { lines: ['x-headgate-cache-ttl: 10m'] })
    await ask(chat('v'), { lines: ['x-headgate-cache-ttl: 0'] })
    clock.aheadMs += 31_000
    expect(await statuses([chat('t')], [chat('u')], [chat('v')])).toEqual(['EXPIRED', 'HIT', 'MISS'])
    for (const bad of ['soon', '-1', '5y', '1e9']) {
      const answer = await ask(chat('t'), { lines: [`x-headgate-cache-ttl: ${bad}`] })
      expect([answer.status, answer.json().error.param]).toEqual([400, 'x-headgate-cache-ttl'])
    }
    expect((await ask(chat('t'), { lines: ['x-headgate-cache-tag: <b>'] })).status).toBe(400)
    const many = Array.from({ length: 17 }, (_, index) => `t${index}`).join()
    expect((await ask(chat('t'), { lines: [`x-headgate-cache-tag: ${many}`] })).status).toBe(400)
  })
})

describe('how long', () => {
  test('the default, and rules by endpoint, model, team and content type: the first that fits', async () => {
    const rules = [
      { match: { models: ['fast*'] }, ttl: '1m' },
      { match: { teams: ['other'] }, ttl: '0s' },
      { match: { endpoints: ['chat.*'], contentType: 'application/json' }, ttl: '2h' },
    ]
    const { ask, clock, statuses } = await cached({ mode: 'exact', ttl: '10m', rules })
    const calls: Parameters<typeof ask>[] = [
      [chat('f', { model: 'fast-1' })],
      [chat('f')],
      [chat('f', { stream: true, model: 'other' })],
      [chat('f'), { key: eve }],
    ]
    expect(await statuses(...calls)).toEqual(['MISS', 'MISS', 'MISS', 'MISS'])
    expect(await statuses(...calls)).toEqual(['HIT', 'HIT', 'HIT', 'MISS'])
    clock.aheadMs += 61_000
    expect(await statuses(...calls)).toEqual(['EXPIRED', 'HIT', 'HIT', 'MISS'])
    clock.aheadMs += 600_000
    expect(await statuses(...calls)).toEqual(['EXPIRED', 'HIT', 'EXPIRED', 'MISS'])
  })

  test('jitter ends answers a little sooner, each at a time of its own', async () => {
    const { ask, clock } = await cached({ mode: 'exact', ttl: '1000s', jitter: 0.5 })
    for (let index = 0; index < 20; index++) await ask(chat(`j${index}`))
    clock.aheadMs += 750_000
    let hits = 0
    for (let index = 0; index < 20; index++)
      if (status(await ask(chat(`j${index}`), { lines: ['Cache-Control: only-if-cached'] })) === 'HIT') hits++
    expect(hits).toBeGreaterThan(0)
    expect(hits).toBeLessThan(20)
  })

  test('a 429 is kept only by a rule, and no longer than the upstream says', async () => {
    let count = 0
    const limited: Script = (_, peer) => {
      count++
      return peer.write(
        reply(429, '{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}', [
          'retry-after: 20',
        ]),
      )
    }
    const plain = await cached({ mode: 'exact' }, limited)
    expect(await plain.statuses([chat('q')], [chat('q')])).toEqual(['MISS', 'MISS'])
    const ruled = await cached({ mode: 'exact', rules: [{ match: { status: 429 }, ttl: '1m' }] }, limited)
    expect(await ruled.statuses([chat('q')])).toEqual(['MISS'])
    ruled.clock.aheadMs += 5_000
    const again = await ruled.ask(chat('q', { stream: true }))
    expect([again.status, status(again), again.header('retry-after')]).toEqual([429, 'HIT', '15'])
    ruled.clock.aheadMs += 16_000
    expect(await ruled.statuses([chat('q')])).toEqual(['EXPIRED'])
    expect(count).toBe(4)
  })
})

describe('past its time', () => {
  test('stale-while-revalidate gives it at once and fetches anew, once', async () => {
    const { ask, clock, upstream, statuses } = await cached({
      mode: 'exact',
      ttl: '60s',
      staleWhileRevalidate: '10m',
    })
    await ask(chat('s'))
    clock.aheadMs += 61_000
    const stale = await ask(chat('s'))
    expect([status(stale), textOf(stale), stale.header('age')]).toEqual(['STALE', 'answer 1', '61'])
    await eventually(() => upstream.requests.length === 2)
    const fresh = await eventually(async () => {
      const answer = await ask(chat('s'))
      return status(answer) === 'HIT' && answer
    })
    expect(textOf(fresh)).toBe('answer 2')
    clock.aheadMs += 60_000 + 600_001
    expect(await statuses([chat('s')])).toEqual(['EXPIRED'])
    expect(upstream.requests.length).toBe(3)
  })

  test('stale-if-error stands in where the upstream fails, and only then', async () => {
    let failing = false
    const counting = countingScript()
    const script: Script = (seen, peer) =>
      failing ? peer.write(reply(503, '{"error":{"message":"down"}}')) : counting(seen, peer)
    const { ask, clock, upstream } = await cached({ mode: 'exact', ttl: '60s', staleIfError: '1h' }, script)
    await ask(chat('e'))
    clock.aheadMs += 61_000
    failing = true
    const stale = await ask(chat('e'))
    expect([stale.status, status(stale), textOf(stale)]).toEqual([200, 'STALE', 'answer 1'])
    const streamed = await ask(chat('e', { stream: true }))
    expect([streamed.status, status(streamed), textOf(streamed)]).toEqual([200, 'STALE', 'answer 1'])
    upstream.stop()
    for (const peer of upstream.peers) peer.reset()
    expect(status(await ask(chat('e')))).toBe('STALE')
    clock.aheadMs += 3_600_000
    expect((await ask(chat('e'))).status).toBe(502)
  })
})

describe('never given again', () => {
  const frames = completionFrames('half', false)
  const error = 'data: {"error":{"message":"overloaded"}}\n\n'
  const table: Record<string, Script> = {
    'an error': (_, peer) => peer.write(reply(400, '{"error":{"message":"no"}}')),
    'an error in a 200': (_, peer) => peer.write(reply(200, '{"error":{"message":"no"}}')),
    'one cut at its length': (_, peer) => peer.write(reply(200, completion('x', { reason: 'length' }))),
    'one that was filtered': (_, peer) =>
      peer.write(reply(200, completion('x', { reason: 'content_filter' }))),
    'a refusal': (_, peer) => peer.write(reply(200, completion('x', { refusal: 'I cannot' }))),
    'one that is no JSON': (_, peer) => peer.write(reply(200, '<html>', ['Content-Type: text/html'])),
    'one that says JSON and is none': (_, peer) => peer.write(reply(200, '{"choices":')),
    'an empty one': (_, peer) => peer.write(reply(200, '')),
    'a stream that breaks off': async (_, peer) => {
      await peer.write(eventsHead)
      for (const frame of frames.slice(0, 3)) await peer.write(chunk(frame))
      peer.close()
    },
    'a stream without its end': async (_, peer) => {
      await peer.write(eventsHead)
      for (const frame of frames.slice(0, -1)) await peer.write(chunk(frame))
      await peer.write(lastChunk)
    },
    'a stream with an error in it': async (_, peer) => {
      await peer.write(eventsHead)
      for (const frame of [frames[0]!, error, ...frames.slice(1)]) await peer.write(chunk(frame))
      await peer.write(lastChunk)
    },
    'a stream cut at its length': async (_, peer) => {
      await peer.write(eventsHead)
      for (const frame of frames) await peer.write(chunk(frame.replace('"stop"', '"length"')))
      await peer.write(lastChunk)
    },
  }
  for (const [name, script] of Object.entries(table)) {
    test(name, async () => {
      const { ask, upstream } = await cached({ mode: 'exact', ttl: '1h' }, script)
      const body = chat('n', { stream: name.includes('stream') })
      const seen = [status(await ask(body)), status(await ask(body)), status(await ask(body))]
      expect(seen).toEqual(['MISS', 'MISS', 'MISS'])
      expect(upstream.requests.length).toBe(3)
    })
  }

  test('what makes or continues state at the provider, unless configured', async () => {
    // With several, an object that nobody made is nobody's to continue.
    const oneCaller = { access: { keys: [keys[0]] } }
    const answer: Script = (_, peer) =>
      peer.write(reply(200, JSON.stringify({ id: 'resp_1', object: 'response', status: 'completed', model: 'm', output: [{ type: 'message', id: 'm', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'x', annotations: [] }] }], usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 } }))) // prettier-ignore
    const { statuses } = await cached({ mode: 'exact' }, answer, oneCaller)
    const all = await cached({ mode: 'exact', stateful: true }, answer, oneCaller)
    const path = { path: '/v1/responses' }
    for (const more of [
      { store: true },
      { background: true },
      { previous_response_id: 'resp_0' },
      { conversation: 'conv_1' },
    ]) {
      // prettier-ignore
      const body = { model: 'm', input: 'x', ...more }
      expect(await statuses([body, path], [body, path])).toEqual(['BYPASS', 'BYPASS'])
      expect(await all.statuses([body, path], [body, path])).toEqual(['MISS', 'HIT'])
    }
    const stateless = { model: 'm', input: 'x', store: false }
    expect(await statuses([stateless, path], [stateless, path])).toEqual(['MISS', 'HIT'])
  })

  test('what onlyWhen leaves out: too warm, too many', async () => {
    const { statuses } = await cached({ mode: 'exact', onlyWhen: { temperatureMax: 0.3, nMax: 2 } })
    const cool = { temperature: 0.3 }
    expect(
      await statuses([chat('o')], [chat('o', { temperature: 0.31 })], [chat('o', { ...cool, n: 3 })], [chat('o', cool)], [chat('o', cool)]),
    ).toEqual(['BYPASS', 'BYPASS', 'BYPASS', 'MISS', 'HIT']) // prettier-ignore
  })

  test('anything but the endpoints whose answers mean the same each time', async () => {
    const { statuses } = await cached({ mode: 'exact' }, (_, peer) =>
      peer.write(reply(200, '{"object":"list","data":[{"id":"m"}]}')),
    )
    const get = (path: string) => [undefined, { path, method: 'GET' }] as Parameters<typeof statuses>[0]
    expect(await statuses(get('/v1/models'), get('/v1/models'), get('/v1/files'), get('/v1/files'))).toEqual(['MISS', 'HIT', 'BYPASS', 'BYPASS']) // prettier-ignore
  })

  test('one longer than an entry may be is passed on whole', async () => {
    const long = completion('x'.repeat(50_000))
    const { ask } = await cached({ mode: 'exact', store: { entry: '32KB' } }, (_, peer) =>
      peer.write(reply(200, long)),
    )
    for (let round = 0; round < 2; round++) {
      const answer = await ask(chat('l'))
      expect([status(answer), answer.body.toString() === long]).toEqual(['MISS', true])
    }
  })
})
