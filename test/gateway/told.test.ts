// Promise (accounting rule 8, and reports): what a request says of itself is taken down within bounds, and what cannot be
// is refused with a reason; none of it reaches the upstream but what is the SDK's.

import { expect, test } from 'bun:test'
import { ask, clientKey, jsonBody, promiseTests, request, startGate, upstreamAt } from './harness.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const gate = await startGate({ upstreams: [upstreamAt(upstream.url)] })
const body = jsonBody({ model: 'gpt-4o', messages: [] })

const withLines = (...lines: string[]): Buffer =>
  request('POST', '/v1/chat/completions', { ...body, lines: [...body.lines, ...lines], key: clientKey })

test('metadata passes the gate, and is not shown to the upstream', async () => {
  const answer = await ask(
    gate.port,
    withLines('x-headgate-metadata: {"job":"nightly"}', 'x-stainless-retry-count: 2'),
    'POST',
  )
  expect(answer.status).toBe(200)
  expect([
    upstream.last.header('x-headgate-metadata'),
    upstream.last.header('x-stainless-retry-count'),
  ]).toEqual([null, '2'])
})

test.each([
  ['no JSON', 'nonsense'],
  ['a list', '["a"]'],
  ['text', '"a"'],
  ['a number as value', '{"a":1}'],
  ['an object as value', '{"a":{}}'],
  ['an empty name', '{"":"x"}'],
  ['17 pairs', JSON.stringify(Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, 'v'])))],
  ['a long name', JSON.stringify({ ['n'.repeat(65)]: 'v' })],
  ['a long value', JSON.stringify({ n: 'v'.repeat(513) })],
])('metadata that is %s is refused with 400', async (_, value) => {
  const count = upstream.requests.length
  const answer = await ask(gate.port, withLines(`x-headgate-metadata: ${value}`), 'POST')
  expect(answer.status).toBe(400)
  const { error } = JSON.parse(answer.body.toString()) as {
    error: { param: string; message: string; code: string }
  }
  expect([error.param, error.code]).toEqual(['x-headgate-metadata', 'bad_request'])
  expect(error.message).toContain('JSON object of up to 16 pairs')
  expect(upstream.requests.length).toBe(count)
})

test('metadata sent twice is refused', async () => {
  const answer = await ask(
    gate.port,
    withLines('x-headgate-metadata: {"a":"b"}', 'X-Headgate-Metadata: {"a":"c"}'),
    'POST',
  )
  expect(answer.status).toBe(400)
})
