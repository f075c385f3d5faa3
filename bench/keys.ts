// What stored client keys cost: the check of one credential, and a start, with 100,000 keys in the store. Run it with
// `bun bench/keys.ts [keys] [postgres://…]`; without a URL the store is SQLite in a scratch folder.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClientKey } from '../src/base/client-key.ts'
import { systemClock } from '../src/base/clock.ts'
import { newId } from '../src/base/id.ts'
import { Secret } from '../src/base/secret.ts'
import { newRow } from '../src/keys/key-rows.ts'
import { checkSpec } from '../src/keys/key-spec.ts'
import { openKeys } from '../src/keys/open-keys.ts'
import { createPepper } from '../src/keys/pepper.ts'
import { openStorage } from '../src/storage/open.ts'

const count = Number(process.argv[2] ?? 100_000)
const postgres = process.argv[3] === undefined ? null : new Secret(process.argv[3])
const path = mkdtempSync(join(tmpdir(), 'headgate-bench-keys-'))
const quiet = { event: () => {}, revoked: () => {} }

async function fill(): Promise<string[]> {
  const storage = await openStorage({ path, postgres }, systemClock)
  const pepper = createPepper(join(path, 'pepper'))
  const hash = pepper.hasher('client-key')
  const atMs = systemClock.wallMs()
  const credentials: string[] = []
  await storage.db.transaction().execute(async (tx) => {
    const fact = { name: 'pepper_check', value: pepper.check }
    await tx.insertInto('facts').values(fact).execute()
    for (let done = 0; done < count; done += 500) {
      const size = Math.min(500, count - done)
      const rows = Array.from({ length: size }, (_, index) => {
        const spec = { name: `key ${done + index}`, team: `team ${index % 40}`, models: ['gpt-4o*', 'o3'] }
        const made = { id: newId('key'), seq: done + index + 1, by: 'bench', atMs }
        return newRow(checkSpec(spec, atMs), made)
      })
      const digests = rows.map((row) => {
        const credential = createClientKey('dev')
        credentials.push(credential)
        return { digest: hash.text(credential), key_id: row.id, created_at_ms: atMs, not_after_ms: null }
      })
      await tx.insertInto('keys').values(rows).execute()
      await tx.insertInto('key_digests').values(digests).execute()
    }
    await tx.updateTable('counters').set({ value: count }).where('name', '=', 'keys').execute()
  })
  await storage.close()
  return credentials
}

/** Processor time, so that what else the machine does counts less. */
function spentUs(from: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(from)
  return user + system
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

try {
  const credentials = await fill()
  const startsMs: number[] = []
  for (let round = 0; round < 5; round++) {
    const from = process.cpuUsage()
    const storage = await openStorage({ path, postgres }, systemClock)
    const keys = await openKeys(storage, { path, pepper: null, clock: systemClock, events: quiet })
    startsMs.push(spentUs(from) / 1000)
    await keys.close()
    await storage.close()
  }
  const storage = await openStorage({ path, postgres }, systemClock)
  const beforeBytes = process.memoryUsage().rss
  const keys = await openKeys(storage, { path, pepper: null, clock: systemClock, events: quiet })
  const heldBytes = process.memoryUsage().rss - beforeBytes
  const look = (texts: readonly string[]): number => {
    const rounds = 300_000
    const from = process.cpuUsage()
    for (let at = 0; at < rounds; at++) keys.lookup(texts[(at * 7919) % texts.length]!)
    return spentUs(from) / rounds
  }
  const unknown = Array.from({ length: 10_000 }, () => createClientKey('dev'))
  const garbled = credentials
    .slice(0, 10_000)
    .map((text) => `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`)
  const check = (texts: readonly string[]): string => {
    look(texts)
    return median(Array.from({ length: 5 }, () => look(texts))).toFixed(2)
  }
  console.log(`${count} keys in ${storage.kind}, processor time, medians of 5`)
  console.log(
    `  open the store and read all keys   ${median(startsMs).toFixed(0)} ms, then some ${(heldBytes / 1048576).toFixed(0)} MB`,
  )
  console.log(
    `  check: 1,000 keys in turn          ${check(credentials.filter((_, at) => at % (count / 1000) === 0))} µs`,
  )
  console.log(`  check: all keys in turn            ${check(credentials)} µs`)
  console.log(`  check: well formed and unknown     ${check(unknown)} µs`)
  console.log(`  check: checksum does not fit       ${check(garbled)} µs`)
  await keys.close()
  await storage.close()
} finally {
  rmSync(path, { recursive: true })
}
