// Usage of a stream of events. Nearly every chunk has none, so what a chunk costs is one native search for the name
// `"usage"`; with `include_usage` every chunk has it, followed by null, and that is seen without parsing too. The last
// usage counts: some providers send a running sum with every chunk, and the responses API sends it in its last event.
// Where the usage was asked for by us alone, what that adds to the stream is taken out again here.

import type { Exchange, Tap } from '../../exchange.ts'
import { withoutUsage } from '../../openai/include-usage.ts'
import { eachData } from '../../openai/sse.ts'
import { callUnits, mayHoldToolCalls, toolUnit } from '../../openai/tool-calls.ts'
import { noFacts, readAnswer, type AnswerFacts } from '../../openai/usage.ts'
import { note, noteEnd } from './note.ts'
import { OutputText } from './output-text.ts'

const usageName = Buffer.from('"usage"')
/** A first event larger than this is not parsed for its model alone: the one with the usage names it too. */
const firstBytesMax = 8 * 1024
/** An event with a piece of text is hardly longer; where a call of a tool stands beside one, both are. */
const pieceBytesMax = 400
const letterN = 110
const colon = 58

/** Whether `bytes` holds a member `usage` that is not null, at `from` or behind it. */
function hasUsage(bytes: Uint8Array, from: number): boolean {
  let at = from
  while (at >= 0) {
    let index = at + usageName.length
    while (bytes[index]! <= 32 || bytes[index] === colon) index += 1
    if (bytes[index] !== letterN && index < bytes.length) return true
    at = Buffer.prototype.indexOf.call(bytes, usageName, index)
  }
  return false
}

/** Shows each event of whole frames that may hold a usage, parsed. What is no JSON is passed over. */
export function eachUsage(bytes: Uint8Array, visit: (event: unknown) => void): void {
  const from = Buffer.prototype.indexOf.call(bytes, usageName)
  if (from < 0 || !hasUsage(bytes, from)) return
  eachData(bytes, (data) => {
    const event = data.includes('"usage"') ? parsed(data) : null
    if (event !== null) visit(event)
  })
}

function parsed(data: string): unknown {
  if (!data.startsWith('{')) return null
  try {
    return JSON.parse(data)
  } catch {
    return null
  }
}

function factsOf(data: string): AnswerFacts {
  const event = parsed(data)
  return event === null ? noFacts : readAnswer(event)
}

/** Watches a stream of events, given in whole frames. Passes on the chunk it was given, or less of it: see above. */
export class EventMeter implements Tap {
  /** What was said so far. */
  readonly output: OutputText
  readonly #cuts: boolean
  readonly #countsCalls: boolean

  constructor(private readonly x: Exchange) {
    this.output = new OutputText(x.endpoint?.operation ?? 'unknown')
    this.#cuts = x.sentMetered
    this.#countsCalls = x.endpoint?.operation === 'responses'
    const attempt = x.tried.at(-1)
    if (attempt !== undefined) attempt.output = this.output
  }

  chunk(bytes: Uint8Array): Uint8Array {
    const { x } = this
    const saidBytes = this.output.bytes
    this.output.add(bytes)
    const from = Buffer.prototype.indexOf.call(bytes, usageName)
    if (from >= 0 && hasUsage(bytes, from)) {
      eachData(bytes, (data) => {
        if (!data.includes('"usage"')) return
        this.#forgetCalls()
        note(x, factsOf(data))
      })
    } else if (this.#countsCalls && this.#isMore(bytes, saidBytes) && mayHoldToolCalls(bytes)) {
      this.#toolCalls(bytes)
    } else if (x.answeredModel === null) {
      this.#firstModel(bytes)
    }
    return from >= 0 && this.#cuts ? withoutUsage(bytes, from) : bytes
  }

  end(): null {
    noteEnd(this.x)
    return null
  }

  /** Calls of tools seen so far, for the estimate if the stream breaks off: the last event tells all of them again. */
  #webSearches = 0
  #fileSearches = 0

  /** Whether this may be more than an event with a piece of text, as most are: in those no tool is called. */
  #isMore(bytes: Uint8Array, saidBytes: number): boolean {
    return bytes.length > pieceBytesMax || this.output.bytes === saidBytes
  }

  #toolCalls(bytes: Uint8Array): void {
    eachData(bytes, (data) => {
      if (!data.includes('"response.output_item.done"')) return
      const item = (parsed(data) as { readonly item?: unknown } | null)?.item
      const unit =
        typeof item === 'object' && item !== null ? toolUnit(item as Record<string, unknown>) : null
      if (unit === null) return
      if (unit === 'webSearches') this.#webSearches += 1
      else this.#fileSearches += 1
      note(this.x, { ...noFacts, units: callUnits(this.#webSearches, this.#fileSearches) })
    })
  }

  #forgetCalls(): void {
    if (this.#webSearches + this.#fileSearches === 0) return
    this.#webSearches = this.#fileSearches = 0
    this.x.units = null
    const attempt = this.x.tried.at(-1)
    if (attempt !== undefined) attempt.units = null
  }

  #looks = 0

  // The first events name the model; a stream that does not say it there is not asked again and again.
  #firstModel(bytes: Uint8Array): void {
    if (this.#looks === 2 || bytes.length > firstBytesMax) return
    this.#looks += 1
    eachData(bytes, (data) => {
      if (this.x.answeredModel === null) note(this.x, factsOf(data))
    })
  }
}
