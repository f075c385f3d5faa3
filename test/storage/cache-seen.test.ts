// What `cache simulate` reads is a sample under load: few rows, each with the number of requests it stands for.

import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DiskStore } from '../../src/stages/5-cache/disk.ts'
import { noSeal } from '../../src/stages/5-cache/sealed.ts'
import { CacheFile } from '../../src/storage/cache-file.ts'
import { MovedClock } from '../gateway/cache-calls.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-seen-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const facts = {
  endpoint: 'chat.completions',
  model: 'm',
  bytes: 100,
  tokens: 10,
  costNanoUsd: 5,
  status: 'MISS',
}

test('of a burst of different requests a part is kept at once, which stands for all of them', () => {
  const clock = new MovedClock()
  const parts = { clock, seal: noSeal, tell: () => {}, purged: () => {} }
  const store = new DiskStore({ folder, bytesMax: 1e9, inactiveMs: 86_400_000 }, parts)
  const asked = 20_000
  for (let number = 0; number < asked; number++) {
    const key = Bun.SHA256.hash(`request ${number}`, 'hex')
    if (store.watches(key)) store.see(key, { ...facts, key, atMs: clock.wallMs() })
  }
  // One of few requests that come again is kept with all its repeats.
  const again = Bun.SHA256.hash('request 0', 'hex')
  expect(store.seesAgain(again, 'MISS')).toBe(true)
  store.close()
  const file = CacheFile.open(folder, () => {})
  const rows = [...file.seen(0)]
  file.close()
  expect(rows.length).toBeGreaterThan(200)
  expect(rows.length).toBeLessThan(2000)
  const stoodFor = rows.reduce((sum, { weight }) => sum + weight, 0)
  expect(stoodFor / asked).toBeGreaterThan(0.8)
  expect(stoodFor / asked).toBeLessThan(1.25)
  expect(rows.find(({ key }) => key === again)?.repeats).toBe(1)
})
