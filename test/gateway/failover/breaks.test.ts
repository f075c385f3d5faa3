// Promise: an upstream that breaks before it has said anything is replaced without the client noticing; one that breaks
// amid its answer is told as broken, and nothing is said twice.

import { describe, expect, test } from 'bun:test'
import { jsonBody, promiseTests, request, startGate, upstreamAt } from '../harness.ts'
import { readReply } from '../message.ts'
import { dial } from '../peer.ts'
import { chunk, eventsHead, lastChunk, ScriptedUpstream } from '../scripted-upstream.ts'
import { chat, chats, post, said, twoAccounts } from './accounts.ts'

promiseTests()

const quick = { timeouts: { firstByte: '300ms', firstToken: '300ms', idle: '300ms' } }

describe('before the first content another upstream takes over from', () => {
  for (const [what, fault] of [
    ['a reset', 'fault-reset'],
    ['a closed connection', 'fault-close'],
    ['bytes that are not HTTP', 'fault-malformed-http'],
    ['a silent upstream', 'fault-silence'],
    ['a slow first byte', 'fault-slow-headers-5000'],
  ] as const)
    for (const stream of [false, true])
      test(`${what}${stream ? ', streaming' : ''}`, async () => {
        const { gate, first } = await twoAccounts({}, quick)
        first.faults.add({ match: {}, fault })
        const answer = await chat(gate, { stream })
        expect(answer).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
        if (stream) expect(said(answer.text)).toMatchObject({ done: true, error: null })
      })

  for (const [what, fault] of [
    ['a slow first token', 'fault-slow-first-token-5000'],
    ['a stream cut before any event', 'fault-cut-0'],
    ['a stream cut behind its opening', 'fault-cut-1'],
    ['a stream reset behind its opening', 'fault-cut-reset-1'],
    ['a stream that ends behind its opening as if it were complete', 'fault-cut-clean-1'],
    ['a stall behind the opening', 'fault-stall-1'],
    ['a malformed chunk', 'fault-malformed-chunk-0'],
    ['an error event in a 200', 'fault-error-frame-0'],
    ['an error event behind the opening', 'fault-error-frame-1'],
  ] as const)
    test(what, async () => {
      const { gate, first, second } = await twoAccounts({}, quick)
      first.faults.add({ match: {}, fault })
      const answer = await chat(gate, { stream: true })
      expect(answer).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
      const { content, done, error } = said(answer.text)
      expect({ done, error, roles: answer.text.split('"role"').length - 1 }).toEqual({
        done: true,
        error: null,
        roles: 1,
      })
      const alone = await chat({ port: second.port }, { stream: true })
      expect(content).toBe(said(alone.text).content)
    })

  test('a Responses stream that fails behind response.created', async () => {
    const { gate, first } = await twoAccounts({}, quick)
    first.faults.add({ match: {}, fault: 'fault-cut-2' })
    const answer = await post(gate, '/v1/responses', { model: 'gpt-4o-mini', input: 'Hello', stream: true })
    expect(answer).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
    expect(answer.text.split('event: response.created').length).toBe(2)
    expect(answer.text).toContain('event: response.completed')
  })

  test('a Responses stream whose first word is that it failed', async () => {
    const failing = ScriptedUpstream.start((_, peer) => {
      const event = { type: 'response.failed', response: { id: 'resp_1', error: { code: 'server_error' } } }
      void peer.write(eventsHead)
      void peer.write(chunk(`event: response.failed\ndata: ${JSON.stringify(event)}\n\n`))
      void peer.write(lastChunk)
    })
    const { second } = await twoAccounts()
    const gate = await startGate({
      upstreams: [upstreamAt(failing.url), upstreamAt(second.url, { name: 'second' })],
      routes: [{ pick: 'priority' }],
    })
    const answer = await post(gate, '/v1/responses', { model: 'gpt-4o-mini', input: 'Hello', stream: true })
    expect(answer).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
    failing.stop()
  })
})

