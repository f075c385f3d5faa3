// Promise: user agents are let in or kept out by globs, before any credential is looked at, in time that nobody can blow up.

import { describe, expect, test } from 'bun:test'
import { ask, clientKey, promiseTests, request, startGate, upstreamAt, type ConfigTree } from './harness.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const sdkOnly = 'hg_test_only-for-the-sdk-00000000000001'
const keys = [
  { name: 'client', value: clientKey },
  { name: 'sdk-only', value: sdkOnly, userAgents: ['OpenAI/*'] },
]
const start = (userAgents: ConfigTree) =>
  startGate({ upstreams: [upstreamAt(upstream.url)], access: { keys, userAgents } })

const denies = await start({ deny: ['*sqlmap*', 'evil/1.*', ''] })
const allows = await start({ allow: ['OpenAI/*', 'curl/*'], deny: ['*beta*'] })

async function by(
  gate: typeof denies,
  agents: readonly string[],
  key: string | null = clientKey,
): Promise<number> {
  const seen = upstream.requests.length
  const lines = agents.map((agent) => `User-Agent: ${agent}`)
  const answer = await ask(gate.port, request('GET', '/v1/models', { lines, key }))
  expect(upstream.requests.length - seen).toBe(answer.status === 200 ? 1 : 0)
  if (answer.status === 403) expect(answer.json().error.code).toBe('access_denied')
  return answer.status
}

describe('a deny list', () => {
  test.each<[string[], number]>([
    [['OpenAI/Python 2.1.0'], 200],
    [['sqlmap/1.8'], 403],
    [['Mozilla/5.0 (compatible; SQLMAP)'], 403],
    [['EVIL/1.0'], 403],
    [['evil/2.0'], 200],
    [['not evil/1.0'], 200],
    [[], 403],
    [[''], 403],
    [['curl/8', 'sqlmap'], 403],
    [['x'.repeat(20_000)], 200],
    [[`${'sqlma'.repeat(5000)}p`], 403],
    [['s\xe9qlmap'], 200],
  ])('%j: %d', async (agents, status) => expect(await by(denies, agents)).toBe(status))
})

describe('an allow list', () => {
  test.each<[string[], number]>([
    [['OpenAI/JS 6.49.0'], 200],
    [['openai/js'], 200],
    [['curl/8.5'], 200],
    [['curl'], 403],
    [['wget/1'], 403],
    [['curl/8-beta'], 403],
    [[], 403],
    [['curl/8', 'wget/1'], 403],
  ])('%j: %d', async (agents, status) => expect(await by(allows, agents)).toBe(status))
})

test('is judged before the credential, a key by its own list after it', async () => {
  expect(await by(denies, ['sqlmap'], null)).toBe(403)
  expect(await by(denies, ['sqlmap'], 'nope')).toBe(403)
  expect(await by(denies, ['curl/8'], null)).toBe(401)
  expect(await by(denies, ['OpenAI/JS'], sdkOnly)).toBe(200)
  expect(await by(denies, ['curl/8'], sdkOnly)).toBe(403)
  expect(await by(denies, ['sqlmap OpenAI/JS'], sdkOnly)).toBe(403)
})

test.each([[['a\u0000']], [['é']], [['x'.repeat(257)]], ['*'], [[1]]])(
  'the configuration is refused: %j',
  async (deny) => {
    expect(await start({ deny }).then(() => 'it started', String)).toContain('access.userAgents.deny')
  },
)
