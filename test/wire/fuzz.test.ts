// Random and mutated bytes at both parsers. fast-check prints the seed of a failure; HEADGATE_FUZZ_RUNS runs more.

import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { ChunkedDecoder } from '../../src/net/wire/chunked.ts'
import { kinds, wireTo } from './kinds.ts'
import { mutated, readMessage, wellFormed, type MessageKind } from './messages.ts'
import { exchange } from './outcome.ts'
import { RawUpstream, until } from './raw-upstream.ts'
import { TestServer, text } from './serve.ts'
import { collect } from '../../src/net/wire/body.ts'

// Generous: these tests wait for conditions, never for the clock of a busy machine.
setDefaultTimeout(60_000)

const numRuns = Number(process.env['HEADGATE_FUZZ_RUNS'] ?? 3000)
const both: readonly MessageKind[] = ['request', 'response']

for (const kind of both) {
  describe(`${kind}s`, () => {
    test('well-formed ones are read to the end', () => {
      fc.assert(
        fc.property(wellFormed(kind), (bytes) => {
          const reading = readMessage(kind, bytes)
          return reading !== null && reading.state !== 'incomplete'
        }),
        { numRuns },
      )
    })

    test('random bytes are read or refused, never thrown at', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readMessage(kind, Buffer.from(bytes))),
        { numRuns },
      )
      fc.assert(
        fc.property(mutated(kind), (bytes) => void readMessage(kind, bytes)),
        { numRuns },
      )
    })

    test('no beginning of a message is a whole one', () => {
      fc.assert(
        fc.property(wellFormed(kind), fc.double({ min: 0, max: 1, noNaN: true }), (bytes, share) => {
          // An answer without body by its status may have its bytes behind it.
          if (readMessage(kind, bytes)!.left > 0) return true
          const length = Math.floor(share * bytes.length)
          const reading = readMessage(kind, bytes.subarray(0, Math.min(length, bytes.length - 1)))
          return reading === null || reading.state !== 'complete'
        }),
        { numRuns },
      )
    })
  })
}

test('a chunked body means the same however it is cut', () => {
  const bodies = mutated('response').map((bytes) =>
    bytes.subarray(Math.max(0, bytes.indexOf('\r\n\r\n') + 4)),
  )
  fc.assert(
    fc.property(bodies, fc.array(fc.nat(400), { maxLength: 12 }), (bytes, cuts) => {
      const whole = decodeIn(bytes, [])
      expect(decodeIn(bytes, cuts)).toEqual(whole)
    }),
    { numRuns },
  )
})

/** Decodes in pieces; `-1` for malformed, else the body, how much was used and whether it is done. */
function decodeIn(bytes: Buffer, cuts: readonly number[]): unknown {
  const decoder = new ChunkedDecoder()
  const parts: Buffer[] = []
  const offsets = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].toSorted(
    (a, b) => a - b,
  )
  let used = 0
  for (const [index, offset] of offsets.slice(1).entries()) {
    if (decoder.done) break
    const from = offsets[index]!
    const next = decoder.decode(bytes.subarray(from, offset), 0, (part) => void parts.push(Buffer.from(part)))
    if (next < 0) return -1
    used = from + next
  }
  return { body: Buffer.concat(parts).toString('latin1'), used, done: decoder.done }
}

const node = Bun.which('node')

interface NodeReading {
  readonly ok: boolean
  readonly method: string | null
  readonly url: string | null
  readonly status: number | null
  readonly keepAlive: boolean | null
  readonly complete: boolean
  readonly fields: readonly string[]
  readonly body: string
}

function nodeReadings(messages: readonly { kind: MessageKind; bytes: Buffer }[]): NodeReading[] {
  const input = messages.map(({ kind, bytes }) => `${kind} ${bytes.toString('base64')}\n`).join('')
  const script = resolve(import.meta.dir, 'node-parser.mjs')
  const { stdout, stderr, exitCode } = Bun.spawnSync([node!, script], {
    stdin: Buffer.from(input),
    stderr: 'pipe',
  })
  if (exitCode !== 0) throw new Error(stderr.toString())
  return stdout
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as NodeReading)
}

