import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { systemClock } from '../../base/clock.ts'
import { Exchange, nobody, type Principal } from '../../exchange.ts'
import { WholeBody } from '../../net/wire/body.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { explainPair, type ExplainedPair } from './explain.ts'
import { cacheOptions, type CacheOptions } from './options.ts'

interface Sent {
  readonly body?: unknown
  readonly path?: string
  readonly query?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly principal?: Partial<Principal>
}

function exchange({
  body,
  path = '/v1/chat/completions',
  query = '',
  headers = [],
  principal = {},
}: Sent): Exchange {
  const method = body === undefined ? 'GET' : 'POST'
  const x = new Exchange(
    'hgx_1',
    {
      method,
      path,
      query,
      headers: HeaderBlock.fromPairs(headers),
      body: null,
      peerAddress: '',
      upgrade: null,
    },
    systemClock,
  )
  x.principal = { ...nobody, kind: 'key', key: 'web', team: 'core', ...principal }
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  x.requestBody = body === undefined ? null : new WholeBody(Buffer.from(text))
  return x
}

function explain(a: Sent, b: Sent, options: object = {}): ExplainedPair {
  const parsed: CacheOptions = cacheOptions.parse({ scope: 'team', ...options })
  return explainPair(parsed, 'p', [exchange(a), exchange(b)])
}

const chat = (content: string, more: object = {}) => ({
  model: 'm',
  messages: [{ role: 'user', content }],
  ...more,
})

describe('what tells two requests apart', () => {
  test('nothing: spelling, order, defaults, and whether it is a stream', () => {
    const a = { body: chat('x', { temperature: 1, seed: 10 }) }
    const b = {
      body: '{"stream":true,"seed":1e1,"messages":[{"content":"\\u0078","role":"user"}],"model":"m"}',
    }
    const told = explain(a, b)
    expect(told).toMatchObject({
      share: true,
      differences: [],
      a: { stream: false, why: [] },
      b: { stream: true },
    })
    expect(told.a.key).toEqual(told.b.key)
  })

  test('each difference, the first first, by its place', () => {
    const told = explain(
      {
        body: chat('one', { seed: 1 }),
        headers: [['OpenAI-Beta', 'x=1']],
        principal: { team: 'core' },
      },
      {
        body: chat('two', { tools: [] }),
        query: '?v=2',
        headers: [['OpenAI-Beta', 'x=2']],
        principal: { team: 'web', env: 'prod' },
      },
    )
    expect(told.share).toBe(false)
    expect(told.differences).toEqual([
      { where: 'scope', a: 'team core', b: 'team web, env prod' },
      { where: 'query', a: null, b: '?v=2' },
      { where: 'header openai-beta', a: 'x=1', b: 'x=2' },
      { where: 'body.messages[0].content', a: '"one"', b: '"two"' },
      { where: 'body.seed', a: '1', b: null },
      { where: 'body.tools', a: null, b: '[]' },
    ])
  })

  test('the endpoint, the model, a long text from where it differs', () => {
    const long = 'word '.repeat(100)
    const told = explain(
      { body: { model: 'm', input: `${long}a`.concat(long) }, path: '/v1/embeddings' },
      { body: { model: 'n', input: `${long}b`.concat(long) }, path: '/v1/moderations' },
    )
    expect(told.differences.map(({ where }) => where)).toEqual(['endpoint', 'body.input', 'body.model'])
    expect(told.differences[1]!.a).toMatch(/^….{30}a.{89}… \(1003 characters\)$/)
  })

  test('numbers that no double holds', () => {
    const body = (seed: string) => `{"model":"m","messages":[],"seed":${seed}}`
    const told = explain({ body: body('12345678901234567890') }, { body: body('12345678901234567891') })
    expect(told).toMatchObject({ share: false, differences: [{ where: 'body' }] })
    expect(told.differences[0]!.a).toContain('more digits than a double holds')
  })

  test('settings count: what is ignored, white space, header names, scope', () => {
    const a = {
      body: chat('a  b', { user: 'ann' }),
      headers: [['X-App', '1']] as const,
      principal: { user: 'ann' },
    }
    const b = {
      body: chat(' a b', { user: 'bob' }),
      headers: [['X-App', '2']] as const,
      principal: { user: 'bob' },
    }
    const where = (options: object) => explain(a, b, options).differences.map((one) => one.where)
    expect(where({})).toEqual(['body.messages[0].content', 'body.user'])
    expect(where({ normalize: { whitespace: true, ignore: ['user'] } })).toEqual([])
    expect(
      where({ normalize: { whitespace: true, ignore: ['user'] }, headers: ['x-app'], scope: 'user' }),
    ).toEqual(['scope', 'header x-app'])
  })

  test('texts to embed that both ask for are shared all the same', () => {
    const a = { body: { model: 'e', input: ['x', 'y', 'z'] }, path: '/v1/embeddings' }
    const b = { body: { model: 'e', input: ['z', 'y', 'w'] }, path: '/v1/embeddings' }
    expect(explain(a, b)).toMatchObject({ share: false, sharedTexts: 2 })
  })

  test('differences are found exactly where the digests differ', () => {
    const value = fc.jsonValue({ maxDepth: 2, depthSize: 'small' })
    const body = fc.record({
      model: fc.constantFrom('m', 'n'),
      messages: fc.array(value, { maxLength: 3 }),
      temperature: fc.option(fc.constantFrom(0, 1, -0, 0.5), { nil: undefined }),
      user: fc.option(fc.string(), { nil: undefined }),
      metadata: value,
    })
    const sent = fc.record({
      body,
      headers: fc.array(
        fc.tuple(fc.constantFrom('openai-beta', 'x-a', 'accept'), fc.constantFrom('1', '2')),
        {
          maxLength: 3,
        },
      ),
      query: fc.constantFrom('', '?a', '?b'),
      principal: fc.record({
        team: fc.constantFrom('core', 'web', null),
        env: fc.constantFrom('prod', null),
      }),
    })
    const options = fc.record({
      headers: fc.constantFrom([], ['x-a']),
      scope: fc.constantFrom('team', 'all', 'key'),
      normalize: fc.record({
        whitespace: fc.boolean(),
        sortMessages: fc.boolean(),
        ignore: fc.constantFrom([], ['user', 'metadata']),
      }),
    })
    // Nearly alike far more often than chance would have it.
    const pair = fc
      .tuple(sent, sent, fc.boolean())
      .map(([a, b, alike]) => [a, alike ? { ...a, query: b.query } : b] as const)
    fc.assert(
      fc.property(pair, options, ([a, b], how) => {
        const told = explain(a, b, how)
        const same = told.a.key !== null && told.a.key === told.b.key
        expect(told.differences.length === 0).toBe(same)
      }),
      { numRuns: 100 },
    )
  })
})

