// Promise: identical calls under way at the same time cost one upstream call, whole or streamed, in whatever form each wants it;
// nobody's leaving ends it for the others, and nobody gets what belongs to another tenant.

import { expect, test } from 'bun:test'
import type { Clock } from '../../src/base/clock.ts'
import { asks, call, chat, completion, completionFrames, MovedClock, status, textOf } from './cache-calls.ts'
import {
  access,
  eventually,
  jsonBody,
  promiseTests,
  request,
  startGate,
  upstreamAt,
  type ConfigTree,
} from './harness.ts'
import { readReply, type RawReply } from './message.ts'
import { dial } from './peer.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream, type Script } from './scripted-upstream.ts'

promiseTests()

/** An upstream whose answers wait until the test lets them go on. */
function gated() {
  const waiting: (() => void)[] = []
  const step = () => new Promise<void>((resolve) => waiting.push(resolve))
  return {
    step,
    waiting,
    /** Lets everything go that waits. */
    go: () => waiting.splice(0).forEach((resolve) => resolve()),
  }
}

async function start(
  script: Script,
  cache: object = {},
  parts: { clock?: Clock } = {},
  more: ConfigTree = {},
) {
  const upstream = ScriptedUpstream.start(script)
  const gate = await startGate(
    {
      upstreams: [upstreamAt(upstream.url, more)],
      access: { keys: [...access.keys, { name: 'other', value: otherKey, team: 'other' }] },
      server: { limits: { connectionsPerAddress: 10_000 } },
      cache: { mode: 'exact', ...cache },
    },
    parts,
  )
  const under = (count: number) => eventually(() => gate.gateway.exchanges === count, `${count} exchanges`)
  return { upstream, gate, under }
}

const otherKey = 'hg_test_other_000000000000000000000000009'
const counts = (answers: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    [...new Set(answers)].sort().map((one) => [one, answers.filter((x) => x === one).length]),
  )

test('100 identical calls, half of them streams: one upstream call, and every answer whole', async () => {
  const hold = gated()
  const { upstream, gate, under } = await start(async (_, peer) => {
    await hold.step()
    await peer.write(reply(200, completion('shared')))
  })
  const calls = Array.from({ length: 100 }, (_, index) =>
    call(gate.port, chat('c', { stream: index % 2 === 1 })),
  )
  await under(100)
  await eventually(() => hold.waiting.length === 1)
  hold.go()
  const answers = await Promise.all(calls)
  expect(counts(answers.map(status))).toEqual({ COALESCED: 99, MISS: 1 })
  expect(counts(answers.map(textOf))).toEqual({ shared: 100 })
  expect(upstream.requests.length).toBe(1)
})

test('100 identical streams: whoever joins late gets the whole from its start, then what comes live', async () => {
  const hold = gated()
  const { upstream, gate, under } = await start(async (_, peer) => {
    await peer.write(eventsHead)
    const frames = completionFrames('abcdef', false)
    for (const [index, frame] of frames.entries()) {
      if (index === 4) await hold.step()
      await peer.write(chunk(frame))
    }
    await peer.write(lastChunk)
  })
  const first = await dial(gate.port)
  void first.write(request('POST', '/v1/chat/completions', jsonBody(chat('l', { stream: true }))))
  await first.untilText('"content":"c"')
  const late = Array.from({ length: 98 }, () => call(gate.port, chat('l', { stream: true })))
  const whole = call(gate.port, chat('l', { stream: false }))
  await under(100)
  const reader = await dial(gate.port)
  void reader.write(request('POST', '/v1/chat/completions', jsonBody(chat('l', { stream: true }))))
  // Live: it is told what came before, though the upstream has not gone on.
  await reader.untilText('"content":"c"')
  expect(reader.text).not.toContain('"content":"d"')
  hold.go()
  const answers = await Promise.all(late)
  const text = (await readReply(first)).body.toString()
  expect(counts(answers.map((one) => one.body.toString()))).toEqual({ [text]: 98 })
  expect(counts(answers.map(status))).toEqual({ COALESCED: 98 })
  expect((await readReply(reader)).body.toString()).toBe(text)
  // Its usage is not known here, so what wants JSON is not given less than it would get.
  hold.go()
  await eventually(() => upstream.requests.length === 2)
  hold.go()
  await whole.catch(() => {})
  expect(upstream.requests.length).toBe(2)
})

