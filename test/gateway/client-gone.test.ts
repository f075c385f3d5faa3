// Promise (accounting rule 6): a client that leaves a stream has its upstream cut off at once, or read on to the usage
// within bounds, as configured; an answer in one piece is waited for, since its cost is spent. In every case the exchange
// is logged once, as 499, and nothing goes on behind it.

import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  eventually,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  served,
  startGate,
  upstreamAt,
  type Gate,
} from './harness.ts'
import { chunkedSoFar, readHead } from './message.ts'
import { dial, type Peer } from './peer.ts'
import { chunk, eventsHead, fine, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const bounds = { seconds: 30, bytes: '64KB', max: 50 }
const gates: Record<string, Gate> = {
  abort: await startGate({ upstreams: [upstreamAt(upstream.url)] }),
  drain: await startGate({ upstreams: [upstreamAt(upstream.url, { onClientGone: { drain: bounds } })] }),
}

const stream = request(
  'POST',
  '/v1/chat/completions',
  jsonBody({ model: 'gpt-4o', stream: true, messages: [] }),
)
const single = request('POST', '/v1/chat/completions', jsonBody({ model: 'gpt-4o', messages: [] }))
const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 }
const delta = `data: {"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"hi"}}],"usage":null}\n\n`
const last = `data: {"model":"gpt-4o","choices":[],"usage":${JSON.stringify(usage)}}\n\n`
const done = 'data: [DONE]\n\n'

async function leaving(gate: Gate, bytes: Uint8Array, at: (peer: Peer) => Promise<unknown>): Promise<void> {
  const peer = await dial(gate.port)
  await peer.write(bytes)
  await at(peer)
  peer.reset()
}

const asked = async (count: number): Promise<unknown> =>
  eventually(() => upstream.requests.length > count, 'the upstream to be asked')

/** What the upstream still has open is let go of, and the gate has no exchange under way. */
async function quiet(gate: Gate): Promise<void> {
  await eventually(() => gate.gateway.running.draining === 0 && gate.gateway.exchanges === 0, 'all to end')
}

