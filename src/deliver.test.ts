// Rule 6 at every byte: a client that leaves a recorded stream anywhere leaves the usage known exactly where the model says:
// with `abort` what came in whole frames before, with `drain` all of the stream.

import { expect, test } from 'bun:test'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { systemClock } from './base/clock.ts'
import { deliver } from './deliver.ts'
import { Attempt, Exchange, type Reply } from './exchange.ts'
import { HeaderBlock } from './net/wire/headers.ts'
import type { Body, BodySink } from './net/wire/message.ts'
import { findEndpoint } from './openai/endpoints.ts'
import { readAnswer } from './openai/usage.ts'
import { Leaving } from './stages/7-upstream/client-gone.ts'
import { tapsOf } from './stages/8-meter/taps.ts'

const data = process.env['HEADGATE_TEST_DATA'] ?? resolve(import.meta.dir, '../../shared/data')
const streams = join(data, 'streams')
const there = existsSync(streams)
const drain = { seconds: 60, bytes: 1e9, max: 10 }

/** A body that a test pushes. */
class Source implements Body {
  readonly whole = null
  readonly length = -1
  sink: BodySink | null = null
  aborted = false
  start(sink: BodySink): void {
    this.sink = sink
  }
  pause(): void {}
  resume(): void {}
  abort(): void {
    this.aborted = true
  }
}

const ignore: BodySink = { chunk: () => {}, end: () => {}, error: () => {} }

function begin(policy: 'abort' | 'drain') {
  const request = {
    method: 'POST',
    path: '/v1/chat/completions',
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '',
    upgrade: null,
  }
  const x = new Exchange('hgx_1', request, systemClock)
  x.endpoint = findEndpoint('POST', request.path)
  x.tried.push(new Attempt('hgx_1-1', { name: 'main', account: 'main', providerName: 'openai' }, systemClock))
  const source = new Source()
  const reply: Reply = {
    status: 200,
    headerLines: '',
    dated: false,
    contentType: 'text/event-stream',
    body: source,
    tunnel: null,
  }
  x.reading = true
  const delivered = deliver(
    x,
    reply,
    tapsOf(x, reply, () => {}),
  ).body!
  const leaving = new Leaving(policy === 'drain' ? drain : null)
  delivered.start(ignore)
  return { x, source, leaving, delivered }
}

/** Input and output of the last usage in whole frames, and whether it is all; null = none. */
function model(text: string): readonly [input: number, output: number, final: boolean] | null {
  let known: readonly [number, number, boolean] | null = null
  for (const frame of text.split('\n\n').slice(0, -1)) {
    let facts
    try {
      facts = readAnswer(JSON.parse(frame.replace(/^data: /, '')))
    } catch {
      continue
    }
    if (facts.usage !== null) known = [facts.usage.input, facts.usage.output, facts.final]
  }
  return known
}

const files = there
  ? [...new Bun.Glob('*/*.chunks.txt').scanSync(streams)]
      .filter((file) => statSync(join(streams, file)).size < 6000)
      .sort()
  : []

test.skipIf(!there)(
  'rule 6: cut at every byte of recorded streams, usage is known as the model says (needs the test data)',
  () => {
    expect(files.length).toBeGreaterThan(8)
    for (const file of files) {
      const lines = readFileSync(join(streams, file), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
      const text = `${lines.map((line) => `data: ${line}\n\n`).join('')}data: [DONE]\n\n`
      const bytes = Buffer.from(text)
      const whole = model(text)
      for (const policy of ['abort', 'drain'] as const) {
        for (let at = 0; at <= bytes.length; at++) {
          const { x, source, leaving, delivered } = begin(policy)
          if (at > 0) source.sink!.chunk(bytes.subarray(0, at))
          let cut = 0
          x.gone = true
          leaving.left(x, { abort: () => void (cut += 1) })
          delivered.abort()
          const reads = policy === 'drain' && !source.aborted
          if (reads && at < bytes.length) source.sink!.chunk(bytes.subarray(at))
          if (reads && !source.aborted) source.sink!.end()
          const attempt = x.tried[0]!
          const seen = policy === 'drain' ? whole : model(bytes.subarray(0, at).toString())
          const known =
            attempt.usage === null ? null : [attempt.usage.input, attempt.usage.output, attempt.usageFinal]
          // Read on to its end, whatever was said last is all there is.
          const expected = seen === null ? null : policy === 'drain' ? [seen[0], seen[1], true] : [...seen]
          if (JSON.stringify([known, cut > 0]) !== JSON.stringify([expected, true]))
            expect({ file, policy, at, known, cut: cut > 0 }).toEqual({
              file,
              policy,
              at,
              known: expected,
              cut: true,
            } as never)
          expect(leaving.counts).toEqual({ draining: 0, waiting: 0 })
        }
      }
    }
  },
  120_000,
)
