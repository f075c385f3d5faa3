// Answers on disk. Looking one up takes some 20 µs and is done at once; writing is not: answers wait in a queue, also found
// there, and are written by a timer, a few milliseconds' worth at a time, so that a burst of them never holds up the
// requests. The queue is bounded; what does not fit is simply not kept. Least used answers go first when the file is full.

import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { CacheFile, isBusyFile, isDamage, isDiskFull, setAside } from '../../storage/cache-file.ts'
import type { SeenRequest } from '../../storage/cache-seen.ts'
import type { Entry } from './entry.ts'
import { packEntry, unpackEntry } from './pack.ts'
import type { Seal } from './sealed.ts'
import type { PurgeMark, Store, StoreStats } from './store.ts'

const flushAfterMs = 10
/** What is only counted can wait, so that hits are not held up by a transaction every few milliseconds. */
const noteAfterMs = 250
/** Longest that one flush may hold up the process, about. */
const flushBudgetMs = 4
const queueBytesMax = 64 * 1024 * 1024
const queueItemsMax = 20_000
const tidyEveryMs = 15_000
/** Rows removed at a time. */
const sliceRows = 64
const fewRows = 8
/** Rows looked at for a purge at a time. */
const purgeRows = 256
const purgesMax = 100
/** Free room that is made at once when the file is full. */
const roomPart = 0.02
const usedEveryMin = 10
/** Requests that are kept in a second before only half as many are. */
const seenPerSecondMax = 200
/** Of few requests before twice as many are kept: a load that comes and goes is not to begin anew each time. */
const quietSecondsMin = 10
/** A disk that damages one file after the other is not written to any more. */
const renewalsMax = 3

/** Where and how much. */
export interface DiskOptions {
  /** The data directory. */
  readonly folder: string
  /** 0 = no answers are kept; purges and what was seen still are. */
  readonly bytesMax: number
  readonly inactiveMs: number
}

/** What a disk store works with. */
export interface DiskParts {
  readonly clock: Clock
  readonly seal: Seal
  /** Tells the operator. */
  readonly tell: (message: string) => void
  /** A purge that another process asked for. */
  readonly purged: (mark: PurgeMark, atMs: number) => void
}

export class DiskStore implements Store {
  #file: CacheFile | null = null
  #trouble: string | null = null
  readonly #queue = new Map<string, Entry>()
  #queueBytes = 0
  readonly #used = new Map<string, number>()
  #seen: SeenRequest[] = []
  /** The last of each digest: one that comes again before it is written is only counted. */
  readonly #seenLast = new Map<string, SeenRequest>()
  /** Purges whose rows are still to be removed, and up to which row that is done. */
  readonly #purging: { readonly mark: PurgeMark & { readonly atMs: number }; fromId: number }[] = []
  #timer: ReturnType<typeof setTimeout> | null = null
  #dueAtMs = 0
  readonly #ticker: ReturnType<typeof setInterval>
  #tidiedAtMs = 0
  #stamp = -1
  #lastPurge = 0
  #full = false
  #renewals = 0
  /** Bits of a digest that must be 0 for its request to be kept. */
  #sample = 0
  #seenThisSecond = 0
  #quietSeconds = 0