test.skipIf(node === null)("what we accept, Node's parser reads the same way (needs node)", () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const messages = both.flatMap((kind) => {
    const sample = [
      ...fc.sample(wellFormed(kind), { seed, numRuns: Math.ceil(numRuns / 4) }),
      ...fc.sample(mutated(kind), { seed, numRuns }),
    ]
    // One message each: Node would go on to what follows.
    return sample.flatMap((bytes) => {
      const reading = readMessage(kind, bytes)
      return reading === null || reading.left > 0 ? [] : [{ kind, bytes, reading }]
    })
  })
  const readings = nodeReadings(messages)
  expect(readings.length).toBe(messages.length)
  for (const [index, { kind, bytes, reading }] of messages.entries()) {
    const theirs = readings[index]!
    const label = `seed ${seed}: ${JSON.stringify(bytes.toString('latin1'))}`
    expect([label, theirs.ok]).toEqual([label, true])
    expect([label, ...theirs.fields]).toEqual([label, ...reading.fields])
    expect([label, Buffer.from(theirs.body, 'base64').toString('latin1')]).toEqual([
      label,
      reading.body.toString('latin1'),
    ])
    if (kind === 'response') expect([label, theirs.status]).toEqual([label, reading.status])
    else expect([label, theirs.method, theirs.url]).toEqual([label, reading.method, reading.target])
    if (reading.state !== 'until close') {
      expect([label, theirs.complete]).toEqual([label, reading.state === 'complete'])
      // We may close where Node would not; never the other way round.
      if (reading.keepAlive) expect([label, theirs.keepAlive]).toEqual([label, true])
    }
  }
})

test('mutated answers over a socket: every call ends, none of them unclean as clean', async () => {
  const sample = fc.sample(mutated('response'), { seed: Math.floor(Math.random() * 2 ** 31), numRuns: 400 })
  const upstream = await RawUpstream.start(async (connection) => {
    const asked = await connection.nextRequest()
    if (asked === null) return
    connection.write(sample[Number(/^GET \/(\d+)/.exec(asked)![1])]!)
    connection.end()
  })
  const wire = wireTo(kinds[0]!, upstream.origin, { keepAlive: { idleMs: 0, maxIdle: 0 } })
  let next = 0
  const worker = async () => {
    for (let index = next++; index < sample.length; index = next++) {
      const outcome = await exchange(wire, { target: `/${index}` })
      const reading = readMessage('response', sample[index]!)
      if (outcome.ending !== 'end' || outcome.status < 200 || reading === null || reading.status! < 200)
        continue
      expect([index, sample[index]!.toString('latin1'), reading.state === 'incomplete']).toEqual([
        index,
        sample[index]!.toString('latin1'),
        false,
      ])
      expect(outcome.body).toBe(reading.body.toString('latin1'))
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
  upstream.stop()
})

test('mutated requests over a socket: every connection ends, and only whole requests are handed over', async () => {
  const sample = fc.sample(mutated('request'), { seed: Math.floor(Math.random() * 2 ** 31), numRuns: 400 })
  const server = new TestServer(
    (request) => {
      if (request.body === null) return request.respond(text('ok'))
      collect(request.body, 1e6).then(
        () => request.respond(text('ok')),
        () => {},
      )
    },
    { idleMs: 100, headerMs: 100 },
  )
  let next = 0
  const worker = async () => {
    for (let index = next++; index < sample.length; index = next++) {
      const client = await server.connect(sample[index])
      client.end()
      await until(
        `an end for ${JSON.stringify(sample[index]!.toString('latin1'))}`,
        () => client.ended || client.closed,
      )
      client.socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  await until('all are closed', () => server.server.counts().open === 0)
  expect(server.bugs).toEqual([])
  expect(server.sweeper.watching).toBe(0)
  server.stop()
})
