import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { systemClock } from '../../base/clock.ts'
import { KnownBytes, KnownTable } from '../../base/known-bytes.ts'
import { Exchange, nobody, type Principal } from '../../exchange.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { WholeBody } from '../../net/wire/body.ts'
import { canonicalText, readOneMeaning } from '../../openai/canonical-json.ts'
import { AskedIndex, type AskedOptions } from './asked.ts'
import type { Scope } from './tenant.ts'

const options = (more: Partial<AskedOptions> = {}): AskedOptions => ({
  scope: 'team',
  onlyWhen: {},
  stateful: false,
  headers: [],
  normalize: { whitespace: false, sortMessages: false, ignore: ['user'], defaults: true },
  policy: 'p',
  ...more,
})

/** As stage 1 knows bodies. */
const knownBodies = (bytesMax: number) =>
  new KnownTable({ bytesMax, lengthMax: 64 * 1024, secondTime: false })
const make = (copy: Uint8Array) => new KnownBytes(copy)

function exchange(
  body: string,
  principal: Partial<Principal> = {},
  bodies: KnownTable<KnownBytes> | null = null,
): Exchange {
  const request = {
    method: 'POST',
    path: '/v1/chat/completions',
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '127.0.0.1',
    upgrade: null,
  }
  const x = new Exchange('hgx_1', request, systemClock)
  x.principal = { ...nobody, kind: 'key', ...principal }
  x.bodyBytes = Buffer.from(body)
  x.requestBody = new WholeBody(x.bodyBytes)
  x.knownBody = bodies?.of(x.bodyBytes, make) ?? null
  return x
}

/** What a request means, apart from how it is written: the reference is equality of these. */
interface Meaning {
  readonly model: string
  readonly texts: readonly string[]
  readonly temperature: number
  readonly seed: bigint | null
  readonly tools: boolean
}

/** How one is written. */
interface Spelling {
  readonly turned: boolean
  readonly spaced: boolean
  readonly escaped: boolean
  readonly exponent: boolean
  readonly stream: boolean
  readonly defaults: boolean
  readonly user: string | null
}

function written(meaning: Meaning, how: Spelling): string {
  const text = (value: string): string =>
    how.escaped
      ? `"${[...value].map((one) => (one.length > 1 ? one : `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)).join('')}"`
      : JSON.stringify(value)
  const space = how.spaced ? ' \n\t' : ''
  const object = (members: string[]): string =>
    `{${space}${(how.turned ? members.toReversed() : members).join(`,${space}`)}${space}}`
  const member = (name: string, value: string): string => `${text(name)}${space}:${space}${value}`
  const messages = meaning.texts.map((content) =>
    object([member('role', '"user"'), member('content', text(content))]),
  )
  const warmth = how.exponent ? `${meaning.temperature * 10}e-1` : `${meaning.temperature}`
  const isDefault = meaning.temperature === 1
  return object([
    member('model', text(meaning.model)),
    member('messages', `[${messages.join(`${space},`)}]`),
    ...(isDefault && !how.defaults ? [] : [member('temperature', warmth)]),
    ...(meaning.seed === null
      ? how.defaults
        ? [member('seed', 'null')]
        : []
      : [member('seed', String(meaning.seed))]),
    ...(meaning.tools ? [member('tools', '[{"type":"function","function":{"name":"f"}}]')] : []),
    ...(how.defaults ? [member('n', '1'), member('top_p', '1.0')] : []),
    ...(how.stream ? [member('stream', 'true'), member('stream_options', '{"include_usage":true}')] : []),
    ...(how.user === null ? [] : [member('user', text(how.user))]),
  ])
}

const meanings: fc.Arbitrary<Meaning> = fc.record({
  model: fc.constantFrom('gpt-4o', 'gpt-4o-mini'),
  texts: fc.array(
    fc.constantFrom('', 'a', 'a ', 'ab', '"', '\\', '\ud800', '\ufffd', 'é', '","content":"a'),
    { maxLength: 2 },
  ),
  temperature: fc.constantFrom(0, 1, 0.5),
  seed: fc.constantFrom(null, 1n, 9007199254740992n, 9007199254740993n),
  tools: fc.boolean(),
})
const spellings: fc.Arbitrary<Spelling> = fc.record({
  turned: fc.boolean(),
  spaced: fc.boolean(),
  escaped: fc.boolean(),
  exponent: fc.boolean(),
  stream: fc.boolean(),
  defaults: fc.boolean(),
  user: fc.constantFrom(null, 'u'),
})
const names = fc.constantFrom(null, 'a', 'b')
const principals = fc.record({
  key: fc.constantFrom('a', 'b', null),
  keyId: fc.constantFrom(null, null, 'a'),
  team: names,
  app: names,
  user: names,
  env: fc.constantFrom(null, 'prod'),
})

/** Who a caller shares with, written apart from the code on purpose. */
function sharers(
  who: Pick<Principal, 'key' | 'keyId' | 'team' | 'app' | 'user' | 'env'>,
  scope: Scope,
  tools: boolean,
): unknown[] | null {
  if (scope === 'all' && !tools) return ['everybody', who.env]
  if ((scope === 'team' || scope === 'all') && who.team !== null) return ['team', who.team, who.env]
  if (scope === 'user' && who.user !== null) return ['user', who.user, who.team, who.env]
  if (scope === 'app' && who.app !== null) return ['app', who.app, who.team, who.env]
  if (who.keyId !== null) return ['id', who.keyId, who.team, who.env]
  return who.key === null ? null : ['name', who.key, who.team, who.env]
}

