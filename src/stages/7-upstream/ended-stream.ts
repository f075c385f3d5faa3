// A stream of events that ends without its last word is one that broke, however cleanly its connection ended: from here on
// it is told as broken, so that a client gets an error event, another upstream can be asked, and nothing keeps it as whole.

import type { Exchange, Reply } from '../../exchange.ts'
import { WireError, type Body, type BodySink } from '../../net/wire/message.ts'
import { LastWord, streamKind } from '../../openai/last-word.ts'

/** The reply, whose stream has to come to its own end where it is known how that looks. */
export function endWatched(x: Exchange, reply: Reply): Reply {
  const kind = streamKind(x.endpoint!.operation)
  if (kind !== null && reply.body !== null) reply.body = new EndedStream(reply.body, new LastWord(kind))
  return reply
}

class EndedStream implements Body, BodySink {
  readonly whole = null
  readonly length: number
  #sink: BodySink | null = null

  constructor(
    private readonly source: Body,
    private readonly word: LastWord,
  ) {
    this.length = source.length
  }

  start(sink: BodySink): void {
    this.#sink = sink
    this.source.start(this)
  }

  chunk(bytes: Uint8Array): void {
    this.word.see(bytes)
    this.#sink!.chunk(bytes)
  }

  end(): void {
    if (this.word.said) this.#sink!.end()
    else this.error(new WireError('truncated', 'the stream ended without its last event', true))
  }

  error(cause: WireError): void {
    this.#sink!.error(cause)
  }

  pause(): void {
    this.source.pause()
  }

  resume(): void {
    this.source.resume()
  }

  abort(): void {
    this.source.abort()
  }
}
