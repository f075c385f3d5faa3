// Promise: an application whose key may name can say which user and app a request is for; of any other key the same
// fields count for nothing. They go no further, and whom the body names is noted and decides nothing.

import { describe, expect, test } from 'bun:test'
import {
  ask,
  clientKey,
  jsonBody,
  promiseTests,
  request,
  startGate,
  upstreamAt,
  type ConfigTree,
} from './harness.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const naming = 'hg_test_a-key-that-may-name-00000000001'
const keys = [
  { name: 'client', value: clientKey, user: 'ann', app: 'web', team: 'core' },
  { name: 'naming', value: naming, user: 'service', app: 'backend', team: 'core', mayName: true },
]
const start = (access: ConfigTree = {}) =>
  startGate({ upstreams: [upstreamAt(upstream.url)], access: { keys, ...access } })
const gate = await start()
const custom = await start({ identity: { userHeader: 'x-end-user', appHeader: 'x-app-name' } })

async function asked(lines: readonly string[], key = naming, at = gate) {
  const before = at.lines.length
  const answer = await ask(at.port, request('GET', '/v1/models', { lines, key }))
  const { user, app, team, failure } = await at.logged((line) => at.lines.indexOf(line) >= before)
  return { status: answer.status, user, app, team, failure }
}

describe('a key that may name', () => {
  test.each<[string[], string, string]>([
    [[], 'service', 'backend'],
    [['x-headgate-user: bob'], 'bob', 'backend'],
    [['X-Headgate-App: mobile'], 'service', 'mobile'],
    [['x-headgate-user: bob', 'x-headgate-app: mobile'], 'bob', 'mobile'],
    [['x-headgate-user:', 'x-headgate-app:   '], 'service', 'backend'],
    [[`x-headgate-user: ${Buffer.from('Zoë Müller').toString('latin1')}`], 'Zoë Müller', 'backend'],
    [['x-headgate-user: a "b" \\ {c}'], 'a "b" \\ {c}', 'backend'],
    [[`x-headgate-user: ${'u'.repeat(128)}`], 'u'.repeat(128), 'backend'],
    [['x-headgate-team: other', 'x-headgate-env: prod', 'x-headgate-key: client'], 'service', 'backend'],
  ])('%j', async (lines, user, app) => {
    expect(await asked(lines)).toMatchObject({ status: 200, user, app, team: 'core' })
  })

  test.each<[string, string[]]>([
    ['twice', ['x-headgate-user: bob', 'x-headgate-user: eve']],
    ['too long', [`x-headgate-user: ${'u'.repeat(129)}`]],
    ['no UTF-8', ['x-headgate-user: \xff\xfe']],
    ['a tab', ['x-headgate-user: a\tb']],
    ['a C1 control', [`x-headgate-app: a${Buffer.from('\u009b').toString('latin1')}b`]],
    ['a mark that turns text round', [`x-headgate-user: ${Buffer.from('a\u202eb').toString('latin1')}`]],
  ])('is refused what is %s', async (_what, lines) => {
    const seen = upstream.requests.length
    expect(await asked(lines)).toMatchObject({ status: 400, failure: 'bad_request' })
    expect(upstream.requests.length).toBe(seen)
  })

  test('many names stay apart', async () => {
    for (let index = 0; index < 50; index++)
      expect((await asked([`x-headgate-user: u${index}`])).user).toBe(`u${index}`)
    expect((await asked(['x-headgate-user: u1","x'])).user).toBe('u1","x')
  })
})

test('any other key names nobody, and is not refused for it', async () => {
  for (const lines of [
    ['x-headgate-user: bob'],
    ['x-headgate-user: a', 'x-headgate-user: b'],
    ['x-headgate-app: \xff'],
  ])
    expect(await asked(lines, clientKey)).toMatchObject({ status: 200, user: 'ann', app: 'web' })
})

test('other fields may be taken; then the usual ones mean nothing', async () => {
  const lines = ['x-end-user: bob', 'X-App-Name: mobile', 'x-headgate-user: eve']
  expect(await asked(lines, naming, custom)).toMatchObject({ user: 'bob', app: 'mobile' })
  expect(await asked(lines, clientKey, custom)).toMatchObject({ user: 'ann', app: 'web' })
})

test('no such field reaches an upstream, whoever sends it', async () => {
  for (const at of [gate, custom]) {
    for (const key of [naming, clientKey]) {
      const lines = [
        'X-End-User: bob',
        'x-app-name: mobile',
        'x-headgate-user: eve',
        'X-HEADGATE-APP: x',
        'x-end-user2: passes',
      ]
      await asked(lines, key, at)
      expect(upstream.last.header('x-headgate-user')).toBeNull()
      expect(upstream.last.header('x-headgate-app')).toBeNull()
      expect(upstream.last.header('x-end-user')).toBe(at === custom ? null : 'bob')
      expect(upstream.last.header('x-app-name')).toBe(at === custom ? null : 'mobile')
      expect(upstream.last.header('x-end-user2')).toBe('passes')
    }
  }
})

describe('the end user of a body', () => {
  const logged = async (body: unknown) => {
    const before = gate.lines.length
    const answer = await ask(gate.port, request('POST', '/v1/chat/completions', jsonBody(body)))
    expect(answer.status).toBe(200)
    const line = await gate.logged((each) => gate.lines.indexOf(each) >= before)
    return [line['endUser'], line['user']]
  }

  test.each<[unknown, string | undefined]>([
    [{ user: 'u-1', messages: [{ role: 'user', content: 'x' }] }, 'u-1'],
    [{ user: 'u-1', safety_identifier: 's-1' }, 's-1'],
    [{ messages: [{ role: 'user', content: '"user":"no"' }], metadata: { user: 'no' } }, undefined],
    [{ user: { id: 'x' } }, undefined],
    [{}, undefined],
  ])('%j: %p', async (body, endUser) => {
    expect(await logged({ model: 'gpt-4o', ...(body as object) })).toEqual([endUser, 'ann'])
  })

  test('is cut in the log, and passes unchanged', async () => {
    const user = 'u'.repeat(5000)
    const [endUser] = await logged({ user })
    expect(endUser).toBe(`${'u'.repeat(256)}…`)
    expect(upstream.last.body.toString()).toBe(JSON.stringify({ user }))
  })
})

test.each<[ConfigTree, string]>([
  [{ userHeader: 'authorization' }, 'means something else already'],
  [{ userHeader: 'content-length' }, 'means something else already'],
  [{ appHeader: 'x-forwarded-for' }, 'means something else already'],
  [{ userHeader: 'X-User' }, 'in lower case'],
  [{ userHeader: 'x user' }, 'expected a header name'],
  [{ userHeader: 'x-who', appHeader: 'x-who' }, 'are the same header'],
])('the configuration is refused: %j', async (identity, says) => {
  expect(await start({ identity }).then(() => 'it started', String)).toContain(says)
})