test('a stream with its usage also answers those who want JSON, and those who want no usage get none', async () => {
  const hold = gated()
  const { upstream, gate, under } = await start(async (_, peer) => {
    await peer.write(eventsHead)
    for (const frame of completionFrames('ab', true)) await peer.write(chunk(frame))
    await hold.step()
    await peer.write(lastChunk)
  })
  const asked = call(gate.port, chat('u', { stream: true, stream_options: { include_usage: true } }))
  await eventually(() => upstream.requests.length === 1)
  const whole = call(gate.port, chat('u'))
  const bare = call(gate.port, chat('u', { stream: true }))
  await under(3)
  await eventually(() => hold.waiting.length === 1)
  hold.go()
  const [a, b, c] = await Promise.all([asked, whole, bare])
  expect([a, b, c].map(status)).toEqual(['MISS', 'COALESCED', 'COALESCED'])
  expect([a, b, c].map(textOf)).toEqual(['ab', 'ab', 'ab'])
  expect(b.json().usage).toEqual({ prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 })
  expect(a.body.toString()).toContain('"choices":[],"usage":{')
  expect(c.body.toString()).not.toContain('"usage"')
  expect(c.body.toString()).toEndWith('data: [DONE]\n\n')
})

test.each<[string, { stream_options?: { include_usage: boolean } }]>([
  ['the leader did not ask for usage', {}],
  ['the leader said no', { stream_options: { include_usage: false } }],
  ['the leader asked', { stream_options: { include_usage: true } }],
])(
  '%s: whoever reads along, comes late, or is revalidated gets usage where it asked, and one call is made',
  async (_, led) => {
    const hold = gated()
    const clock = new MovedClock()
    const { upstream, gate, under } = await start(
      async (seen, peer) => {
        const { stream_options: options } = asks(seen)
        await peer.write(eventsHead)
        for (const frame of completionFrames('say "usage":null', options?.include_usage === true))
          await peer.write(chunk(frame))
        await hold.step()
        await peer.write(lastChunk)
      },
      { staleWhileRevalidate: '10m', ttl: '60s' },
      { clock },
    )
    const askedFor = { stream: true, stream_options: { include_usage: true } }
    const leading = call(gate.port, chat('v', { stream: true, ...led }))
    await eventually(() => upstream.requests.length === 1)
    const following = [{ stream: true }, askedFor, {}].map((more) => call(gate.port, chat('v', more)))
    await under(4)
    await eventually(() => hold.waiting.length === 1)
    hold.go()
    const [leader, bare, full, whole] = await Promise.all([leading, ...following])
    const told = completionFrames('say "usage":null', true).join('')
    const untold = completionFrames('say "usage":null', false).join('')
    const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }
    const bytes = (answer: RawReply | undefined): string => answer!.body.toString()
    expect(bytes(leader)).toBe(led.stream_options?.include_usage === true ? told : untold)
    expect([bytes(bare), bytes(full), whole!.json().usage]).toEqual([untold, told, usage])
    expect([leader, bare, full, whole].map((answer) => status(answer!))).toEqual(['MISS', 'COALESCED', 'COALESCED', 'COALESCED']) // prettier-ignore
    for (const expected of ['HIT', 'STALE']) {
      const later = [{ stream: true }, askedFor, {}, { stream: true, ...led }]
      const answers = await Promise.all(later.map((more) => call(gate.port, chat('v', more))))
      expect(answers.map(status)).toEqual(answers.map(() => expected))
      expect(bytes(answers[0])).toBe(untold)
      expect(bytes(answers[1])).toBe(told)
      expect(answers[2]!.json().usage).toEqual(usage)
      expect(bytes(answers[3])).toBe(bytes(leader))
      if (expected === 'HIT') expect(upstream.requests.length).toBe(1)
      clock.aheadMs += 70_000
    }
    // What is fetched anew behind them is for all of them as well.
    await eventually(() => hold.waiting.length === 1)
    hold.go()
    await under(0)
    const renewed = await Promise.all(
      [{ stream: true }, askedFor].map((more) => call(gate.port, chat('v', more))),
    )
    expect(renewed.map((answer) => [status(answer), bytes(answer)])).toEqual([
      ['HIT', untold],
      ['HIT', told],
    ])
    expect(upstream.requests.length).toBe(2)
  },
)

