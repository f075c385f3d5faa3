import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { SseFrames, eachData, lastFrameEnd, sseErrorFrame } from './sse.ts'

const data = process.env['HEADGATE_TEST_DATA'] ?? resolve(import.meta.dir, '../../../shared/data')
const streams = join(data, 'streams')

const bytes = (text: string): Uint8Array => Buffer.from(text)

function events(stream: Uint8Array): string[] {
  const all: string[] = []
  eachData(stream, (data, event) => all.push(`${event}|${data}`))
  return all
}

/** The bytes and the events that come out when the stream comes in the given pieces. */
function cut(stream: Uint8Array, offsets: readonly number[]): { events: string[]; out: Uint8Array[] } {
  const frames = new SseFrames(64 * 1024 * 1024)
  const out: Uint8Array[] = []
  const seen: string[] = []
  const edges = [0, ...offsets, stream.length]
  for (let index = 1; index < edges.length; index++) {
    const piece = stream.subarray(edges[index - 1], edges[index])
    if (piece.length === 0) continue
    const whole = frames.push(piece)
    if (whole === null) continue
    out.push(whole)
    seen.push(...events(whole))
  }
  const rest = frames.rest()
  if (rest !== null) out.push(rest)
  return { events: seen, out }
}

describe('lastFrameEnd', () => {
  test.each([
    ['', 0],
    ['data: a', 0],
    ['data: a\n', 0],
    ['data: a\n\n', 9],
    ['data: a\n\ndata: b', 9],
    ['data: a\n\ndata: b\n', 9],
    ['data: a\r\n\r\n', 11],
    ['data: a\r\n\r', 0],
    ['data: a\r\n\r\ndata: b\r\n', 11],
    ['data: a\r\rdata', 9],
    ['data: a\r\r', 9],
    ['data: a\r', 0],
    ['data: a\r\n', 0],
    ['data: a\n\r\n', 10],
    ['data: a\r\n\n', 10],
    ['data: a\n\rdata', 9],
    ['data: a\n\r', 0],
    ['data: a\r\r\n', 10],
    ['data: a\n\ndata: b\r\r', 18],
    ['data: a\r\rdata: b\n', 9],
    ['\n', 1],
    ['\r\n', 2],
    ['\r', 0],
    ['\n\n\n', 3],
    ['\ufeffdata: a\n\n', 12],
  ])('%j: %i', (text, end) => {
    expect(lastFrameEnd(bytes(text))).toBe(end)
  })

  test('agrees with a reader that goes byte by byte', () => {
    const text = fc
      .array(fc.constantFrom('\n', '\r', '\r\n', 'a', 'data: x'), { maxLength: 30 })
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, (text) => {
        let end = 0
        let lineStart = true
        for (let index = 0; index < text.length; index++) {
          const byte = text[index]
          if (byte !== '\n' && byte !== '\r') {
            lineStart = false
            continue
          }
          if (byte === '\r' && text[index + 1] === '\n') index++
          const half = byte === '\r' && index === text.length - 1 && text[index - 1] !== '\r'
          if (lineStart && !half) end = index + 1
          lineStart = true
        }
        expect(lastFrameEnd(bytes(text))).toBe(end)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('SseFrames', () => {
  test('whole frames are passed on as the same object', () => {
    const frames = new SseFrames(1024)
    const chunk = bytes('data: a\n\ndata: b\n\n')
    expect(frames.push(chunk)).toBe(chunk)
    expect(frames.heldBytes).toBe(0)
    expect(frames.rest()).toBeNull()
  })

  test('an unfinished frame waits for its end', () => {
    const frames = new SseFrames(1024)
    expect(Buffer.from(frames.push(bytes('data: a\n\nda'))!).toString()).toBe('data: a\n\n')
    expect(frames.heldBytes).toBe(2)
    expect(frames.push(bytes('ta: b\n'))).toBeNull()
    expect(Buffer.from(frames.push(bytes('\n'))!).toString()).toBe('data: b\n\n')
    expect(frames.rest()).toBeNull()
  })

  test('a frame that never ends is left at the end', () => {
    const frames = new SseFrames(1024)
    expect(frames.push(bytes('data: a\n'))).toBeNull()
    expect(Buffer.from(frames.rest()!).toString()).toBe('data: a\n')
    expect(frames.push(bytes('\n'))).toEqual(bytes('\n'))
  })

  test('a frame larger than allowed overflows, however it comes', () => {
    const frames = new SseFrames(10)
    frames.push(bytes('data: '))
    expect(frames.overflowed).toBe(false)
    frames.push(bytes('aaaaa'))
    expect(frames.overflowed).toBe(true)
    frames.rest()
    expect(frames.overflowed).toBe(false)
  })

  test.each(['\n', '\r\n', '\r'])('every two cuts of a small stream with line ends %j', (end) => {
    const text = [
      ': comment',
      '',
      'event: message_start',
      'data: {"a":1}',
      '',
      'data: first',
      'data:second',
      'data',
      'id: 7',
      '',
      'retry: 10',
      '',
      'data: übér 🜁',
      '',
      'data: [DONE]',
      '',
      '',
    ].join(end)
    const stream = bytes(text)
    const whole = ['message_start|{"a":1}', '|first\nsecond\n', '|übér 🜁', '|[DONE]']
    expect(events(stream)).toEqual(whole)
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second += 3) {
        const result = cut(stream, [first, second])
        expect(Buffer.concat(result.out).equals(stream)).toBe(true)
        expect(result.events).toEqual(whole)
      }
    }
  })

  test('any mix of line ends in any pieces gives the same events and the same bytes', () => {
    const line = fc.constantFrom('data: a', 'data:b', 'event: e', ': c', 'data', '')
    const text = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 25 })
    fc.assert(
      fc.property(text, fc.array(fc.nat(200), { maxLength: 8 }), (lines, offsets) => {
        const stream = bytes(`${lines.flat().join('')}data: last\n\n`)
        const sorted = offsets.filter((offset) => offset <= stream.length).sort((a, b) => a - b)
        const result = cut(stream, sorted)
        expect(Buffer.concat(result.out).equals(stream)).toBe(true)
        expect(result.events).toEqual(events(stream))
      }),
      { numRuns: 2000 },
    )
  })
})

test('eachData passes over frames without data and a frame without its end', () => {
  expect(events(bytes(': ping\n\nevent: x\n\ndata: a\n\ndata: b\n'))).toEqual(['|a'])
  expect(events(bytes('\ufeffdata: a\n\n'))).toEqual(['|a'])
  expect(events(bytes('data:  two spaces\n\ndatax: no\n\n data: no\n\n'))).toEqual(['| two spaces'])
})

test('the error frame is one event', () => {
  const json = JSON.stringify({ error: { message: 'a\nb\r\u2028"', code: 'upstream_unavailable' } })
  expect(sseErrorFrame(json)).toBe(`event: error\ndata: ${json}\n\n`)
  expect(events(bytes(sseErrorFrame(json)))).toEqual([`error|${json}`])
})

function recordings(): string[] {
  return readdirSync(streams).flatMap((provider) =>
    readdirSync(join(streams, provider)).map((file) => join(streams, provider, file)),
  )
}

// Small enough that a failing cut can be repeated by hand: the seed is the recording's own length.
function randomOffsets(length: number): number[] {
  let state = length
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0)
  return Array.from({ length: 200 }, () => next() % (length + 1)).sort((a, b) => a - b)
}