describe('behind the first content nothing is asked again', () => {
  for (const [what, fault] of [
    ['a cut', 'fault-cut-3'],
    ['a stall', 'fault-stall-3'],
    ['an end without [DONE]', 'fault-cut-clean-3'],
  ] as const)
    test(`after ${what}: an error event, and no [DONE]`, async () => {
      const { gate, first, second } = await twoAccounts({}, quick)
      first.faults.add({ match: {}, fault })
      const answer = await chat(gate, { stream: true })
      expect(answer).toMatchObject({ status: 200, upstream: 'first', attempts: 1 })
      const { done, error } = said(answer.text)
      expect(done).toBe(false)
      expect(error).toBeOneOf(['upstream_unavailable', 'upstream_timeout'])
      expect(chats(second)).toBe(0)
    })
})

test('after a reset: an error event, and no [DONE], where content was told', async () => {
  const { second } = await twoAccounts()
  const told = Promise.withResolvers<void>()
  const resetting = ScriptedUpstream.start(async (_, peer) => {
    const event = { id: 'c', choices: [{ index: 0, delta: { content: 'Some' }, finish_reason: null }] }
    void peer.write(eventsHead)
    void peer.write(chunk(`data: ${JSON.stringify(event)}\n\n`))
    // A reset takes away what was not read yet.
    await told.promise
    peer.reset()
  })
  const gate = await startGate({
    upstreams: [upstreamAt(resetting.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })],
    routes: [{ pick: 'priority' }],
  })
  const peer = await dial(gate.port)
  const body = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Say something.' }], stream: true }
  void peer.write(request('POST', '/v1/chat/completions', jsonBody(body)))
  await peer.untilText('Some')
  told.resolve()
  const answer = await readReply(peer)
  expect(answer.status).toBe(200)
  expect(answer.header('x-headgate-upstream')).toBe('first')
  expect(answer.header('x-headgate-attempts')).toBe('1')
  expect(said(answer.body.toString())).toMatchObject({ done: false, error: 'upstream_unavailable' })
  expect(chats(second)).toBe(0)
  peer.close()
  resetting.stop()
})

test('a stream that only opens, and every upstream breaks: a clean 502, not half a stream', async () => {
  const { gate, first, second } = await twoAccounts()
  for (const each of [first, second]) each.faults.add({ match: {}, fault: 'fault-cut-1' })
  const answer = await chat(gate, { stream: true })
  expect(answer).toMatchObject({ status: 502, attempts: 2 })
  expect(JSON.parse(answer.text).error.code).toBe('upstream_unavailable')
})

test('an answer in JSON that breaks off is asked for again', async () => {
  const { gate, first } = await twoAccounts()
  first.faults.add({ match: {}, fault: 'fault-cut' })
  expect(await chat(gate)).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
})

test('a streamed upload is only sent elsewhere where the first upstream cannot be reached', async () => {
  const { second, first } = await twoAccounts()
  const gone = ScriptedUpstream.start(() => {})
  const { url } = gone
  gone.stop()
  const tree = (baseUrl: string) => ({
    upstreams: [upstreamAt(baseUrl, { name: 'first' }), upstreamAt(second.url, { name: 'second' })],
    routes: [{ pick: 'priority' }],
  })
  const form = (): FormData => {
    const data = new FormData()
    data.set('model', 'whisper-1')
    data.set('file', new Blob([new Uint8Array(600_000)]), 'a.wav')
    return data
  }
  const upload = async (port: number) =>
    (
      await fetch(`http://127.0.0.1:${port}/v1/audio/transcriptions`, {
        method: 'POST',
        headers: { authorization: 'Bearer hg_test_7Rk2vXq9LmZt4WcYb8NfHs3JgPd6Ua5E' },
        body: form(),
      })
    ).status
  expect(await upload((await startGate(tree(url))).port)).toBe(200)
  first.faults.add({ match: {}, fault: 'fault-500' })
  expect(await upload((await startGate(tree(first.url))).port)).toBe(500)
})
