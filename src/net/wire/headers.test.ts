import { expect, test } from 'bun:test'
import { contentLength, HeaderBlock } from './headers.ts'

const parse = (text: string): HeaderBlock => HeaderBlock.parse(text)!

test('lines stay as received; names are found in any case, values lose the blanks around them', () => {
  const block = parse('Host: a\r\nX-NAME:\t caf\xe9\xa0 \t\r\nx-name:b\r\nEmpty:\r\n')
  expect([0, 1, 2, 3].map((index) => block.line(index))).toEqual([
    'Host: a',
    'X-NAME:\t caf\xe9\xa0 \t',
    'x-name:b',
    'Empty:',
  ])
  expect(block.get('host')).toBe('a')
  // A non-breaking space is a byte of the value, not a blank.
  expect(block.get('x-name')).toBe('caf\xe9\xa0')
  expect(block.get('empty')).toBe('')
  expect(block.get('absent')).toBeNull()
  expect([block.count('x-name'), block.count('host'), block.count('absent')]).toEqual([2, 1, 0])
})

test('names that differ are never taken for each other', () => {
  const names = [
    'content-length',
    'content-lengtH',
    'content-lengti',
    'kontent-length',
    'content-lengthh',
    'ontent-length',
    'content_length',
  ]
  for (const name of names) {
    const found = parse(`${name}: 1\r\n`).get('content-length')
    expect([name, found]).toEqual([name, name.toLowerCase() === 'content-length' ? '1' : null])
  }
  // Letters and their neighbours in ASCII that a case fold by one bit would mix up.
  expect(parse('HOST: a\r\n').get('host')).toBe('a')
  expect(parse('^x: a\r\n').get('~x')).toBeNull()
  expect(parse('X-A\x60: a\r\n').find('x-a@')).toBe(-1)
})

test('malformed lines are refused', () => {
  const cases = [
    'a\r\n',
    ': a\r\n',
    'a : b\r\n',
    ' a: b\r\n',
    '\ta: b\r\n',
    'a: b\n',
    'a: b\r',
    'a: b',
    'a: b\rc\r\n',
    'a: b\nc: d\r\n',
    'a: \0\r\n',
    'a: \x7f\r\n',
    'a: \x1f\r\n',
    'a(b): c\r\n',
    'a\xe9: c\r\n',
    'a: b\r\n c\r\n',
    'a: b\r\n\r\n',
    'a: b\r\n\r\nc: d\r\n',
  ]
  for (const text of cases) expect([text, HeaderBlock.parse(text)]).toEqual([text, null])
  expect(HeaderBlock.parse('')!.get('a')).toBeNull()
})

test('a block that nearly matches is refused in linear time', () => {
  const hostile = `${'a: b\r\n'.repeat(20_000)}c`
  const startedAtMs = performance.now()
  expect(HeaderBlock.parse(hostile)).toBeNull()
  expect(HeaderBlock.parse(`a: ${' '.repeat(200_000)}\0\r\n`)).toBeNull()
  expect(performance.now() - startedAtMs).toBeLessThan(2000)
})

test('tokens of a comma-separated field, over all its lines', () => {
  const block = parse('Connection: Close, x-A ,,\r\nX: y\r\nconnection: TE\r\n')
  expect(block.tokens('connection')).toEqual(['close', 'x-a', 'te'])
  expect(block.tokens('absent')).toEqual([])
})

test('Content-Length is digits, once, or nothing', () => {
  const cases: [string, number | null][] = [
    ['', -1],
    ['Content-Length: 0\r\n', 0],
    ['content-length:  12 \r\n', 12],
    ['Content-Length: 007\r\n', 7],
    ['Content-Length: 999999999999999\r\n', 999_999_999_999_999],
    ['Content-Length: 9999999999999999\r\n', null],
    ['Content-Length:\r\n', null],
    ['Content-Length: +5\r\n', null],
    ['Content-Length: -5\r\n', null],
    ['Content-Length: 5,5\r\n', null],
    ['Content-Length: 5 5\r\n', null],
    ['Content-Length: 0x5\r\n', null],
    ['Content-Length: 5e1\r\n', null],
    ['Content-Length: 5\xb2\r\n', null],
    ['Content-Length: 5\r\nContent-Length: 5\r\n', null],
  ]
  for (const [text, length] of cases) expect([text, contentLength(parse(text))]).toEqual([text, length])
})