/** The same answer is right: only if every reader would take one request for the other. */
function mean(a: Meaning, b: Meaning): boolean {
  return Bun.deepEquals({ ...a, seed: String(a.seed) }, { ...b, seed: String(b.seed) })
}

test('two requests share an answer only if the reference says so, and tenants never do', () => {
  const scopes = fc.constantFrom<Scope>('key', 'user', 'team', 'app', 'all')
  const pair = fc.tuple(meanings, meanings, fc.boolean()).map(([a, b, same]) => [a, same ? a : b] as const)
  const whom = fc
    .tuple(principals, principals, fc.boolean())
    .map(([a, b, same]) => [a, same ? a : b] as const)
  fc.assert(
    fc.property(
      pair,
      whom,
      fc.tuple(spellings, spellings, scopes),
      ([a, b], [one, two], [how, other, scope]) => {
        const index = new AskedIndex(options({ scope }))
        const bodies = knownBodies(1024 * 1024)
        const first = index.of(exchange(written(a, how), one, bodies))!
        const second = index.of(exchange(written(b, other), two, bodies))!
        const mine = sharers(one, scope, a.tools)
        const theirs = sharers(two, scope, b.tools)
        expect([first.key === '', second.key === '']).toEqual([mine === null, theirs === null])
        const right = mean(a, b) && mine !== null && Bun.deepEquals(mine, theirs)
        if (first.key !== '' && first.key === second.key) expect(right).toBe(true)
        // The other way round too, but where a number has more digits than a double holds.
        const exact = a.seed === null || a.seed < 2n ** 53n + 1n
        if (right && exact) expect(second.key).toBe(first.key)
        // Known by its bytes, it is the same as read.
        expect(index.of(exchange(written(a, how), one, bodies))).toBe(first)
        expect(index.of(exchange(written(a, how), one))).toEqual(first)
        // Under other settings nothing is known of it.
        expect(
          new AskedIndex(options({ scope, policy: 'q' })).of(exchange(written(a, how), one, bodies)),
        ).toEqual(new AskedIndex(options({ scope, policy: 'q' })).of(exchange(written(a, how), one)))
      },
    ),
    { numRuns: 3000 },
  )
})

test('any two JSON values have the same text only if they are equal', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const [first, second] = [a, b].map((one) => JSON.parse(JSON.stringify(one)))
      expect(canonicalText(first) === canonicalText(second)).toBe(Bun.deepEquals(first, second, true))
    }),
    { numRuns: 2000 },
  )
})

describe('what has several meanings has no text', () => {
  test.each([
    ['a member twice', '{"a":1,"a":1}'],
    ['a member twice, spelled in two ways', '{"a":1,"\\u0061":2}'],
    ['a member twice, deep down', '{"x":[{"y":{"b":1,"b":2}}]}'],
    ['__proto__ twice', '{"__proto__":1,"__proto__":2}'],
    ['a byte order mark', '\ufeff{}'],
    ['broken', '{"a":}'],
    ['more than one', '{}{}'],
    ['too deep', `${'['.repeat(200)}${']'.repeat(200)}`],
  ])('%s', (_, text) => {
    expect(readOneMeaning(Buffer.from(text))).toBeNull()
  })

  test('nor has broken UTF-8', () => {
    expect(readOneMeaning(Buffer.from([0x22, 0xff, 0x22]))).toBeNull()
  })

  test('but these have', () => {
    for (const text of [
      '{"__proto__":1}',
      '{"a":":","b":"\\":"}',
      '[1.5e3,-0,0.1]',
      '{"a":{"a":{"a":1}}}',
      '"\\ud800"',
    ]) {
      expect(readOneMeaning(Buffer.from(text))?.value).toEqual(JSON.parse(text))
    }
  })

  test('numbers beyond a double are told', () => {
    const inexact = (text: string) => readOneMeaning(Buffer.from(text))!.inexact
    expect(['0.1', '0.7000000000000001', '1e21', '123456789012345', '1.50e1'].map(inexact)).toEqual(
      Array.from({ length: 5 }, () => false),
    )
    expect(
      ['9007199254740993', '0.12345678901234567890', '1e999', '123456789012345678'].map(inexact),
    ).toEqual(Array.from({ length: 4 }, () => true))
  })
})

test('the requests kept to know them again stay within their bound', () => {
  const index = new AskedIndex(options())
  const bodies = knownBodies(256 * 1024)
  const body = (number: number) =>
    `{"model":"m","messages":[{"role":"user","content":"${'x'.repeat(2000)}${number}"}]}`
  const keys = new Set<string>()
  const before = process.memoryUsage().rss
  for (let number = 0; number < 20_000; number++)
    keys.add(index.of(exchange(body(number), { key: 'k' }, bodies))!.key)
  expect(keys.size).toBe(20_000)
  Bun.gc(true)
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024)
  expect(index.of(exchange(body(5), { key: 'k' }, bodies))!.key).toBe([...keys][5]!)
})
