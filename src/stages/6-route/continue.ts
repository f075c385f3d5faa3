// Goes on where an upstream broke off amid the text of a chat completion: another is given the text so far as the beginning
// of its answer, and what it says follows. Only for plain text of one choice: half a tool call cannot be gone on with. A
// comment in the stream marks the seam, and the attempt says that it continued. What was said counts against the most
// that the request lets be written. An upstream that refuses to go on (some
// take no assistant message at the end) is passed over; where none goes on, the stream ends as broken.

import type { Exchange, Reply } from '../../exchange.ts'
import { WholeBody } from '../../net/wire/body.ts'
import type { Body, BodySink, WireError } from '../../net/wire/message.ts'
import { memberPlaces, withValue } from '../../openai/member-place.ts'
import { eachData, SseFrames } from '../../openai/sse.ts'
import type { Target } from './choice.ts'
import { eventKind } from './opening.ts'
import { discard } from './outcome.ts'
import type { Trial } from './trial.ts'

const frameBytesMax = 1024 * 1024
const textLengthMax = 1024 * 1024
/** Of English text, on average; of other scripts a little less. */
const bytesPerToken = 4

/** The reply, going on elsewhere where it breaks off; the same where it is no stream of chat text. */
export function continuing<T extends Target>(trial: Trial<T>, reply: Reply): Reply {
  const { x } = trial
  const events = /^text\/event-stream\b/i.test(reply.contentType)
  const { bodyBytes, endpoint } = x
  if (!events || reply.status !== 200 || reply.body === null || bodyBytes === null) return reply
  if (endpoint!.operation !== 'chat.completions' || memberPlaces(bodyBytes, 'messages').length !== 1)
    return reply
  reply.body = new ContinuedBody(trial, reply.body)
  return reply
}

class ContinuedBody<T extends Target> implements Body, BodySink {
  readonly whole = null
  readonly length = -1
  #sink: BodySink | null = null
  #text = new SpokenText()
  #paused = false
  #aborted = false
  #seam = false
  #frames = new SseFrames(frameBytesMax)

  constructor(
    private readonly trial: Trial<T>,
    private source: Body,
  ) {}

  start(sink: BodySink): void {
    this.#sink = sink
    this.source.start(this)
  }

  chunk(bytes: Uint8Array): void {
    // Whole frames only: behind half of one nothing could follow.
    const whole = this.#frames.push(bytes) ?? (this.#frames.overflowed ? this.#frames.rest() : null)
    if (whole === null) return
    this.#text.hear(whole)
    const passed = this.#seam ? withoutOpenings(whole) : whole
    if (this.#text.heardSince) this.#seam = false
    if (passed.length > 0) this.#sink!.chunk(passed)
  }

  end(): void {
    const rest = this.#frames.rest()
    if (rest !== null) this.#sink!.chunk(rest)
    this.#sink!.end()
  }

  error(cause: WireError): void {
    const { x } = this.trial
    if (x.gone || this.#aborted || !this.#text.canGoOn) return this.#sink!.error(cause)
    this.#goOn().then(
      (went) => {
        if (!went && !this.#aborted) this.#sink!.error(cause)
      },
      () => {
        if (!this.#aborted) this.#sink!.error(cause)
      },
    )
  }

  pause(): void {
    this.#paused = true
    this.source.pause()
  }

  resume(): void {
    this.#paused = false
    this.source.resume()
  }

  abort(): void {
    this.#aborted = true
    this.source.abort()
  }

  /** Finds an upstream that goes on. False where there is none. */
  async #goOn(): Promise<boolean> {
    const { trial } = this
    const { x } = trial
    const broken = x.tried.at(-1)!
    trial.broke(broken)
    for (let choice = trial.second(); choice !== null; choice = trial.second()) {
      x.routedBody = bodyWith(x, this.#text.text)
      const tried = await trial.one(choice)
      x.routedBody = null
      if (this.#aborted || x.gone) {
        tried.reply?.body?.abort()
        return false
      }
      const { reply, attempt } = tried
      if (tried.failed !== null || reply?.body == null || !/^text\/event-stream\b/i.test(reply.contentType)) {
        trial.broke(attempt)
        discard(tried, trial.nowMs)
        continue
      }
      attempt.continued = true
      this.#frames = new SseFrames(frameBytesMax)
      this.#seam = true
      this.#text.heardSince = false
      this.source = reply.body
      this.#sink!.chunk(Buffer.from(`: headgate: continued by ${choice.target.name}\n\n`))
      reply.body.start(this)
      if (this.#paused) reply.body.pause()
      return true
    }
    return false
  }
}

/** The request with the text so far behind its messages, and with as many tokens less to write. */
function bodyWith(x: Exchange, text: string): Body {
  const bytes = (x.sentMetered ? x.meteredBody : x.requestBody)!.whole!
  const { end } = memberPlaces(bytes, 'messages')[0]!
  const message = `,${JSON.stringify({ role: 'assistant', content: text })}]`
  const longer = withValue(bytes, { start: end - 1, end }, Buffer.from(message))
  return new WholeBody(withTokensLeft(longer, Math.ceil(Buffer.byteLength(text) / bytesPerToken)))
}

/** What was written already counts: the client asked for so many tokens in all. */
function withTokensLeft(bytes: Uint8Array, spent: number): Uint8Array {
  let changed = bytes
  for (const name of ['max_tokens', 'max_completion_tokens'])
    for (const place of memberPlaces(changed, name).toReversed()) {
      const most = Number(Buffer.from(changed.subarray(place.start, place.end)).toString('latin1'))
      if (!Number.isSafeInteger(most) || most < 1) continue
      changed = withValue(changed, place, Buffer.from(String(Math.max(1, most - spent))))
    }
  return changed
}

/** The frames that say something: a second beginning would be a second message to some clients. */
function withoutOpenings(frames: Uint8Array): Uint8Array {
  const kept: string[] = []
  for (const frame of Buffer.from(frames)
    .toString()
    .split(/(?<=\r?\n\r?\n)/)) {
    let opening = false
    eachData(Buffer.from(frame), (data, event) => (opening = eventKind(data, event).is === 'opening'))
    if (!opening) kept.push(frame)
  }
  return Buffer.from(kept.join(''))
}

/** What a stream has said so far, and whether more of it could follow. */
class SpokenText {
  text = ''
  /** Something was said since this was last set to false. */
  heardSince = false
  #plain = true
  #finished = false

  get canGoOn(): boolean {
    return this.#plain && !this.#finished && this.text !== '' && this.text.length <= textLengthMax
  }

  hear(frames: Uint8Array): void {
    eachData(frames, (data) => {
      if (data.startsWith('[DONE]')) this.#finished = true
      else this.#hearEvent(data)
    })
  }

  #hearEvent(data: string): void {
    let event: { choices?: unknown }
    try {
      event = JSON.parse(data) as { choices?: unknown }
    } catch {
      this.#plain = false
      return
    }
    for (const choice of Array.isArray(event?.choices) ? (event.choices as Record<string, unknown>[]) : []) {
      const delta = (choice['delta'] ?? {}) as Record<string, unknown>
      const { content } = delta
      if (choice['index'] !== 0) this.#plain = false
      if (choice['finish_reason'] != null) this.#finished = true
      if (typeof content === 'string' && content !== '') {
        this.text += content
        this.heardSince = true
      }
      for (const name of ['tool_calls', 'function_call', 'refusal', 'audio'])
        if (delta[name] != null) this.#plain = false
    }
  }
}
