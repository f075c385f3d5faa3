// What a call has cost where nobody says it: no usage in the answer, a stream that broke off, a client that left. Tokens are
// counted in a thread of their own; where that cannot be had (it does not start, or too much waits for it) the bytes say it:
// a token for each 3 bytes, which is a little more than English text has. Never 0 where something was sent.

import type { Attempt, Exchange } from '../../exchange.ts'
import { tokensMax, zeroUsage, type Usage } from '../../openai/usage.ts'
import { estimatorName, type TokenCounts, type TokensAnswer } from './tokens.ts'

/** An estimated usage, and which way it was estimated. */
export interface Estimate {
  readonly usage: Usage
  /** `tokens-1`, or `bytes-1` where no tokens could be counted. */
  readonly estimator: string
}

const bytesPerToken = 3
/** Estimates that wait at a time; beyond it the bytes say it. */
const waitingMax = 1000
/** A body longer than this is not copied into the thread. */
const bodyBytesMax = 32 * 1024 * 1024
/** An answer may wait for its row, so that a thread that is slow is not waited for long. */
const answerMs = 5000

/** Of what was in flight when a stream broke off: written and paid for, but not come. */
const inFlightTokens = 8

interface Waiting {
  readonly resolve: (counts: TokenCounts | null) => void
  readonly timer: ReturnType<typeof setTimeout>
}

/** Estimates, with one thread for all; made at the first question. */
export class Estimator {
  #worker: Worker | null = null
  #broken = false
  #next = 0
  readonly #waiting = new Map<number, Waiting>()

  constructor(private readonly waitMs = answerMs) {}

  /** By the bytes alone: at once, for what cannot wait. */
  quick(x: Exchange, attempt: Attempt | null): Estimate {
    const output = Math.ceil((attempt?.output?.bytes ?? 0) / bytesPerToken)
    const input = Math.ceil((x.bodyBytes?.length ?? x.bytesIn) / bytesPerToken)
    return { usage: merged(attempt, { input, output }), estimator: 'bytes-1' }
  }

  /** By the model's tokenizer. Never rejects. */
  async exact(x: Exchange, attempt: Attempt | null): Promise<Estimate> {
    const body = x.bodyBytes
    if (body !== null && body.length > bodyBytesMax) return this.quick(x, attempt)
    const model = attempt?.answeredModel ?? attempt?.upstreamModel ?? x.model ?? ''
    const said = attempt?.output ?? null
    const output = said?.text() ?? ''
    const counts = await this.#ask({ model, body, output })
    if (counts === null) return this.quick(x, attempt)
    // Where only the beginning of a long text was kept, its rate holds for the rest.
    const kept = Buffer.byteLength(output)
    const rest = said === null || said.bytes <= kept || kept === 0 ? 1 : said.bytes / kept
    return {
      usage: merged(attempt, { input: counts.input, output: Math.ceil(counts.output * Math.min(rest, 1e6)) }),
      estimator: estimatorName,
    }
  }

  close(): void {
    this.#fail()
    this.#broken = true
  }

  #ask(question: { model: string; body: Uint8Array | null; output: string }): Promise<TokenCounts | null> {
    const worker = this.#waiting.size < waitingMax ? this.#start() : null
    if (worker === null) return Promise.resolve(null)
    const id = this.#next++
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#answered({ id, counts: null }), this.waitMs)
      timer.unref()
      this.#waiting.set(id, { resolve, timer })
      worker.postMessage({ id, ...question })
    })
  }

  #start(): Worker | null {
    if (this.#worker !== null || this.#broken) return this.#worker
    try {
      const worker = new Worker(workerUrl().href)
      worker.unref()
      worker.onmessage = (event: MessageEvent<TokensAnswer>) => this.#answered(event.data)
      worker.onerror = () => {
        this.#broken = true
        this.#fail()
      }
      return (this.#worker = worker)
    } catch {
      this.#broken = true
      return null
    }
  }

  #answered({ id, counts }: TokensAnswer): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    clearTimeout(waiting.timer)
    waiting.resolve(counts)
  }

  #fail(): void {
    for (const id of [...this.#waiting.keys()]) this.#answered({ id, counts: null })
    this.#worker?.terminate()
    this.#worker = null
  }
}

/** The estimate, and never less than what a running sum has said already. */
function merged(attempt: Attempt | null, counted: TokenCounts): Usage {
  const said = attempt?.usage ?? null
  // What was on its way when it was cut off is paid for too.
  const began = attempt?.complete !== true && (attempt?.output?.bytes ?? 0) > 0
  const input = Math.min(said !== null && said.input > 0 ? said.input : Math.max(1, counted.input), tokensMax)
  const output = Math.min(
    Math.max(said?.output ?? 0, counted.output + (began ? inFlightTokens : 0)),
    tokensMax,
  )
  return { ...zeroUsage, ...said, input, output, total: Math.min(input + output, tokensMax) }
}

/** In the single executable the whole program lies at its root, and the worker beside it by its path (scripts/build.mjs). */
function workerUrl(): URL {
  const inside = import.meta.url.includes('/$bunfs/')
  return new URL(inside ? './stages/8-meter/tokens-worker.js' : './tokens-worker.ts', import.meta.url)
}
