// One end of a plain TCP connection, for tests that must see and send exact bytes: a client of the gate, or an upstream
// behind it. Everything that came is kept until somebody takes it, and writing waits for the kernel, so that a test can
// tell whether the other side pushes back.

import type { Socket } from 'bun'
import { connect, type Socket as NodeSocket } from 'node:net'

/** Long enough for a machine under load; a test that waits this long has failed. */
export const patienceMs = 15_000

/** The other end's bytes as they came, and the way to send. */
export class Peer {
  received: Buffer = Buffer.alloc(0)
  /** Every byte ever received, also those taken since. */
  receivedBytes = 0
  /** Bytes the kernel has taken from us. */
  sentBytes = 0
  /** The other end has sent its FIN, or the connection is gone. */
  ended = false
  closed = false
  /** Drop what comes instead of keeping it; `receivedBytes` still counts. */
  discard = false
  #waiting: { bytes: Uint8Array; taken: () => void }[] = []
  #watchers = new Set<() => void>()

  constructor(readonly socket: Socket<Peer>) {}

  /** Sends; resolves when the kernel has taken all of it, or the connection is gone. */
  write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data
    if (bytes.length === 0 || this.closed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, taken: resolve })
      if (this.#waiting.length === 1) this.flush()
    })
  }

  /** Waits until `done` holds; looked at whenever something happens on this connection. */
  until<T>(
    done: () => T | undefined | null | false | '',
    what = 'something',
    timeoutMs = patienceMs,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = done()
        if (found === undefined || found === null || found === false || found === '') return false
        this.#watchers.delete(look)
        clearTimeout(timer)
        resolve(found)
        return true
      }
      const timer = setTimeout(() => {
        this.#watchers.delete(look)
        const shown = this.received.toString('latin1').slice(0, 400)
        reject(
          new Error(
            `waited ${timeoutMs} ms for ${what}; closed: ${this.closed}; received: ${JSON.stringify(shown)}`,
          ),
        )
      }, timeoutMs)
      if (!look()) this.#watchers.add(look)
    })
  }

  /** Waits until `text` has come, and gives all that came so far. */
  async untilText(text: string): Promise<string> {
    await this.until(() => this.received.includes(text, 0, 'latin1'), JSON.stringify(text))
    return this.text
  }

  untilClosed(): Promise<boolean> {
    return this.until(() => this.closed, 'the connection to close')
  }

  /** Waits until the other end has finished sending, in order or not. */
  untilEnded(): Promise<boolean> {
    return this.until(() => this.ended || this.closed, 'the other end to finish')
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  /** Takes the first `bytes` away. */
  take(bytes: number): Buffer {
    const taken = this.received.subarray(0, bytes)
    this.received = this.received.subarray(bytes)
    return taken
  }

  /** FIN: no more from us. */
  end(): void {
    this.socket.shutdown()
  }

  /** Closes in order. */
  close(): void {
    if (!this.closed) this.socket.end()
  }

  /** RST. */
  reset(): void {
    if (!this.closed) this.socket.terminate()
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  // --- from the socket -------------------------------------------------------------------------------------------

  data(bytes: Buffer): void {
    this.receivedBytes += bytes.length
    if (!this.discard)
      this.received = this.received.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.received, bytes])
    this.wake()
  }

  flush(): void {
    while (this.#waiting.length > 0 && !this.closed) {
      const first = this.#waiting[0]!
      const taken = Math.max(0, this.socket.write(first.bytes))
      this.sentBytes += taken
      if (taken < first.bytes.length) {
        first.bytes = first.bytes.subarray(taken)
        break
      }
      this.#waiting.shift()
      first.taken()
    }
    this.wake()
  }

  gone(): void {
    this.closed = true
    this.ended = true
    for (const { taken } of this.#waiting.splice(0)) taken()
    this.wake()
  }

  wake(): void {
    for (const look of this.#watchers) look()
  }
}

/** Handlers for `Bun.listen` and `Bun.connect` whose sockets carry a Peer. */
export const peerHandlers = {
  data: (socket: Socket<Peer>, bytes: Buffer) => socket.data.data(bytes),
  drain: (socket: Socket<Peer>) => socket.data.flush(),
  end: (socket: Socket<Peer>) => {
    socket.data.ended = true
    socket.data.wake()
  },
  close: (socket: Socket<Peer>) => socket.data?.gone(),
  error: (socket: Socket<Peer>) => socket.data?.gone(),
}

/** Opens a connection. @throws where nobody listens */
export async function dial(port: number, hostname = '127.0.0.1'): Promise<Peer> {
  const socket = await Bun.connect<Peer>({
    hostname,
    port,
    allowHalfOpen: true,
    socket: { ...peerHandlers, open: (opened) => void (opened.data = new Peer(opened)) },
  })
  return socket.data
}

/** Whether anybody accepts connections at `port`. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: NodeSocket = connect(port, '127.0.0.1')
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })
}
