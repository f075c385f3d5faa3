// What becomes of an answer whose client has left. A stream is either aborted at once, so that the provider stops writing, or
// read on to its usage (`drain`), for providers that bill the whole answer all the same. An answer that comes in one piece
// is waited for in either case: it costs the same whether anybody reads it, so its usage is worth having. Everything is
// bounded: a stream by time, bytes and number, a wait by the upstream's own time-outs and by number.

import type { Drain, Exchange } from '../../exchange.ts'
import type { Body } from '../../net/wire/message.ts'

/** How far streams are read on; null = they are aborted. */
export interface DrainLimits {
  readonly seconds: number
  readonly bytes: number
  /** Streams read on at the same time. */
  readonly max: number
}

/** Answers in one piece waited for at the same time, of one upstream. */
const waitsMax = 1000
const streamTrue = /"stream"\s*:\s*true/
const streamName = Buffer.from('"stream"')
const doneMark = Buffer.from('[DONE]')

/** Decides for one account. */
export class Leaving {
  #draining = 0
  #waiting = 0

  constructor(private readonly drain: DrainLimits | null) {}

  /** Streams read on, and answers waited for, at this moment. */
  get counts(): { draining: number; waiting: number } {
    return { draining: this.#draining, waiting: this.#waiting }
  }

  /** The client of `x` has left while `call` is under way. */
  left(x: Exchange, call: { abort(): void }): void {
    const waits = x.status === 0
    // It was we who cut the connection, or nothing more is to be learned: it is read already, or says nothing of its cost.
    if (!x.gone || x.endpoint?.metered !== 'usage' || x.request.upgrade !== null || (!waits && !x.reading))
      return call.abort()
    const stream = waits ? wantsStream(x) : x.stream
    if (stream ? this.drain === null || this.#draining >= this.drain.max : this.#waiting >= waitsMax)
      return call.abort()
    if (stream) this.#draining += 1
    else this.#waiting += 1
    x.drain = new AnswerDrain(x, stream ? this.drain : null, () => {
      if (stream) this.#draining -= 1
      else this.#waiting -= 1
      call.abort()
    })
    x.drained = x.drain.done
  }
}

/** Whether the answer will be events. Only to decide how long to wait for it: what it is shows when it comes. */
function wantsStream(x: Exchange): boolean {
  const body = x.bodyBytes
  if (body === null) return false
  for (let at = find(body, 0); at >= 0; at = find(body, at + 1)) {
    const end = Math.min(body.length, at + 40)
    if (streamTrue.test(Buffer.prototype.latin1Slice.call(body, at, end))) return true
  }
  return false
}

function find(body: Uint8Array, from: number): number {
  return Buffer.prototype.indexOf.call(body, streamName, from)
}

class AnswerDrain implements Drain {
  readonly done: Promise<void>
  #resolve!: () => void
  #body: Body | null = null
  #bytes = 0
  #ended = false
  readonly #timer: ReturnType<typeof setTimeout> | null

  constructor(
    private readonly x: Exchange,
    private readonly limits: DrainLimits | null,
    private readonly onEnd: () => void,
  ) {
    this.done = new Promise((resolve) => (this.#resolve = resolve))
    this.#timer = limits === null ? null : setTimeout(() => this.end(), limits.seconds * 1000)
  }

  begin(body: Body): void {
    this.#body = body
    if (this.#ended) body.abort()
  }

  saw(bytes: Uint8Array): void {
    this.#bytes += bytes.length
    if (this.limits === null) return
    const known = this.x.tried.at(-1)?.usageFinal === true
    if (known || this.#bytes > this.limits.bytes || Buffer.prototype.indexOf.call(bytes, doneMark) >= 0)
      this.end()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#body?.abort()
    this.onEnd()
    this.#resolve()
  }
}