describe('why a request has no part in the cache', () => {
  const why = (sent: Sent, options: object = {}) => explain(sent, sent, options).a.why.join('; ')
  const body = chat('x')
  const cases: [string, Sent, object, RegExp][] = [
    ['mode off', { body }, { mode: 'off' }, /cache\.mode is off/],
    ['another endpoint', { body, path: '/v1/files' }, {}, /POST \/v1\/files are never kept/],
    ['state', { body: chat('x', { store: true }) }, {}, /store: true.*cache\.stateful/],
    ['temperature', { body }, { onlyWhen: { temperatureMax: 0.5 } }, /temperatureMax/],
    ['n', { body: chat('x', { n: 4 }) }, { onlyWhen: { nMax: 2 } }, /nMax/],
    ['a member twice', { body: '{"model":"m","model":"n","messages":[]}' }, {}, /given twice/],
    ['x-no-cache', { body, headers: [['x-no-cache', '1']] }, {}, /no cache at all/],
    ['no-cache', { body, headers: [['cache-control', 'no-cache']] }, {}, /upstream asked/],
    ['a bad ttl', { body, headers: [['x-headgate-cache-ttl', 'soon']] }, {}, /it is refused/],
    ['ttl 0 of its own', { body, headers: [['x-headgate-cache-ttl', '0']] }, {}, /x-headgate-cache-ttl/],
    ['ttl 0 by a rule', { body }, { rules: [{ match: { teams: ['core'] }, ttl: '0s' }] }, /cache\.rules/],
    ['nobody', { body, principal: { kind: 'anonymous', key: null, team: null } }, {}, /no name/],
  ]
  for (const [name, sent, options, said] of cases) {
    test(name, () => {
      expect(why(sent, options)).toMatch(said)
      expect(explain(sent, sent, options).share).toBe(false)
    })
  }

  test('and none where there is none', () => expect(why({ body })).toBe(''))
})
