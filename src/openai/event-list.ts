// A whole stream of events as JSON values: for streams that are kept and read once, never for those that pass.

import type { Json } from './canonical-json.ts'
import { eachData } from './sse.ts'

/** What a finished stream said. */
export interface EventList {
  readonly events: readonly Json[]
  /** Its last data was `[DONE]`. */
  readonly done: boolean
}

/** The events of a whole stream; null where one of them is no JSON, tells an error, or comes behind `[DONE]`. */
export function readEvents(bytes: Uint8Array): EventList | null {
  const events: Json[] = []
  let done = false
  let wrong = false
  eachData(bytes, (data, event) => {
    if (done || event === 'error') wrong = true
    else if (data.trim() === '[DONE]') done = true
    else {
      try {
        events.push(JSON.parse(data) as Json)
      } catch {
        wrong = true
      }
    }
  })
  return wrong ? null : { events, done }
}

/** JSON values as frames without a name, `[DONE]` last. */
export function framesOfChunks(chunks: readonly Json[]): Buffer {
  const frames = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
  return Buffer.from(`${frames.join('')}data: [DONE]\n\n`, 'utf8')
}

/** Events with a `type` as frames named by it. */
export function framesOfEvents(events: readonly { readonly [name: string]: Json }[]): Buffer {
  const frames = events.map((event) => `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`)
  return Buffer.from(frames.join(''), 'utf8')
}
