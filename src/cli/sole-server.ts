// Tells where a second gateway serves from the same data directory: both would rotate the same access log, and each remembers for
// itself what it has no store for. A lock of the file system, taken through SQLite, since it ends with the process however that
// ends; a file with a process id outlives kill -9, and ids come again.

import { Database as File } from 'bun:sqlite'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { isBusy } from '../storage/sqlite.ts'

/** Marks a data directory as served from. */
export class ServingMark {
  #file: File | null = null

  /** Takes the mark; a line for the log where another process has it, or it cannot be had. */
  take(path: string): string | null {
    const name = join(path, 'serving')
    try {
      closeSync(openSync(name, 'a', 0o600))
      this.#file = new File(name)
      this.#file.run('PRAGMA busy_timeout = 0')
      this.#file.run('BEGIN EXCLUSIVE')
      return null
    } catch (cause) {
      this.release()
      if (!isBusy(cause))
        return `it is not known whether another gateway serves from ${path}: ${(cause as Error).message}`
      return (
        `another gateway serves from ${path}: both write and rotate the same access log. ` +
        'Give each its own storage.path; what they share belongs into storage.postgres'
      )
    }
  }

  release(): void {
    this.#file?.close()
    this.#file = null
  }
}
