import { expect, test } from 'bun:test'
import { KeyIndex, type IndexedRow } from './key-index.ts'

const row = (id: string, digest: string | null, more: Partial<IndexedRow> = {}): IndexedRow => ({
  id,
  changed_seq: 1,
  name: id,
  env: 'dev',
  team: null,
  app: null,
  user_name: null,
  models: null,
  endpoints: null,
  addresses: null,
  user_agents: null,
  budget: null,
  may_name: 0,
  expires_at_ms: null,
  revoked_at_ms: null,
  digest,
  not_after_ms: null,
  ...more,
})

/** A digest of eight words, as text and as the index is asked with. */
function digest(...words: number[]): { text: string; words: Uint32Array } {
  const all = new Uint32Array(8)
  all.set(words)
  return { text: Buffer.from(all.buffer).toString('base64'), words: all }
}

test('digests that begin alike are told apart, and one that goes leaves the others', () => {
  const index = new KeyIndex()
  const alike = [digest(7, 7, 1), digest(7, 7, 2), digest(7, 7, 2, 0, 0, 0, 3), digest(7, 7, 0, 0, 4)]
  index.apply(alike.map(({ text }, at) => row(`k${at}`, text)))
  const seen = () => alike.map(({ words }) => index.idOf(words))
  expect(seen()).toEqual(['k0', 'k1', 'k2', 'k3'])
  expect(index.idOf(digest(7, 7).words)).toBeNull()
  for (const [at, gone] of ['k1', 'k3', 'k0', 'k2'].entries()) {
    index.apply([row(gone, null)])
    expect(seen().filter((id) => id !== null)).toHaveLength(3 - at)
  }
})

test('a key keeps one principal until it changes', () => {
  const index = new KeyIndex()
  const one = digest(1)
  index.apply([row('a', one.text, { models: '["gpt-*"]' })])
  const first = index.find(one.words, 0)
  expect(first).toMatchObject({ keyId: 'a', models: ['gpt-*'] })
  expect(index.find(one.words, 0)).toBe(first)
  expect(index.apply([row('a', one.text, { revoked_at_ms: 5 })])).toEqual(['a'])
  expect(index.find(one.words, 0)).toBe('revoked')
  expect(index.apply([row('a', one.text, { revoked_at_ms: 5 })])).toEqual([])
})

test('a secret counts until its own end or that of its key, whichever comes first', () => {
  const index = new KeyIndex()
  const [old, now] = [digest(1), digest(2)]
  index.apply([
    row('a', old.text, { expires_at_ms: 20, not_after_ms: 10 }),
    row('a', now.text, { expires_at_ms: 20 }),
  ])
  expect([9, 10].map((atMs) => typeof index.find(old.words, atMs))).toEqual(['object', 'string'])
  expect([19, 20].map((atMs) => index.find(now.words, atMs) === 'expired')).toEqual([false, true])
  expect(index.size).toBe(1)
})
