// Promise: what becomes of an answer or a WebSocket under way when its token expires is as `access.onExpire` says, and nobody
// else's is touched.

import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { goodToken, issuer, makeSigner } from '../jwt/tokens.ts'
import {
  ask,
  clientKey,
  eventually,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  startGate,
  upstreamAt,
} from './harness.ts'
import { dial } from './peer.ts'
import { chunk, eventsHead, lastChunk, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const signer = makeSigner('one', 'ES256')
const jwksFile = join(scratchFolder(), 'jwks.json')
writeFileSync(jwksFile, JSON.stringify({ keys: [signer.jwk] }))

let finish: (() => void)[] = []
const upstream = ScriptedUpstream.start(async (seen, peer) => {
  if (seen.method === 'GET') {
    await peer.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
    )
    await peer.write('frame')
  } else {
    await peer.write(eventsHead)
    await peer.write(chunk('data: {"first":1}\n\n'))
  }
  await new Promise<void>((resolve) => finish.push(resolve))
  await peer.write(
    seen.method === 'GET' ? 'last' : Buffer.concat([chunk('data: last\n\n'), Buffer.from(lastChunk)]),
  )
})
const socket = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]

test.each(['finish', 'abort'] as const)('%s', async (onExpire) => {
  finish = []
  const time = { aheadMs: 0 }
  // Before the clock is stopped: of the second after it, the token would not be valid yet.
  const token = goodToken(signer)
  // Only the wall's, which stands: what waits must not time out.
  const wallMs = systemClock.wallMs()
  const clock = { nowMs: () => systemClock.nowMs(), wallMs: () => wallMs + time.aheadMs }
  const jwt = [{ issuer, audience: 'headgate', jwksFile, algorithms: ['ES256'], clockTolerance: '0s' }]
  const access = { onExpire, jwt, keys: [{ name: 'client', value: clientKey }] }
  const gate = await startGate({ upstreams: [upstreamAt(upstream.url)], access }, { clock })
  const post = (key: string) =>
    request('POST', '/v1/chat/completions', { ...jsonBody({ model: 'x', stream: true }), key })
  const begun = await Promise.all(
    [post(token), request('GET', '/v1/realtime', { lines: socket, key: token }), post(clientKey)].map(
      async (bytes, index) => {
        const peer = await dial(gate.port)
        await peer.write(bytes)
        await peer.untilText(index === 1 ? 'frame' : '"first":1')
        return peer
      },
    ),
  )
  // The token holds for 600 s from a whole second on.
  time.aheadMs = 597_000
  await Bun.sleep(700)
  expect(begun.map((peer) => peer.closed)).toEqual([false, false, false])
  time.aheadMs = 700_000
  expect((await ask(gate.port, post(token))).status).toBe(401)
  if (onExpire === 'abort') {
    await eventually(() => begun[0]!.closed && begun[1]!.closed)
    const line = await gate.logged(
      ({ failure, path }) => failure === 'invalid_api_key' && path === '/v1/realtime',
    )
    expect(line['detail']).toContain('has expired')
  }
  for (const end of finish) end()
  await begun[2]!.untilText('data: last')
  if (onExpire === 'finish') {
    await begun[0]!.untilText('data: last')
    await begun[1]!.untilText('last')
  } else {
    for (const peer of begun.slice(0, 2)) expect(peer.received.toString()).not.toContain('last')
  }
  for (const peer of begun) peer.close()
})
