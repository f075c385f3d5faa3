import { expect, test } from 'bun:test'
import { ChunkedDecoder } from './chunked.ts'

/** Body, bytes used and whether it is done; null where malformed. */
function decode(
  text: string,
  decoder = new ChunkedDecoder(),
): { body: string; used: number; done: boolean } | null {
  let body = ''
  const used = decoder.decode(
    Buffer.from(text, 'latin1'),
    0,
    (part) => (body += Buffer.from(part).toString('latin1')),
  )
  return used < 0 ? null : { body, used, done: decoder.done }
}

test('sizes in either case and with zeros in front; extensions and trailers are dropped', () => {
  const cases: [string, string][] = [
    ['0\r\n\r\n', ''],
    ['2\r\nab\r\n0\r\n\r\n', 'ab'],
    ['0000002\r\nab\r\n000\r\n\r\n', 'ab'],
    [`A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n`, '01234567890123456789'],
    ['2;a\r\nab\r\n0;b=c;d="e;\\"f"\r\n\r\n', 'ab'],
    ['2\r\n\r\n\r\n0\r\nA: b\r\nC:\r\n\r\n', '\r\n'],
    ['0\r\nTransfer-Encoding-: a\r\nContent-Lengt: 1\r\nContent-Length-Of-It: 2\r\n\r\n', ''],
  ]
  for (const [text, body] of cases)
    expect([text, decode(text)]).toEqual([text, { body, used: text.length, done: true }])
})

test('what follows is left alone', () => {
  expect(decode('1\r\na\r\n0\r\n\r\nGET /')).toEqual({ body: 'a', used: 11, done: true })
  const decoder = new ChunkedDecoder()
  decode('0\r\n\r\n', decoder)
  expect(decode('more', decoder)).toEqual({ body: '', used: 0, done: true })
})

test('no beginning is done', () => {
  const text = '2;a=b\r\nab\r\n0\r\nA: b\r\n\r\n'
  for (let length = 0; length < text.length; length += 1) {
    expect([length, decode(text.slice(0, length))?.done]).toEqual([length, false])
  }
})

test('malformed framing is refused', () => {
  const cases = [
    '\r\n',
    'g\r\n',
    '-1\r\n',
    '+1\r\n',
    ' 1\r\n',
    '1 \r\n',
    '0x1\r\n',
    '1\n',
    '1\rx',
    '1\r\nab',
    '1\r\na\n',
    '1\r\na\rx',
    'fffffffffffff\r\n',
    '0\r\nA:b\r\nTransfer-Encoding: chunked\r\n',
    '0\r\ncontent-length:0\r\n',
    '1;\0\r\n',
    '1;a b\r\n',
    '1;a="b\r\n',
    '1;a="b"c\r\n',
    '1;a\n',
    '0\r\n\n',
    '0\r\n A: b\r\n',
    '0\r\nA b\r\n',
    '0\r\nA\r\n',
    '0\r\nA: \0\r\n',
    '0\r\nA: b\n',
    '0\r\nA: b\r\r',
    '0\r\n\rx',
    ';a\r\n',
  ]
  for (const text of cases) expect([text, decode(text)]).toEqual([text, null])
})

test('extensions and trailers are bounded', () => {
  expect(decode(`1;${'a'.repeat(4000)}\r\na\r\n0\r\n\r\n`)?.done).toBe(true)
  expect(decode(`1;${'a'.repeat(5000)}`)).toBeNull()
  expect(decode('1;aaaa\r\na\r\n'.repeat(2000))).toBeNull()
  expect(decode(`0\r\nA: ${'b'.repeat(20_000)}`)).toBeNull()
  expect(decode(`0\r\n${'A: b\r\n'.repeat(10_000)}`)).toBeNull()
})

test('a giant size is counted, not allocated', () => {
  expect(decode('ffffffffffff\r\nab')).toEqual({ body: 'ab', used: 16, done: false })
})

test('few pieces a read, however small its chunks: large parts are views, small ones are put together', () => {
  const pieces = (text: string): { parts: Uint8Array[]; source: Buffer; used: number } => {
    const parts: Uint8Array[] = []
    const source = Buffer.from(new Uint8Array(Buffer.from(text, 'latin1')).buffer)
    const used = new ChunkedDecoder().decode(source, 0, (part) => parts.push(part))
    return { parts, source, used }
  }
  const one = pieces('5\r\nabcde\r\n0\r\n\r\n')
  expect(one.parts.map((part) => Buffer.from(part).toString())).toEqual(['abcde'])
  expect(one.parts[0]!.buffer).toBe(one.source.buffer)
  const tiny = pieces('1\r\na\r\n'.repeat(50_000))
  expect(tiny.parts.map((part) => part.length)).toEqual([50_000])
  expect(tiny.parts[0]!.buffer.byteLength).toBeLessThan(150_000)
  const long = 'x'.repeat(100)
  const mixed = pieces(`3\r\nabc\r\n64\r\n${long}\r\n1\r\nd\r\n0\r\n\r\n`)
  expect(mixed.parts.map((part) => Buffer.from(part).toString())).toEqual([`abc${long}d`])
  const large = 'y'.repeat(0x5000)
  const around = pieces(`1\r\na\r\n1\r\nb\r\n5000\r\n${large}\r\n1\r\nc\r\n1\r\nd\r\n0\r\n\r\n`)
  expect(around.parts.map((part) => Buffer.from(part).toString())).toEqual(['ab', large, 'cd'])
  expect(around.parts[1]!.buffer).toBe(around.source.buffer)
  // What came before the break is not lost.
  const broken = pieces('1\r\na\r\n1\r\nb\r\nno')
  expect([broken.used, ...broken.parts.map((part) => Buffer.from(part).toString())]).toEqual([-1, 'ab'])
  expect(pieces('0\r\n\r\n').parts).toEqual([])
})
