// Answers in memory, bounded by their bytes: the least recently used goes first. An entry moves to the young end at most
// once a second: what is asked for ten thousand times a second costs one look-up each time and no more. What is found in a
// store below takes another's place only when it was found there before, not long ago (the doorkeeper of TinyLFU, Einziger
// and others 2017): else a run through many answers would push out those that are asked for all the time.

import type { Clock } from '../../base/clock.ts'
import type { Entry } from './entry.ts'
import { isMeant, type PurgeMark, type Store, type StoreStats } from './store.ts'

const moveEveryMs = 1000
/** An entry larger than this part of the whole would push out everything else. */
const largestPart = 8

/** Places of the doorkeeper, one bit each. */
const doorBits = 2 ** 20
/** Answers it remembers before it begins anew, for each that is kept. */
const doorFactor = 8

interface Slot {
  readonly entry: Entry
  bytes: number
  movedAtMs: number
}

export class MemoryStore implements Store {
  readonly #slots = new Map<string, Slot>()
  #bytes = 0
  #door: Uint32Array | null = null
  #doorCount = 0

  constructor(
    private bytesMax: number,
    private readonly clock: Clock,
  ) {}

  get(key: string): Entry | null {
    const slot = this.#slots.get(key)
    if (slot === undefined) return null
    const nowMs = this.clock.nowMs()
    if (nowMs - slot.movedAtMs > moveEveryMs) {
      slot.movedAtMs = nowMs
      this.#slots.delete(key)
      this.#slots.set(key, slot)
    }
    return slot.entry
  }

  put(entry: Entry): void {
    this.remove(entry.key)
    if (entry.heldBytes > this.bytesMax / largestPart) return
    this.#slots.set(entry.key, { entry, bytes: entry.heldBytes, movedAtMs: this.clock.nowMs() })
    this.#bytes += entry.heldBytes
    this.#shrink()
  }

  /** As `put`, for what was found below: where another would have to go for it, only if it was found before. */
  welcome(entry: Entry): void {
    if (this.#bytes + entry.heldBytes > this.bytesMax && !this.#wasSeen(entry.key)) return
    this.put(entry)
  }

  /** The entry has come to hold more, or less. */
  resized(entry: Entry): void {
    const slot = this.#slots.get(entry.key)
    if (slot === undefined || slot.entry !== entry) return
    this.#bytes += entry.heldBytes - slot.bytes
    slot.bytes = entry.heldBytes
    this.#shrink()
  }

  remove(key: string): void {
    const slot = this.#slots.get(key)
    if (slot === undefined) return
    this.#slots.delete(key)
    this.#bytes -= slot.bytes
  }

  purge(mark: PurgeMark): number {
    if (mark.by === 'key') {
      const there = this.#slots.has(mark.value)
      this.remove(mark.value)
      return there ? 1 : 0
    }
    let count = 0
    for (const [key, { entry }] of this.#slots) {
      if (!isMeant(entry, mark)) continue
      this.remove(key)
      count++
    }
    return count
  }

  /** Another bound. */
  resize(bytesMax: number): void {
    this.bytesMax = bytesMax
    this.#shrink()
  }

  stats(): StoreStats {
    return {
      store: 'memory',
      entries: this.#slots.size,
      bytes: this.#bytes,
      bytesMax: this.bytesMax,
      trouble: null,
    }
  }

  /** Whether an answer was found lately, and remembers it. Another may have its place: then it is kept a little too early. */
  #wasSeen(key: string): boolean {
    const door = (this.#door ??= new Uint32Array(doorBits / 32))
    const place = Number.parseInt(key.slice(0, 8), 16) % doorBits
    const bit = 1 << (place % 32)
    const word = Math.floor(place / 32)
    if ((door[word]! & bit) !== 0) return true
    if (this.#doorCount >= Math.min(doorBits / 8, Math.max(1024, this.#slots.size * doorFactor))) {
      door.fill(0)
      this.#doorCount = 0
    }
    door[word]! |= bit
    this.#doorCount += 1
    return false
  }

  #shrink(): void {
    if (this.#bytes <= this.bytesMax) return
    for (const key of this.#slots.keys()) {
      this.remove(key)
      if (this.#bytes <= this.bytesMax) return
    }
  }
}
