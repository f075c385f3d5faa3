// Promise: failing over neither loses nor doubles a byte, wherever the network cuts a stream.

import { expect, test } from 'bun:test'
import { finallyClose, promiseTests, startGate, upstreamAt } from '../harness.ts'
import { chunk, eventsHead, lastChunk, ScriptedUpstream } from '../scripted-upstream.ts'
import { chat } from './accounts.ts'

promiseTests()

const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`
const delta = (text: object, finish: string | null = null): string =>
  event({ id: 'c1', choices: [{ index: 0, delta: text, finish_reason: finish }] })
const opening = `: ping\n\n${delta({ role: 'assistant', content: '' })}`
const stream = `${opening}${delta({ content: 'héllo ' })}${delta({ content: '🌍' })}${delta({}, 'stop')}data: [DONE]\n\n`

test('a stream split at every byte arrives whole, behind an upstream that broke at that byte of its opening', async () => {
  const bytes = Buffer.from(stream)
  const opened = Buffer.from(opening)
  let at = 0
  const breaking = ScriptedUpstream.start((_, peer) => {
    void peer.write(eventsHead)
    void peer.write(chunk(opened.subarray(0, 1 + (at % opened.length))))
    peer.close()
  })
  const splitting = ScriptedUpstream.start(async (_, peer) => {
    await peer.write(eventsHead)
    await peer.write(chunk(bytes.subarray(0, at)))
    await peer.write(chunk(bytes.subarray(at)))
    await peer.write(lastChunk)
  })
  finallyClose(() => breaking.stop())
  finallyClose(() => splitting.stop())
  const gate = await startGate({
    upstreams: [
      upstreamAt(breaking.url, { name: 'breaking' }),
      upstreamAt(splitting.url, { name: 'splitting' }),
    ],
    routes: [{ pick: 'priority', breaker: { failures: 100, cooldown: '100ms' } }],
  })
  for (at = 1; at < bytes.length; at++) {
    const answer = await chat(gate, { stream: true })
    if (answer.text !== stream) expect({ at, text: answer.text }).toEqual({ at, text: stream })
    expect(answer.upstream).toBe('splitting')
  }
})

test('where nothing could follow, nothing is held back', async () => {
  const pausing = ScriptedUpstream.start((_, peer) => {
    void peer.write(eventsHead)
    void peer.write(chunk(opening))
  })
  finallyClose(() => pausing.stop())
  const gate = await startGate({ upstreams: [upstreamAt(pausing.url)] })
  const response = await fetch(`http://127.0.0.1:${gate.port}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer hg_test_7Rk2vXq9LmZt4WcYb8NfHs3JgPd6Ua5E',
      'content-type': 'application/json',
    },
    body: JSON.stringify({ model: 'm', stream: true }),
  })
  const reader = response.body!.getReader()
  let got = ''
  while (got.length < opening.length) {
    const { value = new Uint8Array() } = await reader.read()
    got += Buffer.from(value).toString()
  }
  expect(got).toBe(opening)
  await reader.cancel()
})
