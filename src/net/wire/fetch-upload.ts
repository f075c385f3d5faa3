// A request body on its way to `fetch`: pushed in, pulled out.

import type { Body, BodySink, WireError } from './message.ts'

/** What happens to the body on its way: the source is asked, has given, has ended, or broke off. */
export interface UploadEvents {
  asking(): void
  given(): void
  sent(): void
  broken(cause: WireError): void
}

/** Pushed body in, stream for `fetch` out: one piece at a time, so that a slow upstream pauses the source. */
export class Upload implements BodySink {
  readonly stream: ReadableStream<Uint8Array>
  #controller!: ReadableStreamDefaultController<Uint8Array>
  #state: 'new' | 'open' | 'done' = 'new'

  constructor(
    private readonly body: Body,
    private readonly events: UploadEvents,
  ) {
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#pull(),
        cancel: () => this.stop(),
      },
      { highWaterMark: 0 },
    )
  }

  chunk(bytes: Uint8Array): void {
    if (this.#state !== 'open') return
    this.events.given()
    this.#controller.enqueue(bytes)
    this.body.pause()
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'done'
    this.#controller.close()
    this.events.sent()
  }

  /** Half a request must not be taken for a whole one: the exchange is given up before the stream could end. */
  error(cause: WireError): void {
    if (this.#state === 'done') return
    this.#state = 'done'
    this.events.broken(cause)
  }

  stop(): void {
    if (this.#state === 'done') return
    this.#state = 'done'
    this.body.abort()
  }

  #pull(): void {
    this.events.asking()
    if (this.#state === 'open') return this.body.resume()
    if (this.#state !== 'new') return
    this.#state = 'open'
    this.body.start(this)
  }
}
