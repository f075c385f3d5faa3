// A file that lines are appended to, and that is set aside when it is large: access.log becomes access.log.1, that
// becomes .2, and so on. Opened for appending, so that several writers and `copytruncate` do no harm; owner-only, since
// it says who asked what when. Once a second its name is looked at: where someone moved or deleted the file (logrotate,
// rm), a new one is begun, also without a signal.

import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { LineSink } from './line-queue.ts'
import { writeSome } from './write-some.ts'

/** What a rotating file is told. */
export interface RotatingFileOptions {
  readonly path: string
  /** Size in bytes at which the file is set aside. */
  readonly rotate: number
  /** Files set aside that are kept; 0 = none. */
  readonly keep: number
  readonly clock: Clock
  /** Told when the file cannot be set aside; it is written on. */
  readonly onTrouble: (cause: unknown) => void
}

const lookEveryMs = 1000

export class RotatingFile implements LineSink {
  #fd = -1
  #size = 0
  #device = 0
  #inode = 0
  #regular = true
  #stale = false
  #lookedAtMs = 0
  #rotateNotBeforeMs = 0

  /** Opens at once, so that a start fails where it will not work. @throws the system's error */
  constructor(private readonly options: RotatingFileOptions) {
    this.#open()
  }

  async append(bytes: Uint8Array, offset: number): Promise<number> {
    // In the middle of a line the file stays the same, whatever its size or name.
    if (offset === 0) await this.#prepare(bytes.length)
    const written = await writeSome(this.#fd, bytes, offset)
    this.#size += written
    return written
  }

  reopen(): void {
    this.#stale = true
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }

  async #prepare(incoming: number): Promise<void> {
    const nowMs = this.options.clock.nowMs()
    if (!this.#stale && nowMs - this.#lookedAtMs >= lookEveryMs) {
      this.#lookedAtMs = nowMs
      this.#stale = !(await this.#isOurs())
    }
    if (this.#stale || this.#fd < 0) this.#open()
    const full = this.#regular && this.#size > 0 && this.#size + incoming > this.options.rotate
    if (!full || nowMs < this.#rotateNotBeforeMs) return
    try {
      // Another process may have set the file aside already: then ours is the old one.
      if (await this.#isOurs()) await this.#setAside()
    } catch (cause) {
      this.#rotateNotBeforeMs = nowMs + 60_000
      this.options.onTrouble(cause)
      return
    }
    this.#open()
  }

  async #isOurs(): Promise<boolean> {
    try {
      const named = await stat(this.options.path)
      if (named.dev !== this.#device || named.ino !== this.#inode) return false
      this.#size = named.size
      return true
    } catch {
      return false
    }
  }

  async #setAside(): Promise<void> {
    const { path, keep } = this.options
    if (keep === 0) return await unlink(path)
    // After `keep` was lowered there may be more than one too many.
    for (let number = keep; await existed(unlink(`${path}.${number}`)); number++);
    for (let number = keep - 1; number >= 1; number--) {
      await existed(rename(`${path}.${number}`, `${path}.${number + 1}`))
    }
    await rename(path, `${path}.1`)
  }

  #open(): void {
    const { path } = this.options
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const fd = openSync(path, 'a+', 0o600)
    this.close()
    endTornLine(fd)
    const opened = fstatSync(fd)
    this.#fd = fd
    this.#size = opened.size
    this.#device = opened.dev
    this.#inode = opened.ino
    this.#regular = opened.isFile()
    this.#stale = false
    this.#lookedAtMs = this.options.clock.nowMs()
  }
}

/** A process that was killed amid a line left it without an end; the next line must not be glued to it. */
function endTornLine(fd: number): void {
  const found = fstatSync(fd)
  if (!found.isFile() || found.size === 0) return
  const last = Buffer.alloc(1)
  readSync(fd, last, 0, 1, found.size - 1)
  if (last[0] !== 10) writeSync(fd, '\n')
}

/** Whether there was a file to take this step with. Other errors are thrown. */
async function existed(step: Promise<void>): Promise<boolean> {
  try {
    await step
    return true
  } catch (cause) {
    if ((cause as { code?: unknown }).code === 'ENOENT') return false
    throw cause
  }
}
