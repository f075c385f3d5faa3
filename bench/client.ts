// Clients inside this process: one call after the other on kept connections, and readers that only count. Raw sockets,
// since a client library would cost several times what is measured.

import type { Socket } from 'bun'

/** One call as its client saw it; moments in milliseconds after the request was written. */
export interface Timing {
  readonly firstByteMs: number
  readonly wholeMs: number
}

const blankLine = Buffer.from('\r\n\r\n')
const lastChunk = Buffer.from('0\r\n\r\n')

/** A kept connection that makes one call at a time. */
export class Connection {
  #socket!: Socket
  #sentAtMs = 0
  #firstByteMs = 0
  #bytes = 0
  #length = -1
  #settle: { resolve: (timing: Timing) => void; reject: (cause: Error) => void } | null = null

  static async open(port: number): Promise<Connection> {
    const connection = new Connection()
    connection.#socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        data: (_, bytes) => connection.#read(bytes),
        close: () => connection.#settle?.reject(new Error('the connection was closed amid an answer')),
        error: (_, cause) => connection.#settle?.reject(cause),
      },
    })
    return connection
  }

  /** @throws where the answer is not a 200, or breaks off */
  call(request: Uint8Array): Promise<Timing> {
    this.#bytes = 0
    this.#sentAtMs = performance.now()
    if (this.#socket.write(request) < request.length)
      throw new Error('the request did not fit into the kernel buffer')
    return new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
  }

  close(): void {
    this.#settle = null
    this.#socket.terminate()
  }

  #read(bytes: Buffer): void {
    const settle = this.#settle
    if (settle === null) return
    if (this.#bytes === 0) {
      this.#firstByteMs = performance.now() - this.#sentAtMs
      const end = bytes.indexOf(blankLine)
      const head = bytes.toString('latin1', 0, end)
      if (!head.startsWith('HTTP/1.1 200 '))
        return settle.reject(new Error(`unexpected answer: ${bytes.toString()}`))
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
      this.#length = length === undefined ? -1 : Number(length) + end + blankLine.length
    }
    this.#bytes += bytes.length
    // Our answers hold no such bytes before their end, and it is never cut in two: it is five bytes, written at once.
    const whole =
      this.#length >= 0 ? this.#bytes >= this.#length : bytes.subarray(-lastChunk.length).equals(lastChunk)
    if (!whole) return
    this.#settle = null
    settle.resolve({ firstByteMs: this.#firstByteMs, wholeMs: performance.now() - this.#sentAtMs })
  }
}

/** Connections to one port, as many as calls are under way. */
export class Pool {
  readonly #idle: Connection[] = []

  constructor(private readonly port: number) {}

  async call(request: Uint8Array): Promise<Timing> {
    const connection = this.#idle.pop() ?? (await Connection.open(this.port))
    const timing = await connection.call(request)
    this.#idle.push(connection)
    return timing
  }

  close(): void {
    for (const connection of this.#idle) connection.close()
  }
}

/** Open streams whose bytes are counted and dropped. */
export class Readers {
  readonly #sockets: Socket[] = []
  bytes = 0
  /** Connections that got their first byte. */
  answered = 0
  /** Connections that the other side has closed. */
  closed = 0

  /** Opens one connection and sends the request. */
  async add(port: number, request: Uint8Array): Promise<void> {
    let first = true
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        data: (_, bytes) => {
          if (first) {
            first = false
            this.answered++
          }
          this.bytes += bytes.length
        },
        close: () => void this.closed++,
        error: () => {},
      },
    })
    this.#sockets.push(socket)
    socket.write(request)
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.terminate()
  }
}
