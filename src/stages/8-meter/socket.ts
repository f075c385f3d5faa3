// Usage of a WebSocket: realtime sessions and responses. Every response of a session is an item of its own, since sessions
// last for hours and a crash must not lose what was said before; the exchange has their sum. Read from a copy of what
// goes from the upstream to the client; no extension is agreed on (stage 7 offers none), so that frames are plain.

import type { Exchange } from '../../exchange.ts'
import type { BodySink, Tunnel } from '../../net/wire/message.ts'
import {
  addUnits,
  addUsage,
  noFacts,
  readAnswer,
  readUnits,
  readUsage,
  type AnswerFacts,
} from '../../openai/usage.ts'
import { TextMessages } from './frames.ts'
import { rowIdOf, type TakeItem } from './item.ts'
import { note } from './note.ts'
import { SocketEstimate, socketEstimator } from './socket-estimate.ts'

const usageName = Buffer.from('"usage"')
const sessionName = Buffer.from('"session.')
const deltaName = Buffer.from('.delta"')
const speechName = Buffer.from('"input_audio_buffer.speech_')
/** Events of a session name its models; longer ones are not such. */
const sessionBytesMax = 256 * 1024
const doneTypes = new Set(['response.done', 'response.completed', 'response.incomplete', 'response.failed'])
const transcribed = 'conversation.item.input_audio_transcription.completed'

type Members = Readonly<Record<string, unknown>>

function members(value: unknown): Members | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= 256 ? value : null
}

/** What the messages of one session say of their cost. */
export class SocketMeter {
  readonly #messages = new TextMessages((message) => this.#message(message))
  #model: string | null
  #transcriber: string | null = null
  #items = 0
  /** Responses begun and not done. */
  #open = 0
  #total: AnswerFacts = noFacts
  readonly #estimate = new SocketEstimate()

  constructor(
    private readonly x: Exchange,
    private readonly take: TakeItem,
  ) {
    this.#model = modelOfQuery(x.request.query)
    const attempt = x.tried.at(-1)
    if (attempt !== undefined) attempt.itemised = true
  }

  /** Bytes on their way to the client. */
  push(bytes: Uint8Array): void {
    this.#messages.push(bytes)
  }

  /** The session is over. A response that was under way has cost something that nobody will tell. */
  end(): void {
    for (; this.#open > 0; this.#open--) {
      const usage = this.#estimate.usage()
      this.#item({ rowId: null, estimator: socketEstimator }, { ...noFacts, usage, model: this.#model })
      this.#estimate.done(usage)
    }
  }

  #message(message: Uint8Array): void {
    if (!has(message, usageName)) {
      const session = message.length < sessionBytesMax && has(message, sessionName)
      if (session) this.#session(parsed(message))
      else if (isSpeech(message) || (this.#open > 0 && has(message, deltaName))) this.#said(parsed(message))
      return
    }
    const event = parsed(message)
    const type = event?.['type']
    if (event === null || typeof type !== 'string') return
    if (type === 'response.created') this.#open = Math.min(this.#open + 1, 100)
    else if (doneTypes.has(type)) this.#done(event)
    else if (type === transcribed) this.#transcribed(event)
  }

  #session(event: Members | null): void {
    const session = members(event?.['session'])
    if (session === null) return
    this.#model = textOf(session['model']) ?? this.#model
    this.#estimate.session(session)
    const input = members(members(session['audio'])?.['input'])
    const transcription = members(input?.['transcription']) ?? members(session['input_audio_transcription'])
    this.#transcriber = textOf(transcription?.['model']) ?? this.#transcriber
  }

  #said(event: Members | null): void {
    const type = event?.['type']
    if (event !== null && typeof type === 'string') this.#estimate.event(type, event)
  }

  #done(event: Members): void {
    const response = members(event['response'])
    this.#open = Math.max(0, this.#open - 1)
    const facts = readAnswer(event)
    this.#estimate.done(facts.usage)
    // One that failed before it began has cost nothing, and says so by having no usage.
    if (facts.usage === null) return
    const rowId = response?.['background'] === true ? rowIdOf('response', response['id']) : null
    this.#item({ rowId, estimator: null }, { ...facts, model: facts.model ?? this.#model, final: true })
  }

  #transcribed(event: Members): void {
    const usage = readUsage(event['usage'])
    const units = readUnits(event['usage'])
    if (usage === null && units === null) return
    this.#item(measured, { ...noFacts, usage, units, model: this.#transcriber, final: true })
  }

  #item({ rowId: givenId, estimator }: Item, facts: AnswerFacts): void {
    this.#items += 1
    const id = this.x.tried.at(-1)?.id ?? this.x.id
    const rowId = givenId ?? `${id}-${this.#items}`
    this.take(this.x, { rowId, facts, batch: false, estimator })
    const { usage, units } = facts
    this.#total = {
      usage: usage === null ? this.#total.usage : addUsage(this.#total.usage, usage),
      units: units === null ? this.#total.units : addUnits(this.#total.units, units),
      model: this.#model,
      serviceTier: facts.serviceTier,
      final: true,
    }
    note(this.x, this.#total)
  }
}

/** Which row an item gets, and how its figures came about. */
interface Item {
  readonly rowId: string | null
  readonly estimator: string | null
}

const measured: Item = { rowId: null, estimator: null }

function has(message: Uint8Array, name: Uint8Array): boolean {
  return Buffer.prototype.indexOf.call(message, name) >= 0
}

function isSpeech(message: Uint8Array): boolean {
  return message.length < 1024 && has(message, speechName)
}

function parsed(message: Uint8Array): Members | null {
  try {
    return members(JSON.parse(Buffer.prototype.utf8Slice.call(message, 0, message.length)))
  } catch {
    return null
  }
}

function modelOfQuery(query: string): string | null {
  return textOf(new URLSearchParams(query).get('model'))
}

/** The same tunnel, with what comes from the upstream shown to `meter`. */
export function meteredTunnel(tunnel: Tunnel, meter: SocketMeter): Tunnel {
  const { incoming } = tunnel
  const start = (sink: BodySink): void =>
    incoming.start({
      chunk(bytes) {
        meter.push(bytes)
        sink.chunk(bytes)
      },
      end() {
        meter.end()
        sink.end()
      },
      error(cause) {
        meter.end()
        sink.error(cause)
      },
    })
  return {
    incoming: {
      whole: null,
      length: -1,
      start,
      pause: () => incoming.pause(),
      resume: () => incoming.resume(),
      abort: () => incoming.abort(),
    },
    write: (bytes) => tunnel.write(bytes),
    onDrain: (callback) => tunnel.onDrain(callback),
    end: () => tunnel.end(),
    abort() {
      meter.end()
      tunnel.abort()
    },
  }
}
