import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStorage } from '../storage/open.ts'
import { StoredObjects } from './stored-objects.ts'

const dayMs = 86_400_000
const time = { ms: Date.now() }
const clock = { nowMs: () => performance.now(), wallMs: () => time.ms }
const folder = mkdtempSync(join(tmpdir(), 'headgate-objects-'))
const storage = await openStorage({ path: folder, postgres: null }, clock)
const opened: StoredObjects[] = []
function open(): StoredObjects {
  const objects = new StoredObjects({ storage, clock, keepMs: 10 * dayMs })
  opened.push(objects)
  return objects
}
afterAll(async () => {
  for (const objects of opened) await objects.close()
  await storage.close()
  rmSync(folder, { recursive: true, force: true })
})

const ann = { owner: 'team:ann', account: 'main' }
const bob = { owner: 'team:bob', account: 'backup' }
const owners = async (objects: StoredObjects, ...ids: string[]) =>
  [...(await objects.find(ids, ann.owner))].map(([id, { owner }]) => `${id} ${owner}`)

test('an object keeps its first owner, and is known to whoever opens the store', async () => {
  const [one, other] = [open(), open()]
  await one.record(['a', 'b'], ann)
  await Promise.all([other.record(['b', 'c'], bob), one.record(['b'], ann)])
  for (const objects of [one, other, open()])
    expect(await owners(objects, 'a', 'b', 'c', 'd')).toEqual(['a team:ann', 'b team:ann', 'c team:bob'])
  const kept = await one.find(['a', 'c', 'd'], ann.owner)
  expect(['a', 'c', 'd'].map((id) => kept.get(id)?.account)).toEqual(['main', 'backup', undefined])
  await one.forget('a')
  expect(await owners(open(), 'a')).toEqual([])
})

test('one recorded amid a transaction that fails is not lost with it', async () => {
  const objects = open()
  const recorded: Promise<void>[] = []
  const failing = storage.db.transaction().execute(async (tx) => {
    await tx.insertInto('facts').values({ name: 'x', value: 'y' }).execute()
    recorded.push(objects.record(['amid-1'], ann), objects.record(['amid-2'], ann))
    await Bun.sleep(5)
    throw new Error('no')
  })
  await failing.catch(() => {})
  await Promise.all(recorded)
  expect(await owners(open(), 'amid-1', 'amid-2')).toEqual(['amid-1 team:ann', 'amid-2 team:ann'])
})

test('what nobody uses is forgotten in the end, what is used stays', async () => {
  await open().record(['used', 'unused'], ann)
  time.ms += 6 * dayMs
  expect(await owners(open(), 'used')).toEqual(['used team:ann'])
  await Bun.sleep(20)
  time.ms += 6 * dayMs
  const objects = open()
  await objects.prune()
  expect(await owners(objects, 'used', 'unused')).toEqual(['used team:ann'])
})

test('a store that is closed is no "not found"', async () => {
  const own = mkdtempSync(join(folder, 'own-'))
  const gone = await openStorage({ path: own, postgres: null }, clock)
  const objects = new StoredObjects({ storage: gone, clock, keepMs: dayMs })
  await gone.close()
  expect(() => objects.find(['x'], ann.owner)).toThrow()
  expect(await objects.record(['x'], ann).catch(() => 'failed')).toBe('failed')
  await objects.close()
})