test('an upstream that is not asked for usage: whoever asks for it does not get a stream without', async () => {
  const hold = gated()
  const { upstream, gate } = await start(
    async (seen, peer) => {
      await peer.write(eventsHead)
      for (const frame of completionFrames('ab', asks(seen).stream_options?.include_usage === true))
        await peer.write(chunk(frame))
      await hold.step()
      await peer.write(lastChunk)
    },
    {},
    {},
    { includeUsage: false },
  )
  const first = call(gate.port, chat('w', { stream: true }))
  await eventually(() => hold.waiting.length === 1)
  const asking = call(gate.port, chat('w', { stream: true, stream_options: { include_usage: true } }))
  await eventually(() => gate.gateway.exchanges === 2)
  hold.go()
  expect((await first).body.toString()).toBe(completionFrames('ab', false).join(''))
  await eventually(() => hold.waiting.length === 1)
  hold.go()
  expect((await asking).body.toString()).toBe(completionFrames('ab', true).join(''))
  expect(upstream.requests.length).toBe(2)
})

test('a leader that leaves before the answer, or amid it, does not end those who wait; its call is still counted', async () => {
  for (const amid of [false, true]) {
    const hold = gated()
    const { upstream, gate, under } = await start(async (_, peer) => {
      if (!amid) await hold.step()
      await peer.write(eventsHead)
      for (const [index, frame] of completionFrames('abc', true).entries()) {
        if (amid && index === 2) await hold.step()
        await peer.write(chunk(frame))
      }
      await peer.write(lastChunk)
    })
    const body = chat('g', { stream: true, stream_options: { include_usage: true } })
    const leader = await dial(gate.port)
    void leader.write(request('POST', '/v1/chat/completions', jsonBody(body)))
    if (amid) await leader.untilText('"content":"a"')
    await eventually(() => upstream.requests.length === 1)
    const others = [call(gate.port, body), call(gate.port, chat('g'))]
    await under(3)
    leader.reset()
    // It is not over: what it began goes on for the others.
    await Bun.sleep(30)
    hold.go()
    const answers = await Promise.all(others)
    expect(answers.map(textOf)).toEqual(['abc', 'abc'])
    expect(answers.map(status)).toEqual(['COALESCED', 'COALESCED'])
    expect(upstream.requests.length).toBe(1)
    const line = await gate.logged(({ clientGone }) => clientGone === true)
    expect(line['usage']).toEqual({ input: 7, output: 3, total: 10 })
    await under(0)
    expect(status(await call(gate.port, chat('g')))).toBe('HIT')
  }
})

test('when all have left, the upstream call is given up', async () => {
  const hold = gated()
  const { upstream, gate, under } = await start(async (_, peer) => {
    await peer.write(eventsHead)
    await peer.write(chunk(completionFrames('a', false)[0]!))
    await hold.step()
  })
  const body = request('POST', '/v1/chat/completions', jsonBody(chat('x', { stream: true })))
  const peers = await Promise.all([dial(gate.port), dial(gate.port), dial(gate.port)])
  for (const peer of peers) {
    void peer.write(body)
    await peer.untilText('assistant')
  }
  expect(upstream.requests.length).toBe(1)
  peers[0].reset()
  peers[2].reset()
  await under(1)
  expect(upstream.open).toBe(1)
  peers[1].reset()
  await eventually(() => upstream.open === 0)
  await under(0)
})

