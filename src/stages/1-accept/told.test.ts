import { expect, test } from 'bun:test'
import { systemClock } from '../../base/clock.ts'
import { Exchange } from '../../exchange.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { noteTold } from './told.ts'

function told(lines: readonly string[]): Exchange {
  const headers = HeaderBlock.parse(lines.map((line) => `${line}\r\n`).join(''))!
  const request = {
    method: 'POST',
    path: '/',
    query: '',
    headers,
    body: null,
    peerAddress: '',
    upgrade: null,
  }
  const x = new Exchange('hgr_1', request, systemClock)
  noteTold(x)
  return x
}

test('rule 8: the count of the SDK is a bounded number, and anything else is 0', () => {
  for (const [value, count] of [
    ['0', 0],
    ['2', 2],
    ['999999', 1000],
    ['-1', 0],
    ['1.5', 0],
    ['x', 0],
    ['1e3', 0],
  ] as const)
    expect(told([`x-stainless-retry-count: ${value}`]).retryCount).toBe(count)
  expect(told([]).retryCount).toBe(0)
})

test('names and values may be UTF-8, and names of the language are names', () => {
  const latin = (text: string): string => Buffer.from(text).toString('latin1')
  expect({ ...told([`x-headgate-metadata: ${latin('{"team":"a","é":"ü"}')}`]).metadata }).toEqual({
    team: 'a',
    é: 'ü',
  })
  const odd = told(['x-headgate-metadata: {"__proto__":"p"}']).metadata!
  expect([Object.keys(odd), odd['__proto__']]).toEqual([['__proto__'], 'p'])
  expect(told([]).metadata).toBeNull()
})
