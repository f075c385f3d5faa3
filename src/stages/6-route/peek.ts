// Waits for the first content of an answer, holding back what comes before it. Then the answer goes on as it comes, behind
// what was held, with not a byte more or less. Where the answer ends, breaks or says that it failed before any content,
// that is told instead, and another upstream can be asked.

import type { Body, BodySink, WireError, WireFault } from '../../net/wire/message.ts'
import { Pieces } from '../../net/wire/pieces.ts'
import type { Sweeper, Waiting } from '../../net/wire/sweeper.ts'
import { eachData, SseFrames } from '../../openai/sse.ts'
import type { RefusalKind } from './error-facts.ts'
import { eventKind } from './opening.ts'

/** Bytes held back; over it, what came counts as content. */
const heldBytesMax = 256 * 1024
/** Time for which opening events are held back: pings are there to keep a client waiting. */
const heldMsMax = 30_000

/** How an answer began. The body is ours to pass on or to abort. */
export interface Beginning {
  readonly body: Body
  /** What went wrong before content; null = content came, or the answer is a whole one without any. */
  readonly fault: WireFault | 'no_content' | null
  /** An event said that it failed; `body` still has it. */
  readonly errorEvent: boolean
  readonly refusal: RefusalKind
  /** Of the object the stream announced. */
  readonly id: string | null
}

export interface PeekOptions {
  readonly events: boolean
  /** Every event's data is JSON: one that is none is broken. */
  readonly json: boolean
  /** Longest wait for content; Infinity = none. */
  readonly firstTokenMs: number
  readonly sweeper: Sweeper
}

/** Resolves at the first content, or at what comes in place of it. Never rejects. */
export function peek(body: Body, options: PeekOptions): Promise<Beginning> {
  return new Promise((resolve) => new Peek(body, options, resolve).begin())
}

class Peek implements Body, BodySink, Waiting {
  readonly whole = null
  readonly length: number
  deadlineAtMs = Infinity
  #startedAtMs = 0
  #held: Pieces | null = new Pieces()
  #frames: SseFrames | null
  #told = false
  #id: string | null = null
  #sink: BodySink | null = null
  #state: 'open' | 'ended' | WireError = 'open'

  constructor(
    private readonly source: Body,
    private readonly options: PeekOptions,
    private readonly tell: (beginning: Beginning) => void,
  ) {
    this.length = source.length
    this.#frames = options.events ? new SseFrames(heldBytesMax) : null
  }

  begin(): void {
    const { sweeper, firstTokenMs } = this.options
    this.#startedAtMs = sweeper.clock.nowMs()
    this.deadlineAtMs = this.#startedAtMs + Math.min(firstTokenMs, heldMsMax)
    sweeper.add(this)
    this.source.start(this)
  }

  onDeadline(): void {
    const { sweeper, firstTokenMs } = this.options
    const waitedMs = sweeper.clock.nowMs() - this.#startedAtMs
    if (waitedMs >= firstTokenMs) {
      this.source.abort()
      this.#found({ fault: 'first_byte_timeout' })
    } else if (this.#held !== null && this.#held.bytes > 0) this.#found({})
    else this.deadlineAtMs = this.#startedAtMs + firstTokenMs
  }

  // --- from the upstream ------------------------------------------------------------------------------------------

  chunk(bytes: Uint8Array): void {
    if (this.#sink !== null) return this.#sink.chunk(bytes)
    this.#held!.add(bytes)
    if (!this.#told) this.#look(bytes)
  }

  end(): void {
    this.#state = 'ended'
    if (this.#sink !== null) this.#finish()
    else this.#found(this.#frames === null ? {} : { fault: 'no_content' })
  }

  error(cause: WireError): void {
    this.#state = cause
    if (this.#sink !== null) this.#sink.error(cause)
    else this.#found({ fault: cause.fault })
  }

  // --- for whoever passes it on -----------------------------------------------------------------------------------

  start(sink: BodySink): void {
    const held = this.#held!
    this.#held = null
    this.#sink = sink
    for (const part of held.take()) sink.chunk(part)
    if (this.#state === 'open') this.source.resume()
    else this.#finish()
  }

  pause(): void {
    this.source.pause()
  }

  resume(): void {
    this.source.resume()
  }

  abort(): void {
    this.#held?.take()
    this.source.abort()
  }

  #finish(): void {
    if (this.#state === 'ended') this.#sink!.end()
    else if (this.#state !== 'open') this.#sink!.error(this.#state)
  }

  #look(bytes: Uint8Array): void {
    const frames = this.#frames
    if (frames === null) return this.#found({})
    const whole = frames.push(bytes)
    if (this.#held!.bytes > heldBytesMax) return this.#found({})
    if (whole === null) return
    // Looked at in order: what follows the first content is no matter of ours.
    let found: Partial<Beginning> | null = null
    eachData(whole, (data, event) => {
      if (found !== null) return
      const { is, id, refusal } = eventKind(data, event)
      this.#id ??= id
      if (is === 'content') found = {}
      else if (is === 'error') found = { errorEvent: true, refusal }
      else if (is === 'broken') found = this.options.json ? { fault: 'malformed' } : {}
    })
    if (found !== null) this.#found(found)
  }

  #found({ fault = null, errorEvent = false, refusal = null }: Partial<Beginning>): void {
    if (this.#told) return
    this.#told = true
    this.deadlineAtMs = Infinity
    this.options.sweeper.remove(this)
    // Until it is started nobody takes what comes.
    if (this.#state === 'open' && fault !== 'first_byte_timeout') this.source.pause()
    this.#frames = null
    this.tell({ body: this, fault, errorEvent, refusal, id: this.#id })
  }
}