test.skipIf(!existsSync(streams))(
  'recorded streams come out as they are, in whole frames, wherever they are cut (needs the test data)',
  () => {
    const files = recordings()
    expect(files.length).toBeGreaterThan(50)
    for (const file of files) {
      const lines = readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
      const stream = bytes(lines.map((line) => `data: ${line}\n\n`).join('') + 'data: [DONE]\n\n')
      const expected = [...lines, '[DONE]'].map((line) => `|${line}`)
      const offsets = randomOffsets(stream.length)
      const together = cut(stream, offsets)
      expect(together.events).toEqual(expected)
      for (const offset of offsets) {
        const result = cut(stream, [offset])
        expect(result.out.length).toBeLessThanOrEqual(3)
        expect(Buffer.concat(result.out).equals(stream)).toBe(true)
        for (const piece of result.out) expect(lastFrameEnd(piece)).toBe(piece.length)
      }
    }
  },
)

test.skipIf(!existsSync(streams))('recorded streams that come byte by byte (needs the test data)', () => {
  for (const file of recordings()) {
    const lines = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
    const stream = bytes(lines.map((line) => `data: ${line}\r\n\r\n`).join(''))
    const result = cut(
      stream,
      Array.from({ length: stream.length - 1 }, (_, index) => index + 1),
    )
    expect(result.events).toEqual(lines.map((line) => `|${line}`))
    expect(result.out.length).toBe(lines.length)
  }
})
