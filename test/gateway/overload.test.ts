// Promise: more than the gateway can do is turned away at once with 503, the admin port answers all the while, and when the
// flood is over everybody passes again.

import { expect, test } from 'bun:test'
import {
  ask,
  eventually,
  finallyClose,
  jsonBody,
  promiseTests,
  request,
  served,
  upstreamAt,
} from './harness.ts'
import { readReply } from './message.ts'
import { dial } from './peer.ts'
import { reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const chat = request('POST', '/v1/chat/completions', jsonBody({ model: 'gpt-4o', messages: [], pad: 'x'.repeat(4000) })) // prettier-ignore

test('a flood is shed, and is over when it is over', async () => {
  const upstream = ScriptedUpstream.start((_, peer) => peer.write(reply(200, '{}')))
  finallyClose(() => upstream.stop())
  const gate = await served({
    tree: { server: { overload: { mode: 'shed', delay: '2ms' } }, upstreams: [upstreamAt(upstream.url)] },
  })
  const seen = new Map<number, number>()
  let told: string | null = null
  const flood = async (): Promise<boolean> => {
    const answers = await Promise.all(
      Array.from({ length: 500 }, () => ask(gate.port, chat, 'POST').catch(() => null)),
    )
    for (const answer of answers) {
      if (answer === null) continue
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1)
      if (answer.status === 503 && answer.json().error.message.startsWith('The gateway is overloaded'))
        told = answer.header('retry-after')
    }
    const health = await fetch(`http://127.0.0.1:${gate.adminPort}/healthz`)
    expect(health.status).toBe(200)
    return told !== null
  }
  await eventually(flood, 'something to be shed', 45_000)
  expect(told!).toBe('1')
  expect(seen.get(200) ?? 0).toBeGreaterThan(0)
  await eventually(async () => (await ask(gate.port, chat, 'POST')).status === 200, 'the flood to be over')
  expect(await gate.says(/overloaded: \d+ new requests were turned away with 503/)).toContain('overloaded')
})

test('who waits when SIGTERM comes gets its answer, and a client that has left meanwhile holds nothing up', async () => {
  const upstream = ScriptedUpstream.start((_, peer) => peer.write(reply(200, '{}')))
  finallyClose(() => upstream.stop())
  const gate = await served({
    tree: { server: { overload: { delay: '10s' } }, upstreams: [upstreamAt(upstream.url)] },
  })
  const answers: Promise<number>[] = []
  const sent: Promise<void>[] = []
  const peers = await Promise.all(Array.from({ length: 400 }, () => dial(gate.port)))
  for (const [at, peer] of peers.entries()) {
    sent.push(peer.write(chat))
    if (at % 4 === 3) continue
    answers.push(readReply(peer, 'POST').then(({ status }) => status))
  }
  await Promise.all(sent)
  for (const [at, peer] of peers.entries()) if (at % 4 === 3) peer.close()
  gate.signal('SIGTERM')
  const seen = await Promise.all(answers)
  expect(new Set(seen)).toEqual(new Set([200]))
  for (const peer of peers) peer.close()
  expect(await gate.exited).toBe(0)
})
