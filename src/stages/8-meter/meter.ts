// Stage 8, meter: reads what an answer says of its cost, as it passes. It looks, it never changes a byte and never holds
// one back. Answers without a word about tokens stay without usage: absent is not zero.
// This kind keeps no books of its own: the access log's line is the record, so settling is leaving `x.usage` for it.

import type { Exchange, Reply, Tap } from '../../exchange.ts'
import { EventMeter } from './events.ts'
import { JsonMeter, observeWhole } from './json.ts'

export interface MeterStage {
  /** What must see the reply's bytes, for `x.usage` and `x.answeredModel`. A reply that is here whole is read at once. */
  tap(x: Exchange, reply: Reply): readonly Tap[]
  settle(x: Exchange): void
}

const none: readonly Tap[] = []

/** What nearly every reply says is known without a pattern. */
function kindOf(contentType: string): 'json' | 'events' | null {
  if (contentType === 'application/json') return 'json'
  if (/^text\/event-stream\b/i.test(contentType)) return 'events'
  return /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType) ? 'json' : null
}

export function createMeter(): MeterStage {
  return {
    tap: (x, reply) => {
      // Free endpoints answer with stored objects: their usage was counted when they were made.
      if (reply.body === null || reply.status >= 300 || x.endpoint?.metered === 'free') return none
      const kind = kindOf(reply.contentType)
      if (kind === null) return none
      if (kind === 'events') return [new EventMeter(x)]
      if (reply.body.whole === null) return [new JsonMeter(x)]
      observeWhole(x, reply.body.whole)
      return none
    },
    settle: () => {},
  }
}
