// Promise: keys cannot be guessed at speed, and who has one is never locked out by who has not. The answer to a key that
// does not hold is the same to the last byte, whatever is wrong with it.

import { describe, expect, test } from 'bun:test'
import { ask, clientKey, promiseTests, request, startGate, upstreamAt, type ConfigTree } from './harness.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const start = (guessing?: ConfigTree) =>
  startGate({
    upstreams: [upstreamAt(upstream.url)],
    server: { trustedProxies: ['127.0.0.1'] },
    access: { keys: [{ name: 'client', value: clientKey }], ...(guessing === undefined ? {} : { guessing }) },
  })
const slow = await start({ failures: '20/1h', burst: 5 })

async function tries(gate: typeof slow, lines: readonly string[], address = '192.0.2.1') {
  return ask(
    gate.port,
    request('GET', '/v1/models', { key: null, lines: [...lines, `X-Forwarded-For: ${address}`] }),
  )
}
const bearer = (key: string) => [`Authorization: Bearer ${key}`]

describe('too many wrong keys', () => {
  test('from one address are 429, with the time to wait; a key that holds passes all the while', async () => {
    const statuses: number[] = []
    for (let index = 0; index < 12; index++) {
      statuses.push((await tries(slow, bearer(`guess-${index}`))).status)
      expect((await tries(slow, bearer(clientKey))).status).toBe(200)
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429, 429, 429, 429, 429])
    const seen = upstream.requests.length
    const answer = await tries(slow, [`x-api-key: guess`])
    expect(answer.status).toBe(429)
    expect(answer.json().error).toMatchObject({ code: 'rate_limit_exceeded', type: 'requests', param: null })
    expect(answer.json().error.message).toStartWith('Rate limit exceeded. Please try again later.')
    const waitMs = Number(answer.header('retry-after-ms'))
    expect(waitMs).toBeWithin(170_000, 180_001)
    expect(answer.header('retry-after')).toBe(String(Math.ceil(waitMs / 1000)))
    expect(answer.header('x-should-retry')).toBe('false')
    expect(upstream.requests.length).toBe(seen)
    expect(await slow.logged((line) => line['status'] === 429)).toMatchObject({
      failure: 'rate_limit_exceeded',
      address: '192.0.2.1',
    })
  })

  test('are counted by address: another has its own, an IPv6 network has one', async () => {
    expect((await tries(slow, bearer('guess'), '192.0.2.2')).status).toBe(401)
    for (let index = 0; index < 5; index++)
      expect((await tries(slow, bearer('guess'), `2001:db8::${index}`)).status).toBe(401)
    expect((await tries(slow, bearer('guess'), '2001:db8::ffff:1')).status).toBe(429)
    expect((await tries(slow, bearer('guess'), '2001:db8:0:1::1')).status).toBe(401)
    expect((await tries(slow, bearer('guess'), '::ffff:192.0.2.1')).status).toBe(429)
  })

  test('are forgotten with time', async () => {
    const gate = await start({ failures: '20/1s', burst: 1 })
    for (let round = 0; round < 3; round++) {
      let answer = await tries(gate, bearer('guess'))
      const deadline = performance.now() + 10_000
      while (answer.status === 429) {
        expect(performance.now()).toBeLessThan(deadline)
        await Bun.sleep(Number(answer.header('retry-after-ms')))
        answer = await tries(gate, bearer('guess'))
      }
      expect(answer.status).toBe(401)
    }
  })
})

describe('Authorization in every malformed shape', () => {
  const shapes: string[][] = [
    [],
    ...['', ' ', 'Bearer', 'Bearer ', 'Bearer  ', 'Bearer\t', 'Basic dXNlcjpwYXNz', 'Digest username="x"', 'Negotiate abc', 'Token x', 'bearer', 'Bearer:',
      `Bearer:${clientKey}`, `Bearer=${clientKey}`, `Bearer${clientKey}`, `Bearer  ${clientKey}`, `Bearer\t${clientKey}`, clientKey, `"Bearer ${clientKey}"`,
      `Bearer "${clientKey}"`, `Bearer ${clientKey} `.repeat(2), `Bearer ${clientKey},`.repeat(2), `Bearer ${clientKey} x`, `Bearer ${clientKey}\xe9`,
      `Bearer ${clientKey.slice(0, 20)} ${clientKey.slice(20)}`, `Bearer Bearer ${clientKey}`, `Bearer ${'k'.repeat(8193)}`, `Bearer \xff\xfe`, 'Bearer é',
      `BEARER\x0b${clientKey}`.replace('\x0b', ' \t'), 'Bearer \xa0', `\xa0Bearer ${clientKey}`, `Bearer ${clientKey}\xa0`, 'null', 'undefined', 'Bearer a b c d',
    ].map((value) => [`Authorization: ${value}`]), // prettier-ignore
    ['Authorization: Bearer ', `x-api-key: ${clientKey}`],
    [`Authorization: Bearer ${clientKey}`, `Authorization: Bearer ${clientKey}`],
    [`Authorization: Bearer ${clientKey}`, `api-key: ${clientKey}`],
    ['x-api-key:'],
    ['x-api-key: a b'],
    [`api-key: Bearer ${clientKey}`],
    ...[
      'k',
      'Bearer',
      'null',
      'undefined',
      'sk-proj-0123456789',
      clientKey.slice(1),
      `${clientKey}=`,
      `${clientKey},`,
      'a.b.c',
      'eyJhbGciOiJub25lIn0.e30.',
      '..',
      '*',
      '%00',
    ].map(bearer),
  ]

  test('is a 401 with one body, and a known key amid them still passes', async () => {
    const gate = await start({ failures: '1000000/1s' })
    const bodies = new Set<string>()
    const heads = new Set<string>()
    for (const [index, lines] of shapes.entries()) {
      const answer = await tries(gate, lines)
      expect([lines, answer.status]).toEqual([lines, 401])
      bodies.add(answer.body.toString())
      heads.add(
        answer.lines.filter((line) => !/^(?:x-request-id|x-headgate-id|date):/i.test(line)).join('\n'),
      )
      if (index % 10 === 0) expect((await tries(gate, bearer(clientKey))).status).toBe(200)
    }
    expect([bodies.size, heads.size]).toEqual([1, 1])
    expect([...bodies][0]).not.toContain('hg_test')
  })

  test('is no guess: it neither counts nor is refused for others', async () => {
    const gate = await start({ failures: '1/1h', burst: 1 })
    for (let round = 0; round < 5; round++) {
      for (const lines of [[], ['Authorization: Bearer'], [...bearer('a'), 'x-api-key: b']])
        expect((await tries(gate, lines)).status).toBe(401)
    }
    expect((await tries(gate, bearer('guess'))).status).toBe(401)
    expect((await tries(gate, bearer('guess'))).status).toBe(429)
    expect((await tries(gate, ['Authorization: Bearer'])).status).toBe(401)
  })
})

test.each<[ConfigTree, string]>([
  [{ failures: '20' }, 'expected a rate'],
  [{ failures: 20 }, 'expected a rate'],
  [{ failures: '0/1m' }, 'expected a rate'],
  [{ burst: 0 }, 'must be between 1 and'],
])('the configuration is refused: %j', async (guessing, says) => {
  expect(await start(guessing).then(() => 'it started', String)).toContain(says)
})
