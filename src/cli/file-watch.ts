// Watches files for a change of their content. Watches folders, not files: editors and Kubernetes replace a file by
// renaming a new one over it, and a watch on the old one would see nothing more.

import { readFileSync, watch, type FSWatcher } from 'node:fs'
import { dirname } from 'node:path'

/** Writing a file shows as several events; this long after the last one it is taken as written. */
const quietMs = 100

export class FileWatch {
  #watchers: FSWatcher[] = []
  #timer: ReturnType<typeof setTimeout> | null = null
  #files: readonly string[] = []
  #seen = ''

  constructor(
    files: readonly string[],
    private readonly changed: () => void,
  ) {
    this.replace(files)
  }

  /** Watches these files from now on. */
  replace(files: readonly string[]): void {
    this.close()
    this.#files = files
    this.#seen = contents(files)
    for (const folder of new Set(files.map((file) => dirname(file)))) {
      const watcher = watch(folder, () => this.#soon())
      // A folder that goes away takes its watch with it; the files' last content stays in force.
      watcher.on('error', () => watcher.close())
      this.#watchers.push(watcher)
    }
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const watcher of this.#watchers.splice(0)) watcher.close()
  }

  #soon(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      const now = contents(this.#files)
      if (now === this.#seen) return
      this.#seen = now
      this.changed()
    }, quietMs)
  }
}

function contents(files: readonly string[]): string {
  return files.map((file) => Bun.hash(read(file)).toString(36)).join(' ')
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
