// Idempotency-Key (accounting rule 10): a request that is sent again with the same key is executed once, and gets the answer
// of the first time, errors included. A key belongs to whoever sent it, at one endpoint, for some hours. It is claimed in the
// store before anything is executed, so that this holds for several processes too; a refusal before anything was sent gives
// it back, and so does an upstream's 429, which refuses before anything is executed. Of an answer that broke off with its
// client nothing can be repeated, so its key is given back as well; a stream that the upstream broke off is repeated as it
// was sent, with the error at its end.

import type { Clock } from '../../base/clock.ts'
import type { CachedFacts, Exchange, Hold, Reply, Tap } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { WholeBody } from '../../net/wire/body.ts'
import { fieldId } from '../../net/wire/field-names.ts'
import { Pieces } from '../../net/wire/pieces.ts'
import { sseErrorFrame } from '../../openai/sse.ts'
import { failureReply } from '../../refuse.ts'
import { reason } from '../../storage/open.ts'

/** A key in use, as the store has it. */
interface Claim {
  readonly request: string
  readonly state: 'running' | 'done' | 'too large'
  readonly answer: string | null
}

/** What the stage needs of the store and of the pepper. */
export interface IdempotencyParts {
  readonly answers: {
    claim(
      row: {
        readonly scope: string
        readonly request: string
        readonly owner: string
        readonly expires_at_ms: number
      },
      nowMs: number,
    ): Promise<Claim | null>
    end(mine: {
      readonly scope: string
      readonly owner: string
      readonly state: Claim['state']
      readonly answer: string | null
      readonly expires_at_ms: number
    }): Promise<void>
    release(mine: { readonly scope: string; readonly owner: string }): Promise<void>
  }
  /** Keyed digest of a text. */
  readonly digest: (text: string) => string
  readonly sealer: {
    seal(bytes: Uint8Array, place: string): string
    open(sealed: string, place: string): Uint8Array | null
  }
}

export interface IdempotencySettings {
  /** How long answers are kept, in milliseconds. */
  readonly ttl: number
  /** Longest answer kept. */
  readonly maxBytes: number
}

const keyField = fieldId('idempotency-key')
/** A claim whose process died counts no longer than this. */
const runningMs = 15 * 60_000

/** One exchange that executes a request with a key. */
interface Owned {
  readonly scope: string
  kept: boolean
  /** An upstream's answer, from when it begins to be sent. */
  begun: { readonly head: StoredHead; readonly tap: AnswerTap } | null
  /** The upstream refused to execute it. */
  refused: boolean
}

/** What is sealed, in front of the body: one line of JSON. */
interface StoredHead {
  readonly status: number
  readonly headerLines: string
  readonly dated: boolean
  readonly contentType: string
  readonly requestId: string | null
}

export class Idempotency {
  readonly #owned = new WeakMap<Exchange, Owned>()
  /** The store does not answer, and that was said. */
  #lost = false

  constructor(
    private readonly parts: IdempotencyParts,
    private readonly settings: IdempotencySettings,
    private readonly about: {
      readonly clock: Clock
      readonly bug: (cause: unknown) => void
      readonly warn: (text: string) => void
    },
  ) {}

  /** The answer of the first time; null where this is the first, or no key is sent. @throws Failure */
  find(x: Exchange): Promise<Reply | null> | undefined {
    const key = x.request.method === 'POST' ? keyOf(x) : null
    return key === null ? undefined : this.#claim(x, key)
  }

  /** What keeps the answer as it passes; null where it is nobody's first. */
  tap(x: Exchange, reply: Reply): Tap | null {
    const owned = this.#owned.get(x)
    if (owned === undefined || reply.tunnel !== null) return null
    owned.refused = reply.status === tooManyRequests
    if (owned.refused) return null
    const head: StoredHead = {
      status: reply.status,
      headerLines: reply.headerLines,
      dated: reply.dated,
      contentType: reply.contentType,
      requestId: x.upstreamRequestId,
    }
    if (reply.body === null) this.#keep(x, owned, { head, body: nothing })
    const tap = new AnswerTap(this.settings.maxBytes, (body) => this.#keep(x, owned, { head, body }))
    owned.begun = { head, tap }
    return tap
  }

  async #claim(x: Exchange, key: string): Promise<Reply | null> {
    const { digest, answers, sealer } = this.parts
    const { request, principal } = x
    if (x.bodyBytes === null) throw new Failure('bad_request', uploads, { param: 'idempotency-key' })
    const tenant = [
      principal.kind,
      principal.team,
      principal.app,
      principal.user,
      principal.keyId ?? principal.key,
    ]
    const scope = digest(JSON.stringify(['scope', tenant, request.path, request.query, key]))
    const body = new Bun.CryptoHasher('sha256').update(x.bodyBytes).digest('hex')
    const asked = digest(JSON.stringify(['request', scope, body]))
    const nowMs = this.about.clock.wallMs()
    const found = await this.#stored(() =>
      answers.claim({ scope, request: asked, owner: x.id, expires_at_ms: nowMs + runningMs }, nowMs),
    )
    if (found === null) {
      const owned: Owned = { scope, kept: false, begun: null, refused: false }
      this.#owned.set(x, owned)
      x.holds.push(this.#hold(owned))
      return null
    }
    if (found.request !== asked)
      throw new Failure('idempotency_key_reused', reused, { param: 'idempotency-key' })
    if (found.state === 'running')
      throw new Failure('idempotency_in_progress', running, { retryAfterMs: 1000 })
    const opened = found.answer === null ? null : sealer.open(found.answer, scope)
    if (opened === null) throw new Failure('idempotency_not_kept', tooLarge)
    return replayed(x, opened)
  }

