// The body of a translated stream: parts of the provider's package in, frames of OpenAI's out. It reads on only when its
// sink takes more, and a stream that does not come to its own end breaks: nobody is told that an answer is whole which
// the provider never finished.

import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { WireError, type Body, type BodySink } from '../../net/wire/message.ts'
import { isUnfinished } from '../../openai/translate/answer.ts'

/** Makes frames of parts. */
export interface Events {
  part(part: LanguageModelV4StreamPart): string
}

/** Reads the parts of one answer. */
export interface PartsReader {
  read(): Promise<{ done: boolean; value?: LanguageModelV4StreamPart | undefined }>
  cancel(): Promise<void>
}

export interface PartsSource {
  readonly reader: PartsReader
  /** Parts read before, in order. */
  readonly opening: readonly LanguageModelV4StreamPart[]
  /** Ends the call underneath. */
  readonly abort: () => void
  /** How the wire broke, if it did. */
  readonly fault: () => WireError | null
}

export class PartsBody implements Body {
  readonly whole = null
  readonly length = -1
  #sink: BodySink | null = null
  #resumed: PromiseWithResolvers<void> | null = null
  #state: 'open' | 'finished' | 'over' = 'open'

  constructor(
    private readonly source: PartsSource,
    private readonly events: Events,
  ) {}

  start(sink: BodySink): void {
    this.#sink = sink
    // Every failure within ends as `error` of the sink.
    void this.#pump().catch(() => this.#break('the answer cannot be understood'))
  }

  pause(): void {
    this.#resumed ??= Promise.withResolvers<void>()
  }

  resume(): void {
    this.#resumed?.resolve()
    this.#resumed = null
  }

  abort(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.source.abort()
    this.source.reader.cancel().catch(() => {})
    this.resume()
  }

  async #pump(): Promise<void> {
    for (const part of this.source.opening) this.#give(part)
    while (this.#state !== 'over') {
      if (this.#resumed !== null) await this.#resumed.promise
      const { done, value } = await this.source.reader.read()
      if (done || value === undefined) return this.#end()
      this.#give(value)
    }
  }

  #give(part: LanguageModelV4StreamPart): void {
    if (this.#state !== 'open') return
    if (part.type === 'error') return this.#break('the provider sent an error')
    if (part.type === 'finish') {
      if (isUnfinished(part)) return this.#break('the answer has no end')
      this.#state = 'finished'
    }
    const frames = this.events.part(part)
    if (frames !== '') this.#sink!.chunk(Buffer.from(frames, 'utf8'))
  }

  #end(): void {
    if (this.#state === 'over') return
    if (this.#state === 'open') return this.#break('the answer has no end')
    this.#state = 'over'
    this.#sink!.end()
  }

  #break(what: string): void {
    if (this.#state === 'over') return
    // What breaks behind the last part has broken nothing.
    if (this.#state === 'finished') return this.#end()
    const fault = this.source.fault() ?? new WireError('truncated', what, true)
    this.abort()
    this.#sink!.error(fault)
  }
}
