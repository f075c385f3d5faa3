// One answer on its way to a client: frames the body (length, chunked, or until close), pushes back on its source, and
// never lets a body that broke off or does not match its length look complete.

import { lastChunk, writeChunk, writeMessage, writePieces, type Outbox } from './outbox.ts'
import type { Body, BodySink } from './message.ts'
import type { RequestHead } from './request-head.ts'
import type { ServerReply } from './server.ts'
import type { ServerRequest } from './server-request.ts'
import { dateLine, lengthLine, statusLine } from './status.ts'

/** The connection an answer goes out on. */
export interface ReplyChannel {
  readonly outbox: Outbox
  replyEnded(complete: boolean): void
  writeStalled(): void
}

export interface ReplyPlan {
  readonly reply: ServerReply
  readonly head: RequestHead
  /** The connection closes behind this answer. */
  readonly close: boolean
}

type Framing = 'none' | 'length' | 'chunked' | 'close'

export class ReplyWriter implements BodySink {
  /** All bytes are handed over, or the answer is given up. */
  ended = false
  readonly #framing: Framing
  readonly #body: Body | null
  #left: number

  constructor(
    private readonly channel: ReplyChannel,
    private readonly request: ServerRequest,
    private readonly plan: ReplyPlan,
  ) {
    const { reply, head } = plan
    this.#body = reply.body
    this.#left = reply.body?.length ?? 0
    if (head.method === 'HEAD' || reply.status === 204 || reply.status === 304) this.#framing = 'none'
    else if (this.#left >= 0) this.#framing = 'length'
    else this.#framing = head.takesChunked ? 'chunked' : 'close'
  }

  /** Writes the head and starts the body. */
  begin(): void {
    const whole = this.#body?.whole ?? null
    const head = this.#head()
    if (this.#framing === 'none' || this.#body === null) {
      this.#body?.abort()
      if (!writePieces(this.channel.outbox, head, null)) this.channel.writeStalled()
      this.#done()
    } else if (whole !== null) {
      this.request.bytesOut = whole.length
      if (!writePieces(this.channel.outbox, head, whole)) this.channel.writeStalled()
      this.#done()
    } else {
      writeMessage(this.channel.outbox, head.join(''), null)
      this.#body.start(this)
    }
  }

  chunk(bytes: Uint8Array): void {
    if (this.ended || bytes.length === 0) return
    if (this.#framing === 'length') {
      this.#left -= bytes.length
      if (this.#left < 0) return this.error()
    }
    this.request.bytesOut += bytes.length
    const outbox = this.channel.outbox
    const taken = this.#framing === 'chunked' ? writeChunk(outbox, bytes) : outbox.write(bytes)
    if (taken) return
    this.#body!.pause()
    this.channel.writeStalled()
    outbox.onDrain = () => {
      outbox.onDrain = null
      this.#body!.resume()
    }
  }

  end(): void {
    if (this.ended) return
    if (this.#framing === 'length' && this.#left !== 0) return this.error()
    if (this.#framing === 'chunked') this.channel.outbox.write(lastChunk)
    this.#done()
  }

  error(): void {
    if (this.ended) return
    this.ended = true
    this.#body!.abort()
    this.channel.replyEnded(false)
  }

  /** The client has gone: let go of the source. */
  abort(): void {
    if (this.ended) return
    this.ended = true
    this.#body?.abort()
  }

  #done(): void {
    this.ended = true
    this.channel.replyEnded(true)
  }

  #head(): string[] {
    const { reply, head, close } = this.plan
    const date = reply.dated ? '' : dateLine()
    let framing = ''
    if (this.#framing === 'length') framing = lengthLine(this.#left)
    else if (this.#framing === 'chunked') framing = 'Transfer-Encoding: chunked\r\n'
    else if (head.method === 'HEAD' && this.#left >= 0 && this.#body !== null)
      framing = lengthLine(this.#left)
    let end = '\r\n'
    if (close || this.#framing === 'close') end = 'Connection: close\r\n\r\n'
    else if (!head.takesChunked) end = 'Connection: keep-alive\r\n\r\n'
    return [statusLine(reply.status), reply.headerLines, date, framing, reply.ownLines, end]
  }
}