  constructor(
    private options: DiskOptions,
    private readonly parts: DiskParts,
  ) {
    this.#open()
    this.#attempt((file) => {
      const purges = file.purgesAfter(0)
      for (const { by, value, atMs, number } of purges) {
        parts.purged({ by: by as PurgeMark['by'], value }, atMs)
        this.#lastPurge = number
      }
      this.#stamp = file.stamp()
    })
    this.#ticker = setInterval(() => this.#tick(), 1000)
    this.#ticker.unref()
  }

  configure(options: DiskOptions): void {
    this.options = options
    this.#full = true
    this.#soon()
  }

  get(key: string): Entry | null {
    const queued = this.#queue.get(key)
    if (queued !== undefined) return queued
    if (this.options.bytesMax === 0) return null
    return this.#attempt((file) => {
      const name = this.parts.seal.name(key)
      const found = file.find(name)
      if (found === null) return null
      const packed = this.parts.seal.open(name, found.body)
      if (packed === null) {
        file.remove(name)
        return null
      }
      if (this.parts.clock.wallMs() / 60_000 - found.usedMin > usedEveryMin) this.use(key)
      const entry = unpackEntry(key, packed)
      entry.toldAtMs = this.parts.clock.nowMs()
      return entry
    })
  }

  put(entry: Entry): void {
    if (this.options.bytesMax === 0 || this.#file === null) return
    if (this.#queueBytes + entry.body.length > queueBytesMax || this.#queue.size >= queueItemsMax) return
    const before = this.#queue.get(entry.key)
    if (before !== undefined) this.#queueBytes -= before.body.length
    this.#queue.set(entry.key, entry)
    this.#queueBytes += entry.body.length
    this.#soon()
  }

  /** The entry is in use, though from memory. */
  use(key: string): void {
    if (this.options.bytesMax === 0 || this.#used.size >= queueItemsMax) return
    this.#used.set(key, this.parts.clock.wallMs())
    this.#soon(noteAfterMs)
  }

  /** Whether `see` is to be told of a request: by the digest, so that either all its repeats are kept or none. */
  watches(key: string): boolean {
    if (this.#file === null || this.#seen.length >= queueItemsMax) return false
    return this.#sample === 0 || (Number.parseInt(key.slice(0, 4), 16) & this.#sample) === 0
  }

  /** Counts a request that came a moment ago already, and was served alike; false = it did not, and `see` is to be told. */
  seesAgain(key: string, status: string): boolean {
    const before = this.#seenLast.get(key)
    if (before?.status !== status) return false
    before.repeats++
    return true
  }

  /** Keeps what `cache simulate` reads, of a request that it watches. `key`: the whole digest. */
  see(key: string, request: Omit<SeenRequest, 'weight' | 'repeats'>): void {
    const seen = { ...request, weight: this.#sample + 1, repeats: 0 }
    if (++this.#seenThisSecond % seenPerSecondMax === 0) this.#sample = Math.min(0xfff, this.#sample * 2 + 1)
    this.#seen.push(seen)
    this.#seenLast.set(key, seen)
    this.#soon(noteAfterMs)
  }

  purge(mark: PurgeMark): number {
    let count = 0
    for (const [key, entry] of this.#queue) {
      if (mark.by !== 'all' && mark.by !== 'key') continue
      if (mark.by === 'key' && key !== mark.value) continue
      this.#queue.delete(key)
      this.#queueBytes -= entry.body.length
      count++
    }
    count +=
      this.#attempt((file) => {
        const atMs = this.parts.clock.wallMs()
        const number = file.addPurge(mark, atMs)
        this.#lastPurge = Math.max(this.#lastPurge, number)
        return mark.by === 'key' ? file.remove(this.parts.seal.name(mark.value)) : 0
      }) ?? 0
    // What is found from now on is held against the mark; the rows themselves go bit by bit.
    if (mark.by !== 'key') {
      this.#purging.push({ mark: { ...mark, atMs: this.parts.clock.wallMs() }, fromId: 0 })
      // Found they are gone all the same, and the rows end by themselves.
      if (this.#purging.length > purgesMax) this.#purging.shift()
      this.#soon()
    }
    return count
  }

  stats(): StoreStats {
    const { bytesMax } = this.options
    const entries = this.#attempt((file) => file.count()) ?? null
    const bytes = this.#attempt((file) => file.usedBytes) ?? null
    return { store: 'disk', entries, bytes, bytesMax, trouble: this.#trouble }
  }

  /** Writes what waits, and closes the file. */
  close(): void {
    clearInterval(this.#ticker)
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    for (let rounds = 0; rounds < 200 && this.#waits(); rounds++) this.#flush()
    this.#file?.close()
    this.#file = null
  }

  #open(): void {
    try {
      this.#file = CacheFile.open(this.options.folder, this.parts.tell)
      this.#trouble = null
    } catch (cause) {
      this.#trouble = `cache.db cannot be used: ${(cause as Error).message}`
      this.parts.tell(`${this.#trouble}; answers are kept in memory only`)
    }
  }

  /** Asks the file; null where it cannot be asked. */
  #attempt<T>(work: (file: CacheFile) => T): T | null {
    const file = this.#file
    if (file === null) return null
    try {
      return work(file)
    } catch (cause) {
      if (!isBusyFile(cause)) this.#failed(file, cause)
      return null
    }
  }

  #failed(file: CacheFile, cause: unknown): void {
    const reason = (cause as Error).message
    if (isDiskFull(cause)) {
      // What is there can still be read.
      this.#forget()
      if (this.#trouble === null) this.parts.tell(`no more answers are kept on disk: ${reason}`)
      this.#trouble = reason
      return
    }
    this.#file = null
    try {
      file.close()
    } catch {
      // It is given up either way.
    }
    if (isDamage(cause) && this.#renewals++ < renewalsMax) {
      const path = join(this.options.folder, 'cache.db')
      const aside = setAside(path)
      this.parts.tell(
        `${path} is damaged (${reason}): it is set aside as ${aside}, and the cache begins anew`,
      )
      this.#forget()
      return this.#open()
    }
    this.#forget()
    this.#trouble = `cache.db cannot be used: ${reason}`
    this.parts.tell(`${this.#trouble}; answers are kept in memory only`)
  }

  #forget(): void {
    this.#queue.clear()
    this.#queueBytes = 0
    this.#used.clear()
    this.#seen = []
    this.#seenLast.clear()
    this.#purging.length = 0
    this.#full = false
  }

  #soon(afterMs = flushAfterMs): void {
    if (this.#file === null) return
    if (this.#timer !== null && afterMs === noteAfterMs) return
    const dueAtMs = this.parts.clock.nowMs() + afterMs
    if (this.#timer !== null) {
      if (this.#dueAtMs <= dueAtMs) return
      clearTimeout(this.#timer)
    }
    this.#dueAtMs = dueAtMs
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#flush()
      if (this.#waits()) this.#soon()
    }, afterMs)
    this.#timer.unref()
  }

  #waits(): boolean {
    const waiting = this.#queue.size + this.#used.size + this.#seen.length + this.#purging.length
    return this.#file !== null && (waiting > 0 || this.#full)
  }

  #flush(): void {
    const written: string[] = []
    const untilMs = this.parts.clock.nowMs() + flushBudgetMs
    const late = (): boolean => this.parts.clock.nowMs() > untilMs
    const done = this.#attempt((file) => {
      file.together(() => {
        const nowMs = this.parts.clock.wallMs()
        for (const [key, entry] of this.#queue) {
          this.#write(file, entry, nowMs)
          written.push(key)
          if (late()) break
        }
        for (const [key, atMs] of this.#used) file.used(this.parts.seal.name(key), atMs)
        if (this.#seen.length > 0) file.addSeen(this.#seen)
        if (!late()) this.#makeRoom(file)
      })
      return true
    })
    if (done === null) return
    for (const key of written) {
      this.#queueBytes -= this.#queue.get(key)?.body.length ?? 0
      this.#queue.delete(key)
    }
    this.#used.clear()
    this.#seen = []
    this.#seenLast.clear()
  }

  #write(file: CacheFile, entry: Entry, nowMs: number): void {
    const { seal } = this.parts
    const name = seal.name(entry.key)
    const { endpoint, model, team, tags, keptUntilMs, askedAtMs } = entry.facts
    const body = seal.close(name, packEntry(entry))
    file.keep({
      key: name,
      body,
      endpoint,
      model: model ?? '',
      team: team ?? '',
      tags,
      keptUntilMs,
      askedAtMs,
      nowMs,
    })
  }

  #makeRoom(file: CacheFile): void {
    const purge = this.#purging[0]
    if (purge !== undefined) {
      const { nextId } = file.removeMeant(purge.mark, purge.fromId, purgeRows)
      if (nextId === null) this.#purging.shift()
      else purge.fromId = nextId
    }
    const { bytesMax } = this.options
    if (file.usedBytes > bytesMax) this.#full = true
    // Some room at once, or every answer that comes would have to push out another. Few at a time, since one may be large.
    for (let rounds = 0; this.#full && rounds < sliceRows / fewRows; rounds++) {
      if (file.usedBytes <= bytesMax * (1 - roomPart) || file.removeLeastUsed(fewRows) < fewRows)
        this.#full = false
    }
  }

  #tick(): void {
    if (this.#seenThisSecond >= seenPerSecondMax / 4) this.#quietSeconds = 0
    else if (++this.#quietSeconds >= quietSecondsMin) {
      this.#quietSeconds = 0
      this.#sample >>= 1
    }
    this.#seenThisSecond = 0
    this.#attempt((file) => {
      const stamp = file.stamp()
      if (stamp !== this.#stamp) {
        this.#stamp = stamp
        for (const { by, value, atMs, number } of file.purgesAfter(this.#lastPurge)) {
          this.#lastPurge = number
          this.parts.purged({ by: by as PurgeMark['by'], value }, atMs)
        }
      }
      const nowMs = this.parts.clock.nowMs()
      if (nowMs - this.#tidiedAtMs < tidyEveryMs) return
      const wallMs = this.parts.clock.wallMs()
      const gone = file.removeOld(wallMs, wallMs - this.options.inactiveMs, sliceRows)
      // Where there is more to tidy, the next second goes on.
      if (gone < sliceRows) this.#tidiedAtMs = nowMs
    })
  }
}
