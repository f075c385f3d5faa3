// Promise: an upstream that says no costs a client nothing where another can say yes, and a refusal of the request itself
// reaches the client as it is.

import { describe, expect, test } from 'bun:test'
import { callAdmin } from '../admin-call.ts'
import { clientKey, eventually, promiseTests, startGate, upstreamAt } from '../harness.ts'
import { KeptLedger } from '../ledger-kept.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream } from '../scripted-upstream.ts'
import { chat, chats, post, twoAccounts } from './accounts.ts'

promiseTests()

describe('another upstream answers in place of', () => {
  for (const fault of [
    'fault-429',
    'fault-429-retry-after-20',
    'fault-500',
    'fault-503',
    'fault-408',
    'fault-409',
  ])
    for (const stream of [false, true])
      test(`${fault.slice('fault-'.length)}${stream ? ', streaming' : ''}`, async () => {
        const { gate, first, second } = await twoAccounts()
        first.faults.add({ match: {}, fault, times: 1 })
        const answer = await chat(gate, { stream })
        expect(answer).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
        expect([chats(first), chats(second)]).toEqual([1, 1])
      })

  test('a spent quota, and leaves the account alone until it comes back', async () => {
    const { gate, first, second } = await twoAccounts()
    first.faults.add({ match: {}, fault: 'fault-insufficient-quota' })
    expect(await chat(gate)).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
    expect(await chat(gate, { model: 'gpt-4o' })).toMatchObject({
      status: 200,
      upstream: 'second',
      attempts: 1,
    })
    expect([chats(first), chats(second)]).toEqual([1, 2])
  })

  test('a key that is refused', async () => {
    const { gate, first } = await twoAccounts()
    first.faults.add({ match: {}, fault: 'fault-401' })
    expect(await chat(gate)).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
    expect(await chat(gate)).toMatchObject({ status: 200, upstream: 'second', attempts: 1 })
  })
})

describe('Retry-After', () => {
  test('keeps an account from being asked again before its time', async () => {
    const { gate, first, second } = await twoAccounts()
    first.faults.add({ match: {}, fault: 'fault-429-retry-after-ms-60000', times: 1 })
    for (let count = 0; count < 5; count++) expect((await chat(gate)).upstream).toBe('second')
    expect([chats(first), chats(second)]).toEqual([1, 5])
  })

  test('is over when it is over', async () => {
    const { gate, first } = await twoAccounts()
    first.faults.add({ match: {}, fault: 'fault-429-retry-after-ms-50', times: 1 })
    expect((await chat(gate)).upstream).toBe('second')
    await Bun.sleep(60)
    expect((await chat(gate)).upstream).toBe('first')
  })

  test('of the account that is free first is told where all are at their limits', async () => {
    const { gate, first, second } = await twoAccounts()
    first.faults.add({ match: {}, fault: 'fault-429-retry-after-90' })
    second.faults.add({ match: {}, fault: 'fault-429-retry-after-30' })
    const told = await chat(gate)
    expect(told).toMatchObject({ status: 429, attempts: 2 })
    expect(Number(told.headers.get('retry-after'))).toBeWithin(25, 31)
    // From now on nobody has to be asked.
    const refused = await chat(gate)
    expect(refused).toMatchObject({ status: 429, attempts: 0 })
    expect(refused.text).toContain('Rate limit exceeded. Please try again later.')
    expect(Number(refused.headers.get('retry-after'))).toBeWithin(25, 31)
    expect([chats(first), chats(second)]).toEqual([1, 1])
  })

  test('as a date is waited for as well', async () => {
    const limited = ScriptedUpstream.start((_, peer) =>
      peer.write(
        reply(429, '{"error":{"message":"slow down"}}', [
          `Retry-After: ${new Date(Date.now() + 60_000).toUTCString()}`,
        ]),
      ),
    )
    const gate = await startGate({
      upstreams: [upstreamAt(limited.url), upstreamAt(limited.url, { name: 'other' })],
    })
    const told = await chat(gate)
    expect(told.status).toBe(429)
    expect(Number(told.headers.get('retry-after'))).toBeWithin(50, 61)
    limited.stop()
  })
})

describe('no other upstream is asked after', () => {
  test.each([
    'fault-400',
    'fault-403',
    'fault-404',
    'fault-422',
    'fault-content-filter',
    'fault-context-length',
  ])('%s: it would be the same anywhere', async (fault) => {
    const { gate, first, second } = await twoAccounts()
    first.faults.add({ match: {}, fault })
    const answer = await chat(gate)
    expect(answer).toMatchObject({ upstream: 'first', attempts: 1 })
    expect(answer.status).toBe(Number(/\d{3}/.exec(fault)?.[0] ?? 400))
    expect(chats(second)).toBe(0)
  })

  test('one that says so: x-should-retry: false', async () => {
    const strict = ScriptedUpstream.start((_, peer) =>
      peer.write(reply(500, '{}', ['x-should-retry: false'])),
    )
    const gate = await startGate({
      upstreams: [upstreamAt(strict.url), upstreamAt(strict.url, { name: 'other' })],
      routes: [{ pick: 'priority' }],
    })
    expect(await chat(gate)).toMatchObject({ status: 500, upstream: 'main', attempts: 1 })
    strict.stop()
  })

  test('a failure of something that may have been done: an endpoint that is not repeatable', async () => {
    const { gate, first, second } = await twoAccounts()
    first.faults.add({ match: {}, fault: 'fault-500' })
    expect(await post(gate, '/v1/vector_stores', { name: 'x' })).toMatchObject({ status: 500, attempts: 1 })
    expect(second.requests).toHaveLength(0)
  })
})

