import { expect, test } from 'bun:test'
import { Exchange, nobody } from '../exchange.ts'
import { HeaderBlock } from '../net/wire/headers.ts'
import { Failure } from '../failure.ts'
import { recentMax, RecentRequests } from './recent-requests.ts'

const clock = { nowMs: () => 5, wallMs: () => 0 }

function exchange(id: string, key: string, path = '/v1/models'): Exchange {
  const request = {
    method: 'GET',
    path,
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '',
    upgrade: null,
  }
  const x = new Exchange(id, request, clock)
  x.principal = { ...nobody, kind: 'key', key }
  x.status = 200
  return x
}

const any = { key: null, model: null, status: null }
const idsOf = (rows: readonly Readonly<Record<string, unknown>>[]) => rows.map(({ id }) => id)

test('the newest are kept, and a page goes on where the last one ended', () => {
  const recent = new RecentRequests()
  const total = recentMax * 2 + 10
  for (let number = 0; number < total; number++)
    recent.add(exchange(String(number), number % 2 === 0 ? 'even' : 'odd'), number * 10)
  const first = recent.list(any, { limit: 3, before: null })
  expect(idsOf(first.rows)).toEqual([total - 1, total - 2, total - 3].map(String))
  // What has come since does not shift the next page.
  recent.add(exchange('late', 'even'), 7)
  const second = recent.list(any, { limit: 2, before: first.next })
  expect(idsOf(second.rows)).toEqual([total - 4, total - 5].map(String))
  const even = recent.list({ ...any, key: 'even' }, { limit: recentMax, before: null })
  expect(even.rows).toHaveLength(recentMax / 2)
  expect(even.next).toBeNull()
  expect(recent.list(any, { limit: 5, before: 3 })).toEqual({ rows: [], next: null })
  expect(idsOf(recent.list(any, { limit: 1, before: 10 ** 15 }).rows)).toEqual(['late'])
})

test('a row is bounded, and says what a client that left left behind', () => {
  const recent = new RecentRequests()
  const x = exchange('a', 'k', `/v1/${'x'.repeat(30_000)}`)
  x.gone = true
  recent.add(x, 12.34)
  const row = recent.list(any, { limit: 1, before: null }).rows[0]!
  expect(row).toMatchObject({
    status: 499,
    failure: 'client_gone',
    clientGone: true,
    durationMs: 7.3,
    firstByteMs: null,
  })
  expect((row['path'] as string).length).toBeLessThan(300)
  expect(recent.list({ ...any, status: '4xx' }, { limit: 1, before: null }).rows).toHaveLength(1)
  expect(recent.list({ ...any, status: '200' }, { limit: 1, before: null }).rows).toEqual([])
})

test('of a flood of what goes well only a part is kept, of what fails all', () => {
  const recent = new RecentRequests()
  for (let number = 0; number < 500; number++) recent.add(exchange(String(number), 'fine'), 7)
  for (let number = 500; number < 700; number++) {
    const x = exchange(String(number), 'bad')
    x.failure = new Failure('invalid_api_key', 'The API key is not valid.')
    recent.add(x, 8)
  }
  const { rows } = recent.list(any, { limit: recentMax, before: null })
  expect(idsOf(rows).filter((id) => Number(id) < 500)).toHaveLength(100)
  expect(idsOf(rows).filter((id) => Number(id) >= 500)).toHaveLength(200)
})
