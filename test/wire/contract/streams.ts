// Recorded streams come out byte for byte, whatever the chunks and whatever the cuts.

import { expect, test } from 'bun:test'
import { wireTo, type Kind } from '../kinds.ts'
import { exchange } from '../outcome.ts'
import { RawUpstream } from '../raw-upstream.ts'
import { recordedStreams, streamsMissing } from '../recorded.ts'
import { randomFrom } from './cutting.ts'

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n'

function chunkOf(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}

/** One write an event, so that each read most likely ends at a chunk boundary. */
function byFrame(frames: readonly Buffer[]): Buffer[] {
  return [
    Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`),
    ...frames.map(chunkOf),
    Buffer.from('0\r\n\r\n'),
  ]
}

/** The whole message in pieces that end anywhere: amid a size, a CRLF, a character. */
function atRandom(message: Buffer, random: (below: number) => number): Buffer[] {
  const cuts = [0, ...Array.from({ length: 200 }, () => random(message.length)), message.length].toSorted(
    (a, b) => a - b,
  )
  return cuts.slice(1).map((end, index) => message.subarray(cuts[index], end))
}

export function streamTests(kind: Kind): void {
  test.skipIf(streamsMissing)(
    'every recorded stream, whatever the cuts (needs the test data: set HEADGATE_TEST_DATA)',
    async () => {
      const seed = Math.floor(Math.random() * 2 ** 31)
      const random = randomFrom(seed)
      const streams = recordedStreams()
      expect(streams.length).toBeGreaterThan(50)
      const upstream = await RawUpstream.start(async (connection) => {
        while (true) {
          const asked = await connection.nextRequest()
          if (asked === null) return
          const [, index, how] = /^GET \/(\d+)\/(\w+)/.exec(asked)!
          const { frames } = streams[Number(index)]!
          const body = Buffer.concat(frames)
          const plain = Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body])
          if (how === 'frames') await connection.writePieces(byFrame(frames))
          else if (how === 'random')
            await connection.writePieces(atRandom(Buffer.concat(byFrame(frames)), random))
          else await connection.writePieces(atRandom(plain, random))
        }
      })
      const wire = wireTo(kind, upstream.origin)
      try {
        for (const [index, { name, frames }] of streams.entries()) {
          const outcomes = await Promise.all(
            ['frames', 'random', 'length'].map((how) => exchange(wire, { target: `/${index}/${how}` })),
          )
          const whole = Buffer.concat(frames).toString('latin1')
          const same = outcomes.map((outcome) => outcome.ending === 'end' && outcome.body === whole)
          expect([seed, name, ...same]).toEqual([seed, name, true, true, true])
        }
      } finally {
        wire.close()
        upstream.stop()
      }
    },
  )
}