describe('rule 6: an answer in one piece', () => {
  test.each(['abort', 'drain'])(
    '%s: is waited for, its usage is known, and it is logged once as 499',
    async (policy) => {
      const gate = gates[policy]!
      const before = gate.lines.length
      const count = upstream.requests.length
      const turn = Promise.withResolvers<void>()
      upstream.script = async (_, peer) => {
        await turn.promise
        await peer.write(reply(200, JSON.stringify({ model: 'gpt-4o-2024', choices: [], usage })))
      }
      await leaving(gate, single, () => asked(count))
      await eventually(() => gate.gateway.running.draining === 1, 'the wait')
      expect(gate.lines.length).toBe(before)
      expect(upstream.peers.at(-1)!.closed).toBe(false)
      turn.resolve()
      const line = await eventually(() => gate.lines[before], 'the line')
      expect(line).toMatchObject({
        status: 499,
        failure: 'client_gone',
        clientGone: true,
        answeredModel: 'gpt-4o-2024',
        usage: { input: 5, output: 7 },
      })
      await quiet(gate)
      expect(gate.lines.length).toBe(before + 1)
    },
  )

  test('that never comes ends the wait by the upstream’s time-out', async () => {
    const own = await startGate({
      upstreams: [upstreamAt(upstream.url, { timeouts: { firstByte: '300ms' } })],
    })
    const count = upstream.requests.length
    upstream.script = () => {}
    await leaving(own, single, () => asked(count))
    expect(await own.logged(() => true)).toMatchObject({ status: 499, failure: 'client_gone' })
    await quiet(own)
  })

  test('that breaks off, and one that is an error, end it too', async () => {
    const gate = gates['abort']!
    for (const answer of [
      null,
      reply(500, '{"error":{"message":"no"}}'),
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{',
    ]) {
      const before = gate.lines.length
      const count = upstream.requests.length
      const turn = Promise.withResolvers<void>()
      upstream.script = async (_, peer) => {
        await turn.promise
        if (answer !== null) await peer.write(answer)
        peer.close()
      }
      await leaving(gate, single, () => asked(count))
      await eventually(() => gate.gateway.running.draining === 1, 'the wait')
      turn.resolve()
      expect(await eventually(() => gate.lines[before], 'the line')).toMatchObject({ status: 499 })
      await quiet(gate)
    }
  })

  test('of some megabytes is read on for its usage', async () => {
    const gate = gates['abort']!
    const before = gate.lines.length
    const answer = JSON.stringify({ model: 'm', pad: 'x'.repeat(3 * 1024 * 1024), usage })
    const turn = Promise.withResolvers<void>()
    upstream.script = async (_, peer) => {
      const bytes = reply(200, answer)
      await peer.write(bytes.subarray(0, 2 * 1024 * 1024))
      await turn.promise
      await peer.write(bytes.subarray(2 * 1024 * 1024))
    }
    await leaving(gate, single, (peer) => peer.until(() => peer.received.length > 100_000, 'some of it'))
    await eventually(() => gate.gateway.running.draining === 1, 'the reading on')
    turn.resolve()
    expect(await eventually(() => gate.lines[before], 'the line')).toMatchObject({
      status: 499,
      usage: { input: 5, output: 7 },
    })
  })
})

describe('rule 6: a stream', () => {
  test('drain: is read on to its usage, then the upstream is let go of though it stays open', async () => {
    const gate = gates['drain']!
    const before = gate.lines.length
    const turn = Promise.withResolvers<void>()
    let far = null as Peer | null
    upstream.script = async (_, peer) => {
      far = peer
      await peer.write(`${eventsHead}${chunk(delta)}`)
      await turn.promise
      await peer.write(chunk(delta))
      await peer.write(chunk(last))
    }
    await leaving(gate, stream, (peer) => peer.untilText('"hi"'))
    await eventually(() => gate.gateway.running.draining === 1, 'the reading on')
    turn.resolve()
    expect(await eventually(() => gate.lines[before], 'the line')).toMatchObject({
      status: 499,
      failure: 'client_gone',
      usage: { input: 5, output: 7 },
    })
    await eventually(() => far?.closed === true || far?.ended === true, 'the upstream to be let go')
    await quiet(gate)
  })

  test('drain: before its first event', async () => {
    const gate = gates['drain']!
    const before = gate.lines.length
    const count = upstream.requests.length
    const turn = Promise.withResolvers<void>()
    upstream.script = async (_, peer) => {
      await turn.promise
      await peer.write(`${eventsHead}${chunk(delta)}${chunk(last)}${chunk(done)}${lastChunk}`)
    }
    await leaving(gate, stream, () => asked(count))
    await eventually(() => gate.gateway.running.draining === 1, 'the wait')
    turn.resolve()
    expect(await eventually(() => gate.lines[before], 'the line')).toMatchObject({
      status: 499,
      usage: { input: 5 },
    })
  })

  test('drain: ends at the bound of bytes, and of seconds', async () => {
    const gate = await startGate({
      upstreams: [
        upstreamAt(upstream.url, { onClientGone: { drain: { seconds: 1, bytes: '4KB', max: 5 } } }),
      ],
    })
    upstream.script = async (_, peer) => {
      await peer.write(eventsHead)
      for (; !peer.closed; await Bun.sleep(1)) await peer.write(chunk(delta))
    }
    await leaving(gate, stream, (peer) => peer.untilText('"hi"'))
    expect(await eventually(() => gate.lines[0], 'the line')).toMatchObject({ status: 499 })
    expect(gate.lines[0]).not.toHaveProperty('usage')
    upstream.script = (_, peer) => peer.write(`${eventsHead}${chunk(delta)}`)
    await leaving(gate, stream, (peer) => peer.untilText('"hi"'))
    await eventually(() => gate.gateway.running.draining === 1, 'the reading on')
    expect(await eventually(() => gate.lines[1], 'the line')).toMatchObject({ status: 499 })
    await quiet(gate)
  })

  test('drain: of 100 that leave as many are read on as may be, the rest is aborted, and all are logged once', async () => {
    const gate = gates['drain']!
    const before = gate.lines.length
    const turn = Promise.withResolvers<void>()
    upstream.script = async (_, peer) => {
      await peer.write(`${eventsHead}${chunk(delta)}`)
      await turn.promise
      if (!peer.closed) await peer.write(`${chunk(last)}${chunk(done)}${lastChunk}`)
    }
    await Promise.all(
      Array.from({ length: 100 }, () => leaving(gate, stream, (peer) => peer.untilText('"hi"'))),
    )
    await eventually(() => gate.lines.length === before + 50, 'those over the bound')
    expect(gate.gateway.running.draining).toBe(50)
    turn.resolve()
    await eventually(() => gate.lines.length === before + 100, 'all')
    const known = gate.lines.slice(before).filter((line) => line['usage'] !== undefined)
    expect(known.length).toBe(50)
    await quiet(gate)
  })

  test('a reload does not cut what is read on', async () => {
    const tree = { upstreams: [upstreamAt(upstream.url, { onClientGone: 'drain' })] }
    const gate = await startGate(tree)
    const turn = Promise.withResolvers<void>()
    upstream.script = async (_, peer) => {
      await peer.write(`${eventsHead}${chunk(delta)}`)
      await turn.promise
      await peer.write(`${chunk(last)}${chunk(done)}${lastChunk}`)
    }
    await leaving(gate, stream, (peer) => peer.untilText('"hi"'))
    await eventually(() => gate.gateway.running.draining === 1, 'the reading on')
    await gate.reload(tree)
    turn.resolve()
    expect(await gate.logged(() => true)).toMatchObject({ status: 499, usage: { input: 5 } })
  })

  test('SIGTERM waits for what is read on, and no longer than it waits at all', async () => {
    for (const [wait, answers] of [
      ['10s', true],
      ['1s', false],
    ] as const) {
      const turn = Promise.withResolvers<void>()
      upstream.script = async (_, peer) => {
        await peer.write(`${eventsHead}${chunk(delta)}`)
        await turn.promise
        if (!peer.closed) await peer.write(`${chunk(last)}${chunk(done)}${lastChunk}`)
      }
      const folder = scratchFolder()
      const own = await served({
        folder,
        tree: {
          server: { timeouts: { drain: wait } },
          upstreams: [upstreamAt(upstream.url, { onClientGone: 'drain' })],
        },
      })
      const peer = await dial(own.port)
      await peer.write(stream)
      await peer.untilText('"hi"')
      peer.reset()
      await Bun.sleep(100)
      own.signal('SIGTERM')
      await own.says('draining')
      if (answers) turn.resolve()
      expect(await own.exited).toBe(0)
      const [line] = own.lines()
      expect([answers, line?.['status'], line?.['usage']?.['input']]).toEqual([
        answers,
        499,
        answers ? 5 : undefined,
      ])
      turn.resolve()
    }
  })
})

const data = process.env['HEADGATE_TEST_DATA'] ?? join(import.meta.dir, '..', '..', '..', 'shared', 'data')
const recordings = [
  'openai-compatible/xai-tool-call.chunks.txt',
  'deepseek/deepseek-tool-call.chunks.txt',
  'groq/groq-text.chunks.txt',
].filter((file) => existsSync(join(data, 'streams', file)))

describe('rule 6: the client cut at many bytes of recorded streams', () => {
  for (const file of recordings) {
    const lines = readFileSync(join(data, 'streams', file), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
    const frames = [...lines.map((line) => `data: ${line}\n\n`), done]
    const reports = lines.some((line) => /"usage":\{/.test(line))

    test.each(['abort', 'drain'])(
      `${file}, %s: usage is known as the model says (needs the test data)`,
      async (policy) => {
        const gate = gates[policy]!
        // Every place between two frames, and some amid one; the upstream goes on only after the client has left.
        for (let at = 0; at < frames.length; at += Math.max(1, Math.floor(frames.length / 25))) {
          const before = gate.lines.length
          const turn = Promise.withResolvers<void>()
          const first = Buffer.from(frames.slice(0, at).join('') + frames[at]!.slice(0, 5))
          const rest = Buffer.from(frames.join('')).subarray(first.length)
          upstream.script = async (_, peer) => {
            await peer.write(eventsHead)
            await peer.write(chunk(first))
            await turn.promise
            if (!peer.closed) await peer.write(Buffer.concat([chunk(rest), Buffer.from(lastChunk)]))
          }
          const peer = await dial(gate.port)
          await peer.write(stream)
          await peer.until(() => readHead(peer.received) !== null, 'the head')
          // Frames that carry nothing but what was asked for on the client's behalf do not come.
          const visible = frames
            .slice(0, at)
            .filter((frame) => !/"choices":\[\],.*"usage":\{/.test(frame)).length
          await peer.until(
            () => chunkedSoFar(body(peer)).toString().split('\n\n').length > visible,
            'the frames',
          )
          peer.reset()
          const seen = frames.slice(0, at).some((frame) => /"usage":\{/.test(frame))
          // Until the gate has noticed, nothing more may come.
          await eventually(
            () => gate.lines[before] ?? gate.gateway.running.draining > 0,
            'the gate to notice',
          )
          turn.resolve()
          const line = await eventually(() => gate.lines[before], 'the line')
          const known = policy === 'drain' ? reports : seen
          expect([file, at, line['status'], line['usage'] !== undefined]).toEqual([file, at, 499, known])
        }
        await quiet(gate)
      },
    )
  }
})

function body(peer: Peer): Buffer {
  const head = readHead(peer.received)
  return head === null ? Buffer.alloc(0) : peer.received.subarray(head.length)
}
