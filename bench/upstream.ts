// An upstream inside this process, for what a fixed answer cannot play: streams at a steady rate, streams that end,
// uploads. Not a web server: it knows just enough of HTTP/1.1 to serve these benches, and costs little.

import type { Socket, TCPSocketListener } from 'bun'
import { answer, jsonAnswer, streamChunk, streamEnd, streamHead } from './messages.ts'

interface Peer {
  head: Buffer | null
  bodyLeft: number
  target: string
  /** What the kernel did not take of the last write. */
  rest: Uint8Array | null
}

const jsonReply = answer(jsonAnswer)
const uploadReply = answer(
  JSON.stringify({ id: 'file-bench', object: 'file', purpose: 'batch', filename: 'bench.jsonl' }),
)
const blankLine = Buffer.from('\r\n\r\n')
/** The second part of a stream that ends by itself comes this much later. */
const shortStreamMs = 20

export class Upstream {
  readonly #listener: TCPSocketListener<Peer>
  /** Streams that are open, in the order in which they get their chunks. */
  readonly #open: Socket<Peer>[] = []
  #next = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  /** Chunks sent to open streams so far. */
  chunksSent = 0
  /** Chunks left out because the kernel still held an earlier one. */
  chunksHeldBack = 0
  /** Bytes of uploads received so far. */
  bytesIn = 0

  constructor() {
    this.#listener = Bun.listen<Peer>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (socket) => void (socket.data = { head: null, bodyLeft: 0, target: '', rest: null }),
        data: (socket, bytes) => this.#read(socket, bytes),
        drain: (socket) => {
          const { rest } = socket.data
          socket.data.rest = null
          if (rest !== null) this.#write(socket, rest)
        },
        close: (socket) => this.#left(socket),
        error: () => {},
      },
    })
  }

  get port(): number {
    return this.#listener.port
  }

  get openStreams(): number {
    return this.#open.length
  }

  close(): void {
    this.stop()
    this.#listener.stop(true)
  }

  /** Sends every open stream a chunk each `intervalMs`, spread evenly over the interval. */
  pump(intervalMs: number): void {
    this.stop()
    let lastMs = performance.now()
    let owed = 0
    const turn = () => {
      const nowMs = performance.now()
      owed += ((nowMs - lastMs) / intervalMs) * this.#open.length
      lastMs = nowMs
      for (; owed >= 1; owed--) this.#sendNext()
      this.#timer = setTimeout(turn, 1)
    }
    turn()
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #sendNext(): void {
    if (this.#open.length === 0) return
    this.#next = (this.#next + 1) % this.#open.length
    const socket = this.#open[this.#next]!
    if (socket.data.rest !== null) this.chunksHeldBack++
    else {
      this.#write(socket, streamChunk)
      this.chunksSent++
    }
  }

  #left(socket: Socket<Peer>): void {
    const at = this.#open.indexOf(socket)
    if (at >= 0) this.#open.splice(at, 1)
  }

  #read(socket: Socket<Peer>, bytes: Buffer): void {
    const peer = socket.data
    if (peer.bodyLeft > 0) {
      peer.bodyLeft -= bytes.length
      this.bytesIn += bytes.length
      if (peer.bodyLeft <= 0) this.#answer(socket)
      return
    }
    const head = peer.head === null ? bytes : Buffer.concat([peer.head, bytes])
    const end = head.indexOf(blankLine)
    if (end < 0) {
      peer.head = Buffer.from(head)
      return
    }
    peer.head = null
    const text = head.toString('latin1', 0, end)
    peer.target = text.slice(0, text.indexOf('\r\n'))
    const come = head.length - end - blankLine.length
    peer.bodyLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0) - come
    this.bytesIn += come
    if (peer.bodyLeft <= 0) this.#answer(socket)
  }

  #answer(socket: Socket<Peer>): void {
    const { target } = socket.data
    if (target.includes('play=open')) {
      this.#write(socket, streamHead)
      this.#open.push(socket)
    } else if (target.includes('play=short')) {
      this.#write(socket, Buffer.concat([streamHead, streamChunk]))
      setTimeout(() => this.#write(socket, streamEnd), shortStreamMs)
    } else this.#write(socket, target.includes('/files') ? uploadReply : jsonReply)
  }

  #write(socket: Socket<Peer>, bytes: Uint8Array): void {
    const taken = Math.max(0, socket.write(bytes))
    if (taken < bytes.length) socket.data.rest = bytes.subarray(taken)
  }
}
