import { describe, expect, test } from 'bun:test'
import { systemClock } from '../../base/clock.ts'
import type { LineSink, QueueOptions } from './line-queue.ts'
import { LineQueue } from './line-queue.ts'

/** A disk that does as it is told. */
class FakeDisk implements LineSink {
  text = ''
  writes = 0
  closed = false
  reopened = 0
  failure: Error | null = null
  /** Bytes taken by one write. */
  bytesMax = Infinity
  stalled: Promise<void> | null = null

  async append(bytes: Uint8Array, offset: number): Promise<number> {
    this.writes += 1
    if (this.stalled !== null) await this.stalled
    if (this.failure !== null) throw this.failure
    const part = bytes.subarray(offset, Math.min(bytes.length, offset + this.bytesMax))
    this.text += Buffer.from(part).toString('latin1')
    return part.length
  }

  reopen(): void {
    this.reopened += 1
  }

  close(): void {
    this.closed = true
  }
}

interface Told {
  readonly troubles: unknown[]
  readonly recoveries: number[]
}

function queueOn(disk: FakeDisk, more: Partial<QueueOptions> = {}): { queue: LineQueue; told: Told } {
  const told: Told = { troubles: [], recoveries: [] }
  const queue = new LineQueue(disk, {
    clock: systemClock,
    droppedLine: (lines) => `dropped ${lines}\n`,
    onTrouble: (cause) => told.troubles.push(cause),
    onRecovery: (lines) => told.recoveries.push(lines),
    gatherMs: 2,
    retryMs: 2,
    ...more,
  })
  return { queue, told }
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > end) throw new Error('the condition never came')
    await Bun.sleep(2)
  }
}

describe('writing', () => {
  test('lines are gathered, and come in their order', async () => {
    const disk = new FakeDisk()
    const { queue } = queueOn(disk)
    for (let line = 0; line < 100; line++) queue.add(`${line}\n`)
    expect(disk.writes).toBe(0)
    await until(() => disk.text !== '')
    expect(disk.writes).toBe(1)
    expect(disk.text).toBe(Array.from({ length: 100 }, (_, line) => `${line}\n`).join(''))
  })

  test('flush writes what was taken, also while a write is under way', async () => {
    const disk = new FakeDisk()
    const { queue } = queueOn(disk, { gatherMs: 60_000 })
    queue.add('a\n')
    const first = queue.flush()
    queue.add('b\n')
    await queue.flush()
    expect(disk.text).toBe('a\nb\n')
    await first
    await queue.flush()
    expect(disk.writes).toBe(2)
  })

  test('a large batch does not wait for its time', async () => {
    const disk = new FakeDisk()
    const { queue } = queueOn(disk, { gatherMs: 60_000 })
    queue.add(`${'x'.repeat(70_000)}\n`)
    await until(() => disk.text.length === 70_001)
    expect(disk.writes).toBe(1)
  })

  test('a disk that takes a few bytes at a time', async () => {
    const disk = new FakeDisk()
    disk.bytesMax = 3
    const { queue } = queueOn(disk)
    queue.add('0123456789\n')
    await queue.flush()
    expect(disk.text).toBe('0123456789\n')
  })

  test('lines that come during a write are written after it without being asked for', async () => {
    const disk = new FakeDisk()
    let release = (): void => {}
    disk.stalled = new Promise((resolve) => (release = resolve))
    const { queue } = queueOn(disk)
    queue.add('a\n')
    await until(() => disk.writes === 1)
    queue.add('b\n')
    disk.stalled = null
    release()
    await until(() => disk.text === 'a\nb\n')
  })
})

describe('a disk that fails', () => {
  test('is said once; lines wait and are written when it works again, none twice, none torn', async () => {
    const disk = new FakeDisk()
    disk.bytesMax = 4
    const { queue, told } = queueOn(disk)
    queue.add('abcdefgh\n')
    queue.add('second\n')
    const failure = new Error('ENOSPC')
    await until(() => disk.writes >= 1)
    disk.failure = failure
    queue.add('third\n')
    await until(() => disk.writes >= 8)
    expect(told.troubles.length).toBeLessThanOrEqual(1)
    disk.failure = null
    await until(() => disk.text.includes('third'))
    expect(disk.text).toBe('abcdefgh\nsecond\nthird\n')
    expect(told.recoveries.length).toBe(told.troubles.length)
  })

  test('memory is bounded, what is dropped is counted and said in the log', async () => {
    const disk = new FakeDisk()
    disk.failure = new Error('ENOSPC')
    const { queue, told } = queueOn(disk, { pendingMax: 100 })
    queue.add('0123456789\n')
    await until(() => told.troubles.length === 1)
    for (let line = 0; line < 1000; line++) queue.add('0123456789\n')
    disk.failure = null
    await until(() => told.recoveries.length > 0 && disk.text.includes('dropped'))
    expect(disk.text).toBe(`${'0123456789\n'.repeat(10)}dropped 991\n`)
    expect(told.recoveries.reduce((sum, lines) => sum + lines, 0)).toBe(991)
  })

  test('flush does not wait for a disk that fails', async () => {
    const disk = new FakeDisk()
    disk.failure = new Error('EIO')
    const { queue } = queueOn(disk, { retryMs: 60_000 })
    queue.add('a\n')
    await queue.flush()
    await queue.flush()
    expect(disk.text).toBe('')
  })
})

describe('closing', () => {
  test('writes what is left, then takes nothing more', async () => {
    const disk = new FakeDisk()
    const { queue } = queueOn(disk, { gatherMs: 60_000 })
    queue.add('a\n')
    expect(await queue.close()).toEqual({ lostBytes: 0, droppedLines: 0 })
    expect(disk.closed).toBe(true)
    queue.add('b\n')
    await queue.flush()
    expect(disk.text).toBe('a\n')
  })

  test('does not wait for a disk that hangs, and says what is lost', async () => {
    const disk = new FakeDisk()
    disk.stalled = new Promise(() => {})
    const { queue } = queueOn(disk, { closeMs: 5, pendingMax: 20 })
    queue.add('0123456789\n')
    await until(() => disk.writes === 1)
    queue.add('0123456789\n')
    queue.add('0123456789\n')
    expect(await queue.close()).toEqual({ lostBytes: 22, droppedLines: 1 })
    expect(disk.closed).toBe(false)
  })
})
