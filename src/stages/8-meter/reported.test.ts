import { expect, test } from 'bun:test'
import { systemClock } from '../../base/clock.ts'
import { Exchange } from '../../exchange.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { reportedMetadata } from './reported.ts'

function reported(metadata: Record<string, string> | null, json: unknown): unknown {
  const request = {
    method: 'POST',
    path: '/',
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '',
    upgrade: null,
  }
  const x = new Exchange('hgr_1', request, systemClock)
  x.metadata = metadata
  x.bodyBytes = Buffer.from(JSON.stringify(json))
  const pairs = reportedMetadata(x)
  return pairs === null ? null : { ...pairs }
}

test('the pairs of the header win over those of the body, which are bounded too', () => {
  const said = { team: 'b', run: '7', wrong: 3, long: 'x'.repeat(600), ['n'.repeat(65)]: 'v', '': 'v' }
  expect(reported({ team: 'a' }, { metadata: said })).toEqual({ team: 'a', run: '7' })
  expect(reported(null, { metadata: said })).toEqual({ team: 'b', run: '7' })
  expect(reported({ team: 'a' }, {})).toEqual({ team: 'a' })
  expect(reported(null, { metadata: 'x' })).toBeNull()
  expect(reported(null, { metadata: ['x'] })).toBeNull()
  expect(reported(null, { tools: [{ metadata: { a: 'b' } }] })).toBeNull()
})

test('they are found before and behind long messages', () => {
  const messages = ['x'.repeat(100_000)]
  expect(reported(null, { metadata: { a: 'b' }, messages })).toEqual({ a: 'b' })
  expect(reported(null, { messages, metadata: { a: 'b' } })).toEqual({ a: 'b' })
  const many = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`k${at}`, 'v']))
  expect(Object.keys(reported(null, { metadata: many }) as object).length).toBe(16)
})
