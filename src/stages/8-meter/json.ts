// Usage of a JSON answer, without parsing the answer: usage is read from its last bytes and the model from its first,
// both exactly (see openai/outermost.ts). That is half the cost for a chat answer, and for megabytes of embeddings or
// images it is what keeps every other exchange moving. Where usage is written but not in reach, a body of up to 4 MB is
// parsed after all.

import type { Exchange, Tap } from '../../exchange.ts'
import { firstText, lastMember } from '../../openai/outermost.ts'
import type { AnswerFacts } from '../../openai/usage.ts'
import { readAnswer, readUsage } from '../../openai/usage.ts'

const parsedBytesMax = 4 * 1024 * 1024
const endBytes = 64 * 1024
const usageName = Buffer.from('"usage"')
const modelName = Buffer.from('"model"')

/** Reads usage and model from a JSON answer that is here whole. Anything that is no such answer changes nothing. */
export function observeWhole(x: Exchange, bytes: Uint8Array): void {
  const facts = endFacts(bytes, bytes)
  if (facts.usage === null && bytes.length <= parsedBytesMax && occurs(bytes, usageName))
    note(x, parseAnswer(bytes))
  else note(x, facts)
}

// Usage from an answer's last bytes and the model from its first, or from its last as in embeddings.
function endFacts(head: Uint8Array, tail: Uint8Array): AnswerFacts {
  const usage = readUsage(lastMember(tail, usageName))
  const model = firstText(head, modelName)
  if (model !== null) return { usage, model }
  const last = lastMember(tail, modelName)
  return { usage, model: typeof last === 'string' && last !== '' ? last : null }
}

function occurs(bytes: Uint8Array, name: Uint8Array): boolean {
  return Buffer.prototype.indexOf.call(bytes, name) >= 0
}

/** Leaves the facts on the exchange; what an answer does not say does not replace what is known. */
export function note(x: Exchange, facts: AnswerFacts): void {
  if (facts.usage !== null) x.usage = facts.usage
  if (facts.model !== null) x.answeredModel = facts.model
}

function parseAnswer(bytes: Uint8Array): AnswerFacts {
  try {
    return readAnswer(JSON.parse(Buffer.prototype.toString.call(bytes)))
  } catch {
    return { usage: null, model: null }
  }
}

/** Watches a JSON answer that comes in pieces. Keeps its first piece and its last 64 KB, or all of it where it is small. */
export class JsonMeter implements Tap {
  readonly #kept: Uint8Array[] = []
  #keptBytes = 0
  #dropped = false

  constructor(private readonly x: Exchange) {}

  chunk(bytes: Uint8Array): Uint8Array {
    this.#kept.push(bytes)
    this.#keptBytes += bytes.length
    // The first piece stays for the model; of the others as many as the end needs.
    while (
      this.#kept.length > 2 &&
      this.#keptBytes - this.#kept[0]!.length - this.#kept[1]!.length >= endBytes
    ) {
      this.#keptBytes -= this.#kept[1]!.length
      this.#kept.splice(1, 1)
      this.#dropped = true
    }
    return bytes
  }

  end(): null {
    const kept = this.#kept
    if (kept.length === 1) observeWhole(this.x, kept[0]!)
    else if (kept.length > 1 && this.#dropped) note(this.x, endFacts(kept[0]!, Buffer.concat(kept.slice(1))))
    else if (kept.length > 1) observeWhole(this.x, Buffer.concat(kept))
    kept.length = 0
    return null
  }
}
