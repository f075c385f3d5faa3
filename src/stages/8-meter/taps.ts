// Which reader an answer gets, by its kind and its endpoint: JSON that is here whole is read at once, JSON in pieces and
// events get a tap, a tunnel is looked into, and what is no text is counted by what was asked.

import type { Exchange, Reply, Tap } from '../../exchange.ts'
import { areToolCalls } from '../../openai/tool-calls.ts'
import { noFacts, type AnswerFacts } from '../../openai/usage.ts'
import { BatchMeter } from './batch.ts'
import { EventMeter } from './events.ts'
import type { TakeItem } from './item.ts'
import { endFacts, JsonMeter, responseBytesMax, responseFacts, wholeFacts, type JsonEnds } from './json.ts'
import { laterAnswer, LaterEvents, mayCostLater } from './later.ts'
import { note } from './note.ts'
import { meteredTunnel, SocketMeter } from './socket.ts'
import { unitsOfAnswer, unitsOfRequest } from './units.ts'
import { textOfAnswer } from './whole-text.ts'

const none: readonly Tap[] = []

/** What nearly every reply says is known without a pattern. */
function kindOf(contentType: string): 'json' | 'events' | null {
  if (contentType === 'application/json') return 'json'
  if (/^text\/event-stream\b/i.test(contentType)) return 'events'
  return /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType) ? 'json' : null
}

/** The taps a reply needs for its cost to be known. Reads at once what can be read at once, and looks into a tunnel. */
export function tapsOf(x: Exchange, reply: Reply, take: TakeItem): readonly Tap[] {
  if (reply.tunnel !== null) {
    reply.tunnel = meteredTunnel(reply.tunnel, new SocketMeter(x, take))
    return none
  }
  const { body } = reply
  if (body === null || reply.status >= 300) return none
  const later = x.endpoint?.later ?? null
  if (later === 'file') return [new BatchMeter(x, take)]
  // Free endpoints answer with stored objects: their usage was counted when they were made.
  const free = x.endpoint?.metered === 'free'
  if (free && later === null) return none
  const kind = kindOf(reply.contentType)
  if (kind === null) {
    const units = free ? null : unitsOfRequest(x, reply)
    if (units !== null) note(x, { ...noFacts, units })
    return none
  }
  if (kind === 'events') {
    const meter = free ? null : new EventMeter(x)
    return mayCostLater(x) ? [new LaterEvents(x, take, meter)] : meter === null ? none : [meter]
  }
  if (body.whole === null) return [jsonTap(x, take)]
  readAnswerOf(x, { head: body.whole, tail: body.whole, whole: body.whole }, take)
  return none
}

/** By itself: a function that makes a closure pays for it at every call. */
function jsonTap(x: Exchange, take: TakeItem): Tap {
  const keptMax = x.endpoint?.operation === 'responses' ? responseBytesMax : undefined
  return new JsonMeter((ends) => readAnswerOf(x, ends, take), keptMax)
}

function readAnswerOf(x: Exchange, ends: JsonEnds, take: TakeItem): void {
  if (mayCostLater(x) && laterAnswer(x, ends, take)) return
  const facts = factsOf(x, ends)
  if (facts.usage !== null) return note(x, facts)
  const units = facts.units ?? unitsOfAnswer(x, ends)
  const tokensMissing = units === null || areToolCalls(units)
  const attempt = x.tried.at(-1)
  if (attempt !== undefined && tokensMissing && ends.whole !== null && x.endpoint?.metered === 'usage')
    attempt.output = textOfAnswer(ends.whole)
  note(x, units === null ? facts : { ...facts, units })
}

function factsOf(x: Exchange, { head, tail, whole }: JsonEnds): AnswerFacts {
  if (whole === null) return endFacts(head, tail)
  return x.endpoint?.operation === 'responses' ? responseFacts(whole) : wholeFacts(whole)
}
