// Promise: an account's own limits, as configured or as it tells them, are not run into where another account has room.

import { expect, test } from 'bun:test'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { chat, chats, twoAccounts } from './failover/accounts.ts'
import { finallyClose, promiseTests, startGate, upstreamAt } from './harness.ts'
import { reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

test('requests spill over to another account before one is asked beyond its limit', async () => {
  const { gate, first, second } = await twoAccounts({}, { limits: { requests: '2/1h' } })
  const seen = []
  for (let count = 0; count < 5; count++) seen.push(await chat(gate))
  expect(seen.map(({ status, upstream, attempts }) => [status, upstream, attempts])).toEqual([
    [200, 'first', 1],
    [200, 'first', 1],
    [200, 'second', 1],
    [200, 'second', 1],
    [200, 'second', 1],
  ])
  expect([chats(first), chats(second)]).toEqual([2, 3])
})

test('at once from many clients too, and by tokens: a short request fits where a long one does not', async () => {
  const { gate, first, second } = await twoAccounts({}, { limits: { tokens: '1000/1h' } })
  const long = () => chat(gate, { max_tokens: 800 })
  const seen = await Promise.all(Array.from({ length: 20 }, long))
  expect(seen.every(({ status }) => status === 200)).toBe(true)
  expect(chats(first)).toBeGreaterThanOrEqual(1)
  expect(chats(first) + chats(second)).toBe(20)
  expect((await chat(gate, { max_tokens: 3000 })).upstream).toBe('second')
  expect((await chat(gate, { max_tokens: 10 })).upstream).toBe('first')
})

test('where all are full, the refusal names the limit of the one that has room first', async () => {
  const one = await startSandbox()
  finallyClose(() => one.close())
  const gate = await startGate({
    upstreams: [
      upstreamAt(one.url, { name: 'first', limits: { requests: '1/2h' } }),
      upstreamAt(one.url, { name: 'second', limits: { requests: '1/1h' } }),
    ],
    routes: [{ pick: 'priority' }],
  })
  for (const name of ['first', 'second']) expect((await chat(gate)).upstream).toBe(name)
  const refused = await chat(gate)
  expect(refused.status).toBe(429)
  expect(refused.text).toContain('\\"upstream-second\\", 1 requests per 1h')
  expect(Number(refused.headers.get('retry-after'))).toBeWithin(3500, 3601)
  expect(chats(one)).toBe(2)
})

test('the picker "headroom" goes by them', async () => {
  const one = await startSandbox()
  finallyClose(() => one.close())
  const gate = await startGate({
    upstreams: [
      upstreamAt(one.url, { name: 'first', limits: { requests: '4/1h' } }),
      upstreamAt(one.url, { name: 'second', limits: { requests: '2/1h' } }),
    ],
    routes: [{ pick: 'headroom' }],
  })
  const seen: Record<string, number> = {}
  for (let count = 0; count < 6; count++) {
    const { upstream } = await chat(gate)
    seen[upstream!] = (seen[upstream!] ?? 0) + 1
    if (count === 1) expect(seen).toEqual({ first: 2 })
  }
  expect(seen).toEqual({ first: 4, second: 2 })
})

test('one that says that nothing is left is not asked, for that model, before something must be', async () => {
  const said = [
    'x-ratelimit-limit-requests: 2',
    'x-ratelimit-remaining-requests: 0',
    'x-ratelimit-reset-requests: 2m0s',
  ]
  const spent = ScriptedUpstream.start((_, peer) => peer.write(reply(200, '{"id":"c","choices":[]}', said)))
  const other = await startSandbox()
  finallyClose(() => spent.stop())
  finallyClose(() => other.close())
  const gate = await startGate({
    upstreams: [upstreamAt(spent.url, { name: 'first' }), upstreamAt(other.url, { name: 'second' })],
    routes: [{ pick: 'priority' }],
  })
  const upstreams = []
  for (const model of ['gpt-4o', 'gpt-4o', 'gpt-4o-mini', 'gpt-4o-mini', 'gpt-4o'])
    upstreams.push((await chat(gate, { model })).upstream)
  expect(upstreams).toEqual(['first', 'second', 'first', 'second', 'second'])
  expect(spent.requests).toHaveLength(2)
})
