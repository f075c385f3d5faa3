import { expect, test } from 'bun:test'
import { Pieces, unpinned } from './pieces.ts'

test('pieces of every size come back in order', () => {
  const held = new Pieces()
  const sizes = [1, 5000, 3, 4095, 4096, 2, 100_000, 1, 1, 70_000]
  const expected = Buffer.concat(sizes.map((size, index) => Buffer.alloc(size, index + 1)))
  for (let round = 0; round < 2; round++) {
    for (const [index, size] of sizes.entries()) held.add(new Uint8Array(size).fill(index + 1))
    expect(held.bytes).toBe(expected.length)
    const joined = round === 0 ? held.join() : Buffer.concat(held.take())
    expect(Buffer.compare(joined, expected)).toBe(0)
    expect([held.bytes, held.join().length]).toEqual([0, 0])
  }
})

test('a body in pieces of one byte costs about its own bytes, and lets go of what it was read into', () => {
  const held = new Pieces()
  const read = new Uint8Array(512 * 1024).fill(7)
  for (let at = 0; at < 300_000; at++) held.add(read.subarray(at, at + 1))
  const taken = held.take()
  expect(taken.length).toBeLessThan(20)
  expect(taken.some((piece) => piece.buffer === read.buffer)).toBe(false)
  expect(taken.reduce((sum, piece) => sum + piece.buffer.byteLength, 0)).toBeLessThan(400_000)
  expect(Buffer.concat(taken).equals(read.subarray(0, 300_000))).toBe(true)
})

test('a view is copied only where it keeps much more alive than itself', () => {
  const read = new Uint8Array(1000)
  expect(unpinned(read.subarray(0, 500)).buffer).toBe(read.buffer)
  expect(unpinned(read.subarray(0, 499)).buffer.byteLength).toBe(499)
})
