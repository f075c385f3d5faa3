import { expect, test } from 'bun:test'
import { ObjectStore, pageOf } from './object-store.ts'

const rows = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id }))
const ids = (query: string): unknown[] => pageOf(rows, new URLSearchParams(query)).data.map(({ id }) => id)

test('pages by limit, order, after and before', () => {
  expect(ids('')).toEqual(['e', 'd', 'c', 'b', 'a'])
  expect(ids('order=asc&limit=2&after=b')).toEqual(['c', 'd'])
  expect(ids('order=asc&before=c')).toEqual(['a', 'b'])
  expect(pageOf(rows, new URLSearchParams('limit=2'))).toMatchObject({
    first_id: 'e',
    last_id: 'd',
    has_more: true,
  })
  expect(pageOf([], new URLSearchParams())).toMatchObject({ first_id: null, last_id: null, has_more: false })
  expect(() => ids('limit=x')).toThrow()
})

test('a collection forgets its oldest by number and by size', () => {
  const store = new ObjectStore()
  for (let i = 0; i < 2500; i++) store.put('things', { id: String(i) })
  expect(store.all('things')).toHaveLength(2000)
  expect(store.get('things', '0')).toBeNull()
  const text = 'x'.repeat(8 * 1024 * 1024)
  for (let i = 0; i < 10; i++) store.put('big', { id: String(i), text })
  expect(store.all('big').map(({ id }) => id)).toEqual(['3', '4', '5', '6', '7', '8', '9'])
})

test('collections inside others go first where all together are too many', () => {
  const store = new ObjectStore()
  store.put('threads', { id: 't' })
  for (let i = 0; i < 5100; i++) store.put(`threads/${i}/messages`, { id: 'm' })
  expect(store.get('threads', 't')).not.toBeNull()
  expect(store.all('threads/0/messages')).toEqual([])
  expect(store.all('threads/5099/messages')).toHaveLength(1)
})
