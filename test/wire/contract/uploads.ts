// Request bodies that are streamed: framing, back-pressure on their source, and breaking off on either side.

import { expect, test } from 'bun:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WireError, type Wire } from '../../../src/net/wire/message.ts'
import { wireTo, type Kind } from '../kinds.ts'
import { outcomeOf, request, TestBody } from '../outcome.ts'
import { RawUpstream, until, type Script } from '../raw-upstream.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

async function withUpload(
  kind: Kind,
  script: Script,
  run: (wire: Wire, upstream: RawUpstream) => Promise<void>,
): Promise<void> {
  const upstream = await RawUpstream.start(script)
  const wire = wireTo(kind, upstream.origin)
  try {
    await run(wire, upstream)
    await until('nothing busy', () => wire.counts().busy === 0)
  } finally {
    wire.close()
    upstream.stop()
  }
}

function answerWhen(end: string): Script {
  return async (connection) => {
    while (!connection.text.endsWith(end) && !connection.closed) await sleep(1)
    connection.write(ok)
  }
}

const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4)

export function uploadTests(kind: Kind): void {
  test('with a length', () =>
    withUpload(kind, answerWhen('abcdef'), async (wire, upstream) => {
      const body = new TestBody(6)
      const call = wire.send(request({ method: 'POST', body }))
      await until('started', () => body.started)
      for (const part of ['ab', 'c', 'def']) {
        await until('wanted', () => !body.paused)
        body.push(part)
      }
      body.sink!.end()
      expect(await outcomeOf(call)).toMatchObject({ status: 200, body: 'ok', ending: 'end' })
      const { text } = upstream.connections[0]!
      expect(text).toMatch(/\r\ncontent-length: 6\r\n/i)
      expect(text).not.toMatch(/transfer-encoding/i)
      expect(bodyOf(text)).toBe('abcdef')
    }))

  test('chunked where the length is not known', () =>
    withUpload(kind, answerWhen('0\r\n\r\n'), async (wire, upstream) => {
      const body = new TestBody()
      const call = wire.send(request({ method: 'POST', body }))
      await until('started', () => body.started)
      for (const part of ['ab', 'c'.repeat(20)]) {
        await until('wanted', () => !body.paused)
        body.push(part)
        await sleep(10)
      }
      body.sink!.end()
      expect(await outcomeOf(call)).toMatchObject({ status: 200, body: 'ok', ending: 'end' })
      const { text } = upstream.connections[0]!
      expect(text).toMatch(/\r\ntransfer-encoding: chunked\r\n/i)
      expect(text).not.toMatch(/content-length/i)
      expect(bodyOf(text)).toBe(`2\r\nab\r\n14\r\n${'c'.repeat(20)}\r\n0\r\n\r\n`)
    }))

  test('an upstream that reads slowly pauses the source', () => {
    const script: Script = async (connection) => {
      connection.socket.pause()
      await sleep(300)
      connection.socket.removeAllListeners('data')
      let left = 30_000_000
      connection.socket.on('data', (bytes) => {
        left -= bytes.length
        if (left <= 0) connection.write(ok)
      })
      connection.socket.resume()
    }
    return withUpload(kind, script, async (wire) => {
      const body = new TestBody(30_000_000)
      const call = wire.send(request({ method: 'POST', body }))
      await until('started', () => body.started)
      const piece = Buffer.alloc(100_000, 97)
      let pushed = 0
      let stalledAt = 0
      while (pushed < 30_000_000) {
        if (body.paused) {
          stalledAt ||= pushed
          await sleep(1)
          continue
        }
        body.push(piece)
        pushed += piece.length
        if (pushed % 1_000_000 === 0) await sleep(0)
      }
      body.sink!.end()
      expect(await outcomeOf(call)).toMatchObject({ status: 200, ending: 'end' })
      expect(body.pauses).toBeGreaterThan(0)
      expect(stalledAt).toBeLessThan(20_000_000)
    })
  })

  for (const length of [-1, 6]) {
    test(`a source that breaks off is no clean end for the upstream (${length < 0 ? 'chunked' : 'length'})`, () => {
      const script: Script = async (connection) => {
        while (!connection.closed && !connection.ended) await sleep(1)
      }
      return withUpload(kind, script, async (wire, upstream) => {
        const body = new TestBody(length)
        const call = wire.send(request({ method: 'POST', body }))
        await until('started', () => body.started)
        body.push('abc')
        await until('half is there', () => upstream.connections[0]?.text.includes('abc') ?? false)
        body.sink!.error(new WireError('aborted', 'the client has gone', false))
        expect((await outcomeOf(call)).ending).toBe('aborted')
        await until(
          'the upstream sees it',
          () => upstream.connections[0]!.closed || upstream.connections[0]!.ended,
        )
        expect(upstream.connections[0]!.text).not.toContain('\r\n0\r\n')
        expect(upstream.connections.length).toBe(1)
      })
    })
  }

  test('an answer before the body was sent: it is the answer, and the source is let go', () => {
    const script: Script = async (connection) => {
      await until('the head', () => connection.text.includes('\r\n\r\n'))
      connection.write('HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig')
    }
    return withUpload(kind, script, async (wire, upstream) => {
      const body = new TestBody(1_000_000)
      const call = wire.send(request({ method: 'POST', body }))
      await until('started', () => body.started)
      body.push('abc')
      expect(await outcomeOf(call)).toMatchObject({ status: 413, body: 'big', ending: 'end' })
      await until('let go', () => body.aborted)
      body.push('never sent')
      body.sink!.end()
      await until(
        'the socket is not used again',
        () => upstream.connections[0]!.closed || upstream.connections[0]!.ended,
      )
      expect(upstream.connections[0]!.text).not.toContain('never')
      expect(wire.counts().idle).toBe(0)
    })
  })

  test('an answer given up amid an upload lets the source go', () => {
    const script: Script = async (connection) => {
      await until('the head', () => connection.text.includes('\r\n\r\n'))
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc')
    }
    return withUpload(kind, script, async (wire) => {
      const body = new TestBody()
      const call = wire.send(request({ method: 'POST', body }))
      await until('started', () => body.started)
      body.push('abc')
      const reply = await call.reply
      reply.body.abort()
      await until('let go', () => body.aborted)
      for (let count = 0; count < 100; count += 1) body.push(Buffer.alloc(100_000))
    })
  })

  test('an upstream that leaves amid an upload', () => {
    const script: Script = async (connection) => {
      await until('a piece', () => connection.text.includes('abc'))
      connection.reset()
    }
    return withUpload(kind, script, async (wire, upstream) => {
      const body = new TestBody()
      const call = wire.send(request({ method: 'POST', body }))
      await until('started', () => body.started)
      body.push('abc')
      expect(await outcomeOf(call)).toMatchObject({ ending: 'reset', answered: false })
      await until('let go', () => body.aborted)
      await sleep(30)
      expect(upstream.connections.length).toBe(1)
    })
  })
}
