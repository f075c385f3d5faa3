import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { RotatingFileOptions } from './rotating-file.ts'
import { RotatingFile } from './rotating-file.ts'

let folder = ''
let nowMs = 0
const troubles: unknown[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-log-'))
  nowMs = 0
  troubles.length = 0
})

afterEach(() => rmSync(folder, { recursive: true }))

function open(more: Partial<RotatingFileOptions> = {}): RotatingFile {
  return new RotatingFile({
    path: join(folder, 'access.log'),
    rotate: 20,
    keep: 3,
    clock: { nowMs: () => nowMs, wallMs: () => 0 },
    onTrouble: (cause) => troubles.push(cause),
    ...more,
  })
}

async function put(file: RotatingFile, text: string): Promise<void> {
  expect(await file.append(Buffer.from(text), 0)).toBe(text.length)
}

const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

describe('setting aside', () => {
  test('at its size, keeping as many as told', async () => {
    const file = open()
    for (let line = 0; line < 12; line++) await put(file, `line ${String(line).padStart(2)}\n`)
    file.close()
    expect(readdirSync(folder).sort()).toEqual(['access.log', 'access.log.1', 'access.log.2', 'access.log.3'])
    expect(read('access.log.1') > read('access.log.2')).toBe(true)
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(20)
  })

  test('a batch larger than the size goes into a file of its own', async () => {
    const file = open()
    await put(file, 'a\n')
    await put(file, `${'b'.repeat(50)}\n`)
    await put(file, 'c\n')
    expect([read('access.log'), read('access.log.1').length, read('access.log.2')]).toEqual([
      'c\n',
      51,
      'a\n',
    ])
    file.close()
  })

  test('never in the middle of a line', async () => {
    const file = open()
    const bytes = Buffer.from('0123456789012345678901234\n')
    await put(file, 'before\n')
    await file.append(bytes.subarray(0, 10), 0)
    await file.append(bytes, 10)
    await put(file, 'after\n')
    expect(read('access.log.1')).toBe('before\n0123456789012345678901234\n')
    expect(read('access.log')).toBe('after\n')
    file.close()
  })

  test('keep 0 keeps none, and a lowered keep deletes what is too many', async () => {
    for (const number of [1, 2, 3, 4, 5]) writeFileSync(join(folder, `access.log.${number}`), `${number}`)
    const few = open({ keep: 2 })
    await put(few, '0123456789012345\n')
    await put(few, 'next line\n')
    few.close()
    expect(readdirSync(folder).sort()).toEqual(['access.log', 'access.log.1', 'access.log.2'])
    expect(read('access.log.2')).toBe('1')
    const none = open({ keep: 0 })
    await put(none, '0123456789012345\n')
    none.close()
    expect(read('access.log')).toBe('0123456789012345\n')
    expect(read('access.log.1')).toBe('0123456789012345\n')
  })

  test('a file of an earlier run counts with its size', async () => {
    writeFileSync(join(folder, 'access.log'), '0123456789012345678\n')
    const file = open()
    await put(file, 'new\n')
    expect(read('access.log')).toBe('new\n')
    file.close()
  })

  test('where another writer has set it aside, it only follows', async () => {
    const one = open()
    const two = open()
    await put(one, '0123456789\n')
    await put(two, '0123456789\n')
    await put(one, 'one 0123456789\n')
    await put(two, 'two 0123456789\n')
    expect(read('access.log')).toBe('one 0123456789\ntwo 0123456789\n')
    expect(read('access.log.1')).toBe('0123456789\n0123456789\n')
    expect(existsSync(join(folder, 'access.log.2'))).toBe(false)
    one.close()
    two.close()
  })

  test('a name in the way is trouble, not a loss', async () => {
    const file = open({ keep: 1 })
    mkdirSync(join(folder, 'access.log.1', 'full'), { recursive: true })
    await put(file, '0123456789012345678\n')
    await put(file, 'more\n')
    await put(file, 'more\n')
    expect(troubles.length).toBe(1)
    expect(read('access.log')).toBe('0123456789012345678\nmore\nmore\n')
    file.close()
  })
})

describe('moved, deleted or emptied by others', () => {
  test('deleted: a new file within a second', async () => {
    const file = open({ rotate: 1000 })
    await put(file, 'a\n')
    rmSync(join(folder, 'access.log'))
    await put(file, 'lost with the old file\n')
    nowMs += 1000
    await put(file, 'b\n')
    expect(read('access.log')).toBe('b\n')
    file.close()
  })

  test('moved: a new file at once when told, within a second when not', async () => {
    const file = open({ rotate: 1000 })
    await put(file, 'a\n')
    renameSync(join(folder, 'access.log'), join(folder, 'old'))
    file.reopen()
    await put(file, 'b\n')
    expect([read('old'), read('access.log')]).toEqual(['a\n', 'b\n'])
    renameSync(join(folder, 'access.log'), join(folder, 'older'))
    nowMs += 1000
    await put(file, 'c\n')
    expect([read('older'), read('access.log')]).toEqual(['b\n', 'c\n'])
    file.close()
  })

  test('emptied: writing goes on at the new end', async () => {
    const file = open()
    await put(file, '0123456789012345678\n')
    truncateSync(join(folder, 'access.log'))
    nowMs += 1000
    await put(file, 'b\n')
    expect(read('access.log')).toBe('b\n')
    expect(existsSync(join(folder, 'access.log.1'))).toBe(false)
    file.close()
  })

  test('its folder deleted: made again', async () => {
    const path = join(folder, 'logs', 'deep', 'access.log')
    const file = open({ path, rotate: 1000 })
    await put(file, 'a\n')
    rmSync(join(folder, 'logs'), { recursive: true })
    nowMs += 1000
    await put(file, 'b\n')
    expect(readFileSync(path, 'utf8')).toBe('b\n')
    file.close()
  })
})

test('a line torn by a kill gets its end before the next line', async () => {
  writeFileSync(join(folder, 'access.log'), 'whole\nhal')
  const file = open()
  await put(file, 'next\n')
  file.close()
  expect(read('access.log')).toBe('whole\nhal\nnext\n')
})

test('the file and the folder made for it are the owner’s alone', () => {
  const path = join(folder, 'logs', 'access.log')
  open({ path }).close()
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(join(folder, 'logs')).mode & 0o777).toBe(0o700)
})

test('a place that cannot be opened fails at once; a device is never set aside', async () => {
  expect(() => open({ path: folder })).toThrow()
  const device = open({ path: '/dev/null' })
  for (let line = 0; line < 5; line++) await put(device, '0123456789012345678\n')
  expect(existsSync('/dev/null.1')).toBe(false)
  device.close()
})
