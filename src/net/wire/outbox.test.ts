import type { Socket } from 'bun'
import { expect, test } from 'bun:test'
import { lastChunk, Outbox, writeChunk, writeMessage, writePieces } from './outbox.ts'

/** A socket that takes `room` bytes and no more until there is room again. */
class NarrowSocket {
  room = 0
  readonly taken: Buffer[] = []
  /** Bytes of memory that the last piece offered keeps alive. */
  pinned = 0

  write(bytes: Uint8Array, offset = 0, length = bytes.length - offset): number {
    const taken = Math.min(this.room, length)
    this.room -= taken
    this.pinned = bytes.buffer.byteLength
    this.taken.push(Buffer.from(bytes.subarray(offset, offset + taken)))
    return taken
  }

  get text(): string {
    return Buffer.concat(this.taken).toString('latin1')
  }
}

function narrow(): { socket: NarrowSocket; outbox: Outbox } {
  const socket = new NarrowSocket()
  return { socket, outbox: new Outbox(socket as unknown as Socket<unknown>) }
}

test('what waits for one socket is not changed by what is written to another', () => {
  const [slow, other] = [narrow(), narrow()]
  slow.socket.room = 40
  other.socket.room = 1e6
  expect(writeMessage(slow.outbox, 'HTTP/1.1 200 OK\r\n\r\n', null)).toBe(true)
  expect(writeChunk(slow.outbox, Buffer.alloc(60, 'a'))).toBe(false)
  expect(writeChunk(slow.outbox, Buffer.alloc(60, 'b'))).toBe(false)
  for (let i = 0; i < 3; i++) expect(writeChunk(other.outbox, Buffer.alloc(200, 'X'))).toBe(true)
  let drained = 0
  slow.outbox.onDrain = () => drained++
  for (let i = 0; slow.outbox.waitingBytes > 0 && i < 50; i++) {
    slow.socket.room = 7
    slow.outbox.flush()
  }
  expect(drained).toBe(1)
  slow.socket.room = 100
  expect(slow.outbox.write(lastChunk)).toBe(true)
  const expected = `HTTP/1.1 200 OK\r\n\r\n3c\r\n${'a'.repeat(60)}\r\n3c\r\n${'b'.repeat(60)}\r\n0\r\n\r\n`
  expect(slow.socket.text).toBe(expected)
  expect(slow.outbox.sentBytes).toBe(expected.length)
  expect(slow.outbox.waitingBytes).toBe(0)
})

test('what is left of a large read does not keep all of it alive', () => {
  const { socket, outbox } = narrow()
  const read = new Uint8Array(512 * 1024).map((_, index) => index % 251)
  socket.room = 500_000
  expect(outbox.write(read)).toBe(false)
  socket.room = 1
  outbox.flush()
  expect(socket.pinned).toBe(read.length - 500_000)
  for (let round = 0; outbox.waitingBytes > 0; round++) {
    socket.room = 1000
    outbox.flush()
    expect(socket.pinned).toBeLessThanOrEqual(2 * outbox.waitingBytes + 2001)
  }
  expect(Buffer.concat(socket.taken).equals(read)).toBe(true)
})

test('of answers given together each goes out whole, and its owner is told when it is out or waits by itself', async () => {
  const told: string[] = []
  const owned = (name: string, room: number) => {
    const socket = new NarrowSocket()
    socket.room = room
    return {
      socket,
      outbox: new Outbox(socket as unknown as Socket<unknown>, {
        onDrain: () => void told.push(name),
        destroy() {},
      }),
    }
  }
  const all = [owned('first', 1e6), owned('second', 1e6), owned('narrow', 5), owned('fourth', 1e6)]
  const answer = (index: number): string => `head ${index}: `
  const taken = all.map(({ outbox }, index) =>
    writePieces(outbox, [answer(index), 'x'], Buffer.alloc(50, `${index}`)),
  )
  // The first goes out at once.
  expect(taken).toEqual([true, false, false, false])
  expect(all.map(({ socket }) => socket.text.length)).toEqual([59, 0, 0, 0])
  await new Promise((resolve) => setTimeout(resolve, 0))
  expect(told).toEqual(['second', 'narrow', 'fourth'])
  expect(all.map(({ outbox }) => outbox.waitingBytes)).toEqual([0, 0, 54, 0])
  const narrowOne = all[2]!
  expect(writePieces(narrowOne.outbox, ['behind'], null)).toBe(false)
  narrowOne.socket.room = 1e6
  narrowOne.outbox.flush()
  expect(narrowOne.socket.text).toBe(`${answer(2)}x${'2'.repeat(50)}behind`)
  expect(all[3]!.socket.text).toBe(`${answer(3)}x${'3'.repeat(50)}`)
})

test('one whose owner throws takes nothing from the others', async () => {
  const told: string[] = []
  const owned = (name: string) => {
    const socket = new NarrowSocket()
    socket.room = 1e6
    const onDrain = (): void => {
      told.push(name)
      if (name === 'b') throw new Error('a bug')
    }
    const destroy = (): void => void told.push('cut')
    return new Outbox(
      socket as unknown as Socket<unknown>,
      { onDrain, destroy },
      (cause) => void told.push(String(cause)),
    )
  }
  const outboxes = ['first', 'a', 'b', 'c'].map(owned)
  for (const outbox of outboxes) writePieces(outbox, ['x'], null)
  expect(outboxes[1]!.hurry()).toBe(true)
  expect(told).toEqual(['a', 'b', 'cut', 'Error: a bug', 'c'])
  // And the next batch goes out.
  await new Promise((resolve) => setTimeout(resolve, 0))
  for (const outbox of outboxes.slice(0, 2)) writePieces(outbox, ['y'], null)
  await new Promise((resolve) => setTimeout(resolve, 0))
  expect(outboxes.map(({ waitingBytes }) => waitingBytes)).toEqual([0, 0, 0, 0])
  expect(told.slice(5)).toEqual(['a'])
})

test('one that cannot be written is cut, and takes nothing from the others', async () => {
  const told: string[] = []
  const all = ['first', 'a', 'b', 'c'].map((name) => {
    const socket = new NarrowSocket()
    socket.room = 1e6
    if (name === 'b')
      socket.write = () => {
        throw new Error('a bug')
      }
    const owner = { onDrain: () => void told.push(name), destroy: () => void told.push(`cut ${name}`) }
    const bug = (cause: unknown): void => void told.push(String(cause))
    return { socket, outbox: new Outbox(socket as unknown as Socket<unknown>, owner, bug) }
  })
  for (const { outbox } of all) writePieces(outbox, ['x'], null)
  await new Promise((resolve) => setTimeout(resolve, 0))
  expect(told).toEqual(['cut b', 'Error: a bug', 'a', 'c'])
  expect(all.map(({ socket }) => socket.text)).toEqual(['x', 'x', '', 'x'])
  expect(all.map(({ outbox }) => [outbox.batched, outbox.waitingBytes])).toEqual(all.map(() => [false, 0]))
})

test('what is alone goes out at once', async () => {
  const [first, alone] = [narrow(), narrow()].map(({ socket }) => {
    socket.room = 1e6
    const outbox = new Outbox(socket as unknown as Socket<unknown>, { onDrain() {}, destroy() {} })
    return { socket, outbox }
  }) as [ReturnType<typeof narrow>, ReturnType<typeof narrow>]
  writePieces(first.outbox, ['x'], null)
  alone.outbox.alone = true
  expect(writePieces(alone.outbox, ['y'], null)).toBe(true)
  expect(alone.socket.text).toBe('y')
  await new Promise((resolve) => setTimeout(resolve, 0))
})