  /** Called when all is over: what was not kept by then is an answer that failed, or none. */
  #hold(owned: Owned): Hold {
    return {
      settle: (x) => {
        if (owned.kept) return
        const { failure } = x
        const executed = !owned.refused && x.tried.some((attempt) => attempt.sent)
        const gone = x.gone || failure?.code === 'client_gone'
        if (!executed || gone || failure === null || failure.status === tooManyRequests)
          return void this.#quietly(this.parts.answers.release({ scope: owned.scope, owner: x.id }))
        // The client has the beginning of it and the error: a repeat gets just that.
        if (x.stream && owned.begun !== null)
          return owned.begun.tap.brokeOff(Buffer.from(sseErrorFrame(failure.toJson())))
        const { status, headerLines, dated, contentType, body } = failureReply(failure)
        const head = { status, headerLines, dated, contentType, requestId: x.upstreamRequestId }
        this.#keep(x, owned, { head, body: body!.whole! })
      },
    }
  }

  #keep(
    x: Exchange,
    owned: Owned,
    answer: { readonly head: StoredHead; readonly body: Uint8Array | null },
  ): void {
    if (owned.kept) return
    owned.kept = true
    const { scope } = owned
    const mine = { scope, owner: x.id, expires_at_ms: this.about.clock.wallMs() + this.settings.ttl }
    const { head, body } = answer
    if (body === null)
      return void this.#quietly(this.parts.answers.end({ ...mine, state: 'too large', answer: null }))
    const bytes = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), body])
    const sealed = this.parts.sealer.seal(bytes, scope)
    this.#quietly(this.parts.answers.end({ ...mine, state: 'done', answer: sealed }))
  }

  #quietly(work: Promise<void>): void {
    work.catch((cause: unknown) => {
      this.#tell(cause, 'an answer was not kept, and its key counts as in use for 15 minutes')
    })
  }

  /** Without the store nothing is executed: a repeat could not be told from a first time. */
  async #stored<T>(work: () => Promise<T>): Promise<T> {
    try {
      const found = await work()
      this.#lost = false
      return found
    } catch (cause) {
      this.#tell(cause, 'requests with an Idempotency-Key are refused with 503')
      throw new Failure(
        'overloaded',
        'Idempotency keys cannot be looked up at the moment. Try again later.',
        { detail: `idempotency: ${reason(cause)}` },
      )
    }
  }

  /** Once until the store answers again. A store that is locked or away is no bug. */
  #tell(cause: unknown, so: string): void {
    if (cause instanceof TypeError) return this.about.bug(cause)
    if (!this.#lost) this.about.warn(`the store does not answer (${reason(cause)}): ${so}`)
    this.#lost = true
  }
}

const nothing = new Uint8Array(0)
/** An upstream's refusal before execution; any other status may stand for work that was done. */
const tooManyRequests = 429
const reused = 'This Idempotency-Key was used for another request. Use a new key for each request.'
const running = 'A request with this Idempotency-Key is still being executed. Try again in a moment.'
const tooLarge = 'A request with this Idempotency-Key was executed, but its answer was too large to be kept.'
const uploads =
  'An Idempotency-Key can be used for requests with a JSON body only. Leave it away for this one.'

/** @throws Failure where it is none that could be told from another */
function keyOf(x: Exchange): string | null {
  const { headers } = x.request
  let key: string | null = null
  for (let index = 0; index < headers.size; index++) {
    if (headers.id(index) !== keyField) continue
    const value = headers.value(index)
    if (key !== null || !/^[\x20-\x7e]{1,255}$/.test(value)) {
      const message = 'The Idempotency-Key must be sent once and have 1 to 255 printable ASCII characters.'
      throw new Failure('bad_request', message, { param: 'idempotency-key' })
    }
    key = value
  }
  return key
}

/** What it did cost stands in the row of the first time. */
const unknownWorth: CachedFacts = Object.freeze({
  usage: null,
  provider: null,
  upstream: null,
  upstreamModel: null,
  answeredModel: null,
  serviceTier: null,
  costNanoUsd: null,
})

function replayed(x: Exchange, opened: Uint8Array): Reply {
  const end = opened.indexOf(10)
  const head = JSON.parse(Buffer.prototype.utf8Slice.call(opened, 0, end)) as StoredHead
  x.upstreamRequestId = head.requestId
  x.cached = unknownWorth
  const lines =
    head.status < 400
      ? head.headerLines
      : // A kept error is the same each time: an SDK that tries again would only wait.
        `${head.headerLines.replace(/^x-should-retry:.*\r\n/gim, '')}x-should-retry: false\r\n`
  return {
    status: head.status,
    headerLines: `${lines}Idempotent-Replayed: true\r\n`,
    dated: head.dated,
    contentType: head.contentType,
    body: new WholeBody(opened.subarray(end + 1)),
    tunnel: null,
  }
}

/** Keeps the bytes that pass, up to a bound. */
class AnswerTap implements Tap {
  readonly #pieces = new Pieces()
  #over = false

  constructor(
    private readonly bytesMax: number,
    private readonly keep: (body: Uint8Array | null) => void,
  ) {}

  chunk(bytes: Uint8Array): Uint8Array {
    if (this.#over) return bytes
    this.#pieces.add(bytes)
    if (this.#pieces.bytes > this.bytesMax) {
      this.#over = true
      this.#pieces.take()
    }
    return bytes
  }

  /** With `last` behind what has passed, as the client got it. */
  brokeOff(last: Uint8Array): void {
    this.chunk(last)
    this.end()
  }

  end(): null {
    this.keep(this.#over ? null : this.#pieces.join())
    return null
  }
}
