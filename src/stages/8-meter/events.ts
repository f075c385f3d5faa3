// Usage of a stream of events. Nearly every chunk has none, so what a chunk costs is one native search for the name
// `"usage"`; with `include_usage` every chunk has it, followed by null, and that is seen without parsing too. The last
// usage counts: some providers send a running sum with every chunk, and the responses API sends it in its last event.

import type { Exchange, Tap } from '../../exchange.ts'
import { eachData } from '../../openai/sse.ts'
import type { AnswerFacts } from '../../openai/usage.ts'
import { readAnswer } from '../../openai/usage.ts'
import { note } from './json.ts'

const usageName = Buffer.from('"usage"')
/** A first event larger than this is not parsed for its model alone: the one with the usage names it too. */
const firstBytesMax = 8 * 1024
const letterN = 110
const colon = 58

/** Whether `bytes` holds a member `usage` that is not null. */
function hasUsage(bytes: Uint8Array): boolean {
  let at = Buffer.prototype.indexOf.call(bytes, usageName)
  while (at >= 0) {
    let index = at + usageName.length
    while (bytes[index]! <= 32 || bytes[index] === colon) index += 1
    if (bytes[index] !== letterN && index < bytes.length) return true
    at = Buffer.prototype.indexOf.call(bytes, usageName, index)
  }
  return false
}

function parseEvent(data: string): AnswerFacts {
  if (!data.startsWith('{')) return { usage: null, model: null }
  try {
    return readAnswer(JSON.parse(data))
  } catch {
    return { usage: null, model: null }
  }
}

/** Watches a stream of events, given in whole frames. Passes on the chunk it was given. */
export class EventMeter implements Tap {
  constructor(private readonly x: Exchange) {}

  chunk(bytes: Uint8Array): Uint8Array {
    const { x } = this
    if (hasUsage(bytes)) {
      eachData(bytes, (data) => {
        if (data.includes('"usage"')) note(x, parseEvent(data))
      })
    } else if (x.answeredModel === null) {
      this.#firstModel(bytes)
    }
    return bytes
  }

  end(): null {
    return null
  }

  #looks = 0

  // The first events name the model; a stream that does not say it there is not asked again and again.
  #firstModel(bytes: Uint8Array): void {
    if (this.#looks === 2 || bytes.length > firstBytesMax) return
    this.#looks += 1
    eachData(bytes, (data) => {
      if (this.x.answeredModel === null) note(this.x, parseEvent(data))
    })
  }
}
