// Usage of a JSON answer, without parsing the answer: usage is read from its last bytes and the model from its first,
// both exactly (see openai/outermost.ts). That is half the cost for a chat answer, and for megabytes of embeddings or
// images it is what keeps every other exchange moving. Where usage is written but not in reach, a body of up to 4 MB is
// parsed after all.

import type { Tap } from '../../exchange.ts'
import { firstText, lastMember } from '../../openai/outermost.ts'
import { mayHoldToolCalls } from '../../openai/tool-calls.ts'
import { noFacts, readAnswer, readUnits, readUsage, type AnswerFacts } from '../../openai/usage.ts'

const parsedBytesMax = 4 * 1024 * 1024
const endBytes = 64 * 1024
/** As much of a response is kept, since what is billed by the call stands in its midst. */
export const responseBytesMax = parsedBytesMax
const usageName = Buffer.from('"usage"')
const modelName = Buffer.from('"model"')
const tierName = Buffer.from('"service_tier"')

/** What a JSON answer that is here whole says of its cost. */
export function wholeFacts(bytes: Uint8Array): AnswerFacts {
  const facts = endFacts(bytes, bytes)
  return facts.usage === null && facts.units === null && bytes.length <= parsedBytesMax && occurs(bytes)
    ? parseAnswer(bytes)
    : facts
}

/** The same of a response: with the calls of tools in it that are billed. Nearly none has any, and costs one search more. */
export function responseFacts(bytes: Uint8Array): AnswerFacts {
  const facts = wholeFacts(bytes)
  if (bytes.length > parsedBytesMax || !mayHoldToolCalls(bytes)) return facts
  const { units } = parseAnswer(bytes)
  return units === null ? facts : { ...facts, units }
}

/** Usage from an answer's last bytes and the model from its first, or from its last as in embeddings. */
export function endFacts(head: Uint8Array, tail: Uint8Array): AnswerFacts {
  const said = lastMember(tail, usageName)
  const usage = readUsage(said)
  const units = usage === null ? readUnits(said) : null
  const tier = lastMember(tail, tierName)
  return {
    usage,
    units,
    model: firstText(head, modelName) ?? textOf(lastMember(tail, modelName)),
    serviceTier: textOf(tier),
    final: true,
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= 256 ? value : null
}

function occurs(bytes: Uint8Array): boolean {
  return Buffer.prototype.indexOf.call(bytes, usageName) >= 0
}

function parseAnswer(bytes: Uint8Array): AnswerFacts {
  try {
    return { ...readAnswer(JSON.parse(Buffer.prototype.toString.call(bytes))), final: true }
  } catch {
    return noFacts
  }
}

/** What a JSON answer says at its ends: it may be here in part, with bytes missing between `head` and `tail`. */
export interface JsonEnds {
  readonly head: Uint8Array
  readonly tail: Uint8Array
  /** Null where bytes are missing. */
  readonly whole: Uint8Array | null
}

/** Watches a JSON answer that comes in pieces. Keeps its first piece and its last bytes, or all of it where it is small. */
export class JsonMeter implements Tap {
  readonly #kept: Uint8Array[] = []
  #keptBytes = 0
  #dropped = false

  /** `read` is given the answer at its end. */
  constructor(
    private readonly read: (ends: JsonEnds) => void,
    private readonly keptMax = endBytes,
  ) {}

  chunk(bytes: Uint8Array): Uint8Array {
    this.#kept.push(bytes)
    this.#keptBytes += bytes.length
    // The first piece stays for the model; of the others as many as the end needs.
    while (
      this.#kept.length > 2 &&
      this.#keptBytes - this.#kept[0]!.length - this.#kept[1]!.length >= this.keptMax
    ) {
      this.#keptBytes -= this.#kept[1]!.length
      this.#kept.splice(1, 1)
      this.#dropped = true
    }
    return bytes
  }

  end(): null {
    const kept = this.#kept
    if (kept.length === 0) return null
    const whole = this.#dropped ? null : kept.length === 1 ? kept[0]! : Buffer.concat(kept)
    this.read({ head: whole ?? kept[0]!, tail: whole ?? Buffer.concat(kept.slice(1)), whole })
    kept.length = 0
    return null
  }
}
