import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kinds, Segment, type RecordParts } from './segment.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-segment-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function texts(segment: Segment): string[] {
  const found: string[] = []
  for (let record = segment.read(segment.start); record !== null; record = segment.read(record.next))
    if (record.kind !== kinds.shared) found.push(`${record.kind}:${told(record.parts())}`)
  return found
}

function told({ id, numbers, rest, shared }: RecordParts): string {
  return JSON.stringify([id, numbers, rest, shared])
}

function record(id: string, shared = '["chat"]'): RecordParts {
  return { id, numbers: [1764000000000.5, null, 0], rest: '', shared }
}

test('records are there for whoever opens the file, at once and in order', async () => {
  const segment = await Segment.create(join(folder, 'a'), 64 * 1024)
  const first = record('a')
  const second = { ...record('ü€😀', '["ä"]'), numbers: [Number.MAX_SAFE_INTEGER, null], rest: 'é\n{}' }
  const third = { ...record('b'), numbers: [] }
  segment.append(kinds.reservation, first)
  segment.append(kinds.row, second)
  segment.append(kinds.row, third)
  const expected = [`1:${told(first)}`, `2:${told(second)}`, `2:${told(third)}`]
  expect(texts(segment)).toEqual(expected)
  const other = Segment.open(join(folder, 'a'))
  expect(texts(other)).toEqual(expected)
  await segment.sync()
  segment.close()
  other.close()
})

test('a file that breaks off at any byte, or has any byte wrong, gives whole records only', async () => {
  const path = join(folder, 'b')
  const segment = await Segment.create(path, 1024)
  for (const id of ['one', 'two', 'three']) segment.append(kinds.row, record(id, `["${id.length}"]`))
  const whole = readFileSync(path)
  const all = texts(segment)
  for (let end = 0; end < segment.end; end++) {
    for (const wrong of [0, whole[end]! ^ 0x55]) {
      const bytes = Buffer.from(whole)
      if (wrong === 0) bytes.fill(0, end)
      else bytes[end] = wrong
      writeFileSync(join(folder, 'c'), bytes)
      const read = Segment.open(join(folder, 'c'))
      const found = texts(read)
      expect(all.slice(0, found.length)).toEqual(found)
      read.close()
    }
  }
  segment.close()
})

test('what an earlier use left behind is never read again', async () => {
  const segment = await Segment.create(join(folder, 'd'), 4096)
  for (let index = 0; index < 20; index++) segment.append(kinds.row, record(`old ${index}`, `["${index}"]`))
  segment.renew()
  expect(texts(segment)).toEqual([])
  // Ends exactly where an old record began, too.
  for (let index = 0; index < 7; index++) {
    segment.append(kinds.row, record(`new ${index}`, `["${index}"]`))
    expect(texts(segment)).toHaveLength(index + 1)
  }
  segment.close()
})

test('what does not fit is known before it is written', async () => {
  const segment = Segment.createNow(join(folder, 'e'), 512)
  const long = record('é'.repeat(60))
  let count = 0
  while (segment.fits(long)) {
    segment.append(kinds.row, long)
    count++
  }
  expect(count).toBeGreaterThan(1)
  expect(texts(segment)).toHaveLength(count)
  expect(segment.end).toBeLessThanOrEqual(512)
  segment.close()
})