test('a leader that fails lets one who waits try again; a second failure is everybody’s', async () => {
  for (const second of ['good', 'bad'] as const) {
    const hold = gated()
    let count = 0
    const { upstream, gate, under } = await start(async (_, peer) => {
      count++
      await hold.step()
      if (count === 2 && second === 'good') await peer.write(reply(200, completion('second')))
      else peer.reset()
    })
    const calls = Array.from({ length: 20 }, () => call(gate.port, chat('f')))
    await under(20)
    await eventually(() => hold.waiting.length === 1)
    hold.go()
    await eventually(() => count === 2 && hold.waiting.length === 1)
    hold.go()
    const answers = await Promise.all(calls)
    const seen = counts(answers.map((one) => `${one.status} ${status(one)}`))
    expect(seen).toEqual(
      second === 'good' ? { '200 COALESCED': 18, '200 MISS': 1, '502 MISS': 1 } : { '502 MISS': 20 },
    )
    expect(upstream.requests.length).toBe(2)
  }
})

test('an error that every repeat would get is everybody’s at once', async () => {
  const hold = gated()
  const { upstream, gate, under } = await start(async (_, peer) => {
    await hold.step()
    await peer.write(reply(400, '{"error":{"message":"bad parameter"}}'))
  })
  const calls = Array.from({ length: 10 }, () => call(gate.port, chat('b')))
  await under(10)
  await eventually(() => hold.waiting.length === 1)
  hold.go()
  expect(
    counts((await Promise.all(calls)).map((one) => `${one.status} ${one.json().error.message}`)),
  ).toEqual({ '400 bad parameter': 10 })
  expect(upstream.requests.length).toBe(1)
})

test('tenants never share what is under way, and with coalesce off nobody does', async () => {
  const hold = gated()
  const script: Script = async (seen, peer) => {
    await hold.step()
    await peer.write(reply(200, completion(String(asks(seen).messages[0].content))))
  }
  const apart = await start(script)
  const calls = [call(apart.gate.port, chat('t')), call(apart.gate.port, chat('t'), { key: otherKey })]
  await eventually(() => hold.waiting.length === 2)
  hold.go()
  expect((await Promise.all(calls)).map(status)).toEqual(['MISS', 'MISS'])
  const off = await start(script, { coalesce: false })
  const more = [call(off.gate.port, chat('t')), call(off.gate.port, chat('t'))]
  await eventually(() => hold.waiting.length === 2)
  hold.go()
  expect((await Promise.all(more)).map(status)).toEqual(['MISS', 'MISS'])
})

test('one slow reader neither stalls the others nor has us hold more than a bound', async () => {
  const megabyte = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x'.repeat(1024 * 1024) }, finish_reason: null }] })}\n\n`
  const count = 80
  const { upstream, gate } = await start(async (_, peer) => {
    await peer.write(eventsHead)
    for (let number = 0; number < count; number++) await peer.write(chunk(megabyte))
    await peer.write(chunk('data: [DONE]\n\n'))
    await peer.write(lastChunk)
  })
  const body = request('POST', '/v1/chat/completions', jsonBody(chat('slow', { stream: true })))
  const slow = await dial(gate.port)
  void slow.write(body)
  await slow.untilText('"content":"x')
  slow.pause()
  const quick = await dial(gate.port)
  quick.discard = true
  void quick.write(body)
  await eventually(() => quick.receivedBytes > count * 1024 * 1024, 'the quick reader to be done')
  // How much is held at most is in the test of shared-body.ts; here, that the slow one alone is cut.
  expect(upstream.requests.length).toBe(1)
  slow.resume()
  await slow.untilText('event: error')
  expect(slow.text).not.toContain('[DONE]')
  quick.reset()
  slow.reset()
})
