// Writes SQLite's log back into its database from another thread, since that waits for the disk. The thread is started with
// the first log that is long enough, so a gateway with little to do never has one, and ends after a quiet minute.

const quietMs = 60_000

// Text and not a file, so that the single executable has it too. `passive` waits for nobody and nobody waits for it.
const program = `
import { Database } from 'bun:sqlite'
self.onmessage = ({ data: file }) => {
  const db = new Database(file, { readwrite: true })
  try { db.run('PRAGMA wal_checkpoint(PASSIVE)') } finally { db.close(); postMessage('done') }
}`

export class Checkpointer {
  #worker: Worker | null = null
  #busy = false
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(private readonly file: string) {}

  /** Begins, unless one is under way. */
  start(): void {
    if (this.#busy) return
    this.#busy = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#worker ??= this.#open()
    this.#worker.postMessage(this.file)
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#worker?.terminate()
    this.#worker = null
  }

  #open(): Worker {
    const url = URL.createObjectURL(new Blob([program], { type: 'text/javascript' }))
    const worker = new Worker(url)
    const done = (): void => {
      this.#busy = false
      this.#timer = setTimeout(() => this.close(), quietMs)
      this.#timer.unref()
    }
    worker.addEventListener('message', done)
    // A log that stays long is only slow: the next look tries again.
    worker.addEventListener('error', (event) => {
      event.preventDefault()
      done()
    })
    worker.unref()
    return worker
  }
}