describe('a request that is too long', () => {
  test('goes to the model that takes longer ones, once, where the route names it', async () => {
    const { gate, first, second } = await twoAccounts({ contextFallback: 'gpt-4.1' })
    for (const each of [first, second])
      each.faults.add({ match: { model: 'gpt-4o-mini' }, fault: 'fault-context-length' })
    const answer = await chat(gate)
    expect(answer).toMatchObject({ status: 200, attempts: 2 })
    expect(Buffer.from(first.requests.at(-1)!.body).toString()).toContain('"model":"gpt-4.1"')
    for (const each of [first, second])
      each.faults.add({ match: { model: 'gpt-4.1' }, fault: 'fault-context-length' })
    expect(await chat(gate)).toMatchObject({ status: 400, attempts: 2 })
  })

  test('streaming as well, also where the refusal comes as the first event', async () => {
    const { gate, first } = await twoAccounts({ contextFallback: 'gpt-4.1' })
    first.faults.add({ match: { model: 'gpt-4o-mini' }, fault: 'fault-context-length' })
    const answer = await chat(gate, { stream: true })
    expect(answer).toMatchObject({ status: 200, attempts: 2 })
    expect(answer.text).toContain('"model":"gpt-4.1')
    const error = { message: 'too long', type: 'invalid_request_error', code: 'context_length_exceeded' }
    const late = ScriptedUpstream.start(async (seen, peer) => {
      await peer.write(eventsHead)
      const long = seen.body.toString().includes('gpt-4.1')
      const delta = { choices: [{ index: 0, delta: { content: 'Hi' }, finish_reason: 'stop' }] }
      await peer.write(chunk(`data: ${JSON.stringify(long ? delta : { error })}\n\ndata: [DONE]\n\n`))
      await peer.write(lastChunk)
    })
    const other = await startGate({
      upstreams: [upstreamAt(late.url), upstreamAt(late.url, { name: 'other' })],
      routes: [{ pick: 'priority', contextFallback: 'gpt-4.1' }],
    })
    const told = await chat(other, { stream: true })
    expect(told).toMatchObject({ status: 200, attempts: 2 })
    expect(told.text).toContain('"content":"Hi"')
    expect(late.requests).toHaveLength(2)
    late.stop()
  })

  test('but never to a model that the caller may not use, nor to an upstream that is drained', async () => {
    const { first, second } = await twoAccounts()
    for (const each of [first, second])
      each.faults.add({ match: { model: 'gpt-4o-mini' }, fault: 'fault-context-length' })
    const upstreams = [upstreamAt(first.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })]
    const keys = [{ name: 'client', value: clientKey, models: ['gpt-4o-*'] }]
    const narrow = await startGate({
      upstreams,
      access: { keys },
      routes: [{ pick: 'priority', contextFallback: 'gpt-4.1' }],
    })
    expect(await chat(narrow)).toMatchObject({ status: 400, upstream: 'first', attempts: 1 })
    const token = 'a-token-of-the-operators-00001'
    const drained = await startGate({
      admin: { listen: '127.0.0.1:0', token },
      upstreams,
      routes: [{ pick: 'priority', contextFallback: 'second' }],
    })
    await callAdmin(drained.adminPort, 'POST /api/upstreams/second/drain', { token })
    expect(await chat(drained)).toMatchObject({ status: 400, upstream: 'first', attempts: 1 })
  })

  test('or to an upstream of the route', async () => {
    const { gate, first } = await twoAccounts({ contextFallback: 'second' })
    first.faults.add({ match: {}, fault: 'fault-context-length' })
    expect(await chat(gate)).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
  })
})

test('the books say of each attempt why it was no good', async () => {
  const ledger = new KeptLedger()
  const { first, second } = await twoAccounts()
  const upstreams = [upstreamAt(first.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })]
  for (const [fault, failure, status] of [
    ['fault-429', 'rate_limit_exceeded', 429],
    ['fault-insufficient-quota', 'rate_limit_exceeded', 429],
    ['fault-503', 'upstream_unavailable', 503],
    ['fault-context-length', 'bad_request', 400],
    ['fault-401', 'upstream_auth_failed', 401],
  ] as const) {
    const gate = await startGate(
      { upstreams, routes: [{ pick: 'priority', contextFallback: 'second' }] },
      { ledger },
    )
    first.faults.add({ match: {}, fault, times: 1 })
    const answer = await chat(gate)
    expect(answer).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
    const id = answer.headers.get('x-headgate-id')!
    await eventually(() => ledger.of(id).length === 2, 'both rows')
    const rows = ledger.of(id).toSorted((a, b) => a.id.localeCompare(b.id))
    expect(
      rows.map(({ upstream, failure, status, state }) => ({ upstream, failure, status, state })),
    ).toEqual([
      { upstream: 'first', failure, status, state: 'void' },
      { upstream: 'second', failure: null, status: 200, state: 'settled' },
    ])
  }
})

describe('where every upstream fails', () => {
  test('the last refusal passes as it came, with all attempts counted', async () => {
    const { gate, first, second } = await twoAccounts()
    first.faults.add({ match: {}, fault: 'fault-503' })
    second.faults.add({ match: {}, fault: 'fault-500' })
    const answer = await chat(gate)
    expect(answer).toMatchObject({ status: 500, upstream: 'second', attempts: 2 })
    expect(JSON.parse(answer.text).error.type).toBeString()
  })

  test('a refusal tells more than a broken connection', async () => {
    const { gate, first, second } = await twoAccounts()
    first.faults.add({ match: {}, fault: 'fault-503' })
    second.faults.add({ match: {}, fault: 'fault-reset' })
    expect(await chat(gate)).toMatchObject({ status: 503, upstream: 'first', attempts: 2 })
  })
})
