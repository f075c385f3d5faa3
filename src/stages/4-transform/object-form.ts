// A form on its way upstream. Its fields may name objects, and a file of purpose `batch` names them in its lines, which the
// upstream will run one by one. Files have any size, and which purpose they have may come behind them: so ids are gathered
// while the form streams through, and its last bytes are held back until it is known that all of them may be named. A form
// that lacks its end is nothing to an upstream.

import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { WireError, type Body, type BodySink } from '../../net/wire/message.ts'
import type { NamedIds } from '../../openai/object-ids.ts'
import { FormReader } from './form-reader.ts'

/** Whether a request's body is a form by its label. */
export function isForm({ request: { headers } }: Exchange): boolean {
  return headers.count('content-type') === 1 && /^multipart\/form-data\b/i.test(headers.get('content-type')!)
}

/** More than the end of any form: its delimiter has 70 characters at most. */
const heldBytes = 128

/** What a form is checked with. */
export interface FormParts {
  readonly source: Body
  /** A form that cannot be read is refused. */
  readonly strict: boolean
  /** @throws Failure where they may not be named */
  readonly check: (ids: NamedIds) => void | Promise<void>
}

export class FormIds implements Body, BodySink {
  readonly whole = null
  readonly length: number
  readonly #reader: FormReader
  #sink: BodySink | null = null
  #last: Uint8Array | null = null
  #gone = false
  #seen = 0

  readonly #source: Body

  constructor(
    private readonly x: Exchange,
    private readonly parts: FormParts,
  ) {
    this.#source = parts.source
    this.length = parts.source.length
    const lines = x.endpoint!.operation === 'files' || x.endpoint!.operation === 'unknown'
    const contentType = x.request.headers.get('content-type')!
    this.#reader = new FormReader(contentType, { lines, strict: parts.strict })
  }

  start(sink: BodySink): void {
    this.#sink = sink
    this.#source.start(this)
  }

  chunk(bytes: Uint8Array): void {
    this.#reader.push(bytes)
    this.#seen += bytes.length
    const before = this.#last
    this.#last = null
    if (before !== null) this.#sink!.chunk(before)
    const isLast = this.length < 0 || this.#seen >= this.length
    const passed = isLast ? Math.max(0, bytes.length - heldBytes) : bytes.length
    if (passed > 0) this.#sink!.chunk(passed === bytes.length ? bytes : bytes.subarray(0, passed))
    if (passed < bytes.length) this.#last = bytes.subarray(passed)
  }

  end(): void {
    let checked: void | Promise<void>
    try {
      checked = this.parts.check(this.#reader.end())
    } catch (cause) {
      return this.#refuse(cause)
    }
    if (!(checked instanceof Promise)) return this.#finish()
    checked.then(
      () => this.#finish(),
      (cause: unknown) => this.#refuse(cause),
    )
  }

  error(cause: WireError): void {
    this.#sink!.error(cause)
  }

  pause(): void {
    this.#source.pause()
  }

  resume(): void {
    this.#source.resume()
  }

  abort(): void {
    this.#gone = true
    this.#source.abort()
  }

  #finish(): void {
    if (this.#gone) return
    if (this.#last !== null) this.#sink!.chunk(this.#last)
    this.#sink!.end()
  }

  #refuse(cause: unknown): void {
    if (this.#gone) return
    const failure =
      cause instanceof Failure ? cause : new Failure('internal_error', 'The form cannot be checked.')
    this.x.bodyFailure = failure
    this.#sink!.error(new WireError('aborted', failure.message, false))
  }
}
