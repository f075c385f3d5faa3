// A stored answer in the form that a client asked for. A stream that was stored is put together, an answer that was stored
// whole is told in events; where either would lose something the answer is not given at all, and the upstream is asked.
// Made once for each form and kept with the entry: a hit then is one body and its header lines, ready to go out.

import { chatFromChunks, chunksOfChat } from '../../openai/chat-replay.ts'
import { completionFromChunks, chunksOfCompletion } from '../../openai/completion-replay.ts'
import { framesOfChunks, framesOfEvents, readEvents } from '../../openai/event-list.ts'
import { eventsOfResponse, responseFromEvents } from '../../openai/response-replay.ts'
import { isObject, type Json } from '../../openai/canonical-json.ts'
import { withoutUsage } from '../../openai/include-usage.ts'
import { WholeBody } from '../../net/wire/body.ts'
import type { Entry } from './entry.ts'

/** How a client wants to be told. */
export type Wish = 'json' | 'events' | 'events with usage' | 'as it is'

/** An answer ready to go out. */
export interface Rendered {
  readonly headerLines: string
  readonly contentType: string
  readonly body: WholeBody
  /** It is the stored bytes, so that their pace fits. */
  readonly asStored: boolean
}

const eventStream = 'text/event-stream; charset=utf-8'
const json = 'application/json'

/** The answer as wished; null where it cannot be told so without loss. */
export function render(entry: Entry, wish: Wish): Rendered | null {
  const known = entry.rendered?.get(wish)
  if (known !== undefined) return known
  const made = make(entry, wish)
  entry.rendered ??= new Map()
  entry.rendered.set(wish, made)
  if (made !== null && made.body.whole !== entry.body) entry.heldBytes += made.body.whole.length
  return made
}

function make(entry: Entry, wish: Wish): Rendered | null {
  const { form, endpoint, status } = entry.facts
  const wanted = wish === 'as it is' ? form : wish === 'json' ? 'json' : 'events'
  // An error is told as JSON to everybody.
  if (form === 'bytes' || status !== 200 || wish === 'as it is') return stored(entry)
  if (form === wanted) {
    if (form === 'json' || endpoint === 'responses') return stored(entry)
    if (endpoint.startsWith('images')) return stored(entry)
    return wish === 'events' ? told(entry, eventStream, withoutUsage(entry.body)) : withUsage(entry)
  }
  const bytes = wanted === 'json' ? wholeOf(entry) : eventsOf(entry, wish === 'events with usage')
  return bytes === null ? null : told(entry, wanted === 'json' ? json : eventStream, bytes)
}

function stored(entry: Entry): Rendered {
  const { headerLines, contentType } = entry.facts
  return { headerLines, contentType, body: new WholeBody(entry.body), asStored: true }
}

function told(entry: Entry, contentType: string, bytes: Uint8Array): Rendered {
  if (bytes === entry.body) return stored(entry)
  const other = entry.facts.headerLines.replace(/^content-type:[^\r\n]*\r\n/im, '')
  return {
    headerLines: `Content-Type: ${contentType}\r\n${other}`,
    contentType,
    body: new WholeBody(bytes),
    asStored: false,
  }
}

/** Only a stream that has its usage can be given to one who asked for it. */
function withUsage(entry: Entry): Rendered | null {
  return hasUsage(entry.body) ? stored(entry) : null
}

const usageName = Buffer.from('"usage"')

function hasUsage(bytes: Uint8Array): boolean {
  if (Buffer.prototype.indexOf.call(bytes, usageName) < 0) return false
  const last = readEvents(bytes)?.events.at(-1)
  return isObject(last) && isObject(last['usage'])
}

function wholeOf({ body, facts }: Entry): Uint8Array | null {
  const read = readEvents(body)
  if (read === null) return null
  const answer = putTogether(facts.endpoint, read.events)
  // Without its usage it would be less than the upstream tells whoever asks for JSON.
  if (answer === null || !isObject(answer['usage'])) return null
  return Buffer.from(JSON.stringify(answer), 'utf8')
}

function putTogether(endpoint: string, events: readonly Json[]): { [name: string]: Json } | null {
  if (endpoint === 'chat.completions') return chatFromChunks(events)
  if (endpoint === 'completions') return completionFromChunks(events)
  return endpoint === 'responses' ? responseFromEvents(events) : null
}

function eventsOf({ body, facts }: Entry, usage: boolean): Uint8Array | null {
  const answer = JSON.parse(Buffer.prototype.toString.call(body, 'utf8')) as Json
  if (facts.endpoint === 'responses') {
    const events = eventsOfResponse(answer)
    return events === null ? null : framesOfEvents(events)
  }
  const chunks =
    facts.endpoint === 'chat.completions'
      ? chunksOfChat(answer)
      : facts.endpoint === 'completions'
        ? chunksOfCompletion(answer)
        : null
  if (chunks === null) return null
  const told = chunks.slice(0, -1)
  if (!usage) return framesOfChunks(told)
  const last = chunks.at(-1)!
  return last['usage'] == null
    ? null
    : framesOfChunks([...told.map((chunk) => ({ ...chunk, usage: null })), last])
}
