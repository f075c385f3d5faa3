// An answer under way, and who waits for it. The one that asked leads; others that ask the same meanwhile join: those that
// want what the leader gets read along from the start, the others wait for the end and get it in their form. A leader that
// leaves is no reason to stop while others wait. Where the upstream fails before it answered, one of those who wait asks
// again, once; what that one gets is everybody's.

import type { Attempt, CachedFacts, Exchange, Reply, Sharing } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { WholeBody } from '../../net/wire/body.ts'
import type { WireError } from '../../net/wire/message.ts'
import { readEvents } from '../../openai/event-list.ts'
import { readAnswer, type AnswerFacts, type Usage } from '../../openai/usage.ts'
import type { Asked } from './asked.ts'
import type { Directives } from './directives.ts'
import type { KnownItems } from './embeddings.ts'
import type { Entry, Form } from './entry.ts'
import { SharedBytes } from './shared-body.ts'
import { formOf } from './storable.ts'

/** Whoever waits. */
export interface Waiter {
  readonly x: Exchange
  readonly asked: Asked
  readonly directives: Directives
  readonly resolve: (reply: Reply | null | Promise<Reply | null>) => void
  readonly reject: (cause: unknown) => void
}

/** What the cache does for its flights. */
export interface FlightHost {
  /** Milliseconds, for the pace. */
  nowMs(): number
  readonly entryBytesMax: number
  readonly paced: boolean
  /** Makes an entry of a complete answer, and stores it where it may be. */
  complete(flight: Flight, reply: Reply, body: Uint8Array): Entry
  /** The entry as `x` wants it; null = it cannot be told so. */
  give(x: Exchange, entry: Entry, asked: Asked): Reply | null
  /** Looks again for those whose answer will not come from here; `tries`: how often the upstream was asked. */
  again(waiters: readonly Waiter[], tries: number): void
  /** One whose wish cannot be met by this answer. */
  apart(waiter: Waiter): void
  /** The flight is over: nobody can join any more. */
  over(flight: Flight): void
}

/** How often the upstream is asked before its failure is everybody's. */
const triesMax = 2
const paceMax = 20_000

export class Flight implements Sharing {
  #state: 'asking' | 'passing' | 'over' = 'asking'
  #waiters: Waiter[] = []
  #shared: SharedBytes | null = null
  #reply: Reply | null = null
  #form: Form = 'json'
  #hasUsage = false
  #ended: (() => void) | null = null
  #pace: number[] | null = null
  #paceAtMs = 0
  /** What those who read along are told the answer was worth, at its end. */
  readonly worth: Worth
  /** Those who read along and did not ask for the usage that the leader's stream has. */
  readonly bare = new WeakSet<Exchange>()
  /** Entries made of this answer, to be put below memory when its cost is known. */
  kept: Entry[] = []
  /** Items of a list that were known before. */
  items: KnownItems | null = null
  /** The whole answer in place of the upstream's part of it. */
  joined: Uint8Array | null = null
  /** An answer past its time, for the case that the upstream fails. */
  stale: Entry | null = null
  /** Our hold on this question among all gateways; null = none. */
  lease: string | null = null
  /** The leader's exchange has ended before the answer was put together. */
  late = false

  constructor(
    readonly leader: Exchange,
    private readonly host: FlightHost,
    readonly more: {
      readonly asked: Asked
      readonly directives: Directives
      /** Wall clock. */
      readonly askedAtMs: number
      readonly tries: number
    },
  ) {
    this.worth = new Worth(leader)
  }

  get asked(): Asked {
    return this.more.asked
  }

  /** Bytes pass; what came of them is not known yet. */
  get passing(): boolean {
    return this.#state === 'passing'
  }

  get pace(): readonly number[] | null {
    return this.#pace
  }

  /** Takes one more in; null where it must ask for itself. */
  join(x: Exchange, asked: Asked, directives: Directives): Reply | Promise<Reply | null> | null {
    if (this.#state === 'over') return null
    if (this.#shared !== null) {
      if (!this.#shared.whole) return null
      if (this.#isLive(asked)) {
        x.sharing = this
        return this.#along(x, asked)
      }
    }
    x.sharing = this
    return new Promise((resolve, reject) => this.#waiters.push({ x, asked, directives, resolve, reject }))
  }

  left(x: Exchange): boolean {
    if (x === this.leader) {
      const others = this.#waiters.length + (this.#shared?.readers ?? 1) - 1
      if (this.#state === 'over' || others < 1) return false
      // In a turn of its own: whoever counts the bytes must have seen the last of them.
      x.drained = new Promise((resolve) => (this.#ended = () => setTimeout(resolve, 0)))
      return true
    }
    const at = this.#waiters.findIndex((waiter) => waiter.x === x)
    if (at < 0) return x.sharing === this && this.leader !== x
    const [waiter] = this.#waiters.splice(at, 1)
    waiter!.reject(new Failure('client_gone', 'The client closed the connection.'))
    return true
  }

  /** The upstream has answered the leader. Gives what the leader gets. */
  answered(reply: Reply): Reply {
    const failed = reply.status === 429 || reply.status >= 500
    if (failed && this.stale !== null) {
      const stale = this.#giveStale(this.leader, this.asked)
      if (stale !== null) {
        reply.body?.abort()
        // What is given is not that call's answer.
        this.leader.upstreamRequestId = null
        return stale
      }
    }
    if (failed && this.more.tries < triesMax && this.#waiters.length > 0) {
      this.host.again(this.#over(), this.more.tries + 1)
      return reply
    }
    this.#reply = reply
    this.#form = formOf(reply.contentType)
    this.#hasUsage = this.asked.wish === 'events with usage' || this.leader.sentMetered
    const { body } = reply
    if (this.joined !== null) this.#complete(reply, this.joined)
    else if (body === null || body.whole !== null) this.#complete(reply, body?.whole ?? WholeBody.empty.whole)
    else this.#pass(reply)
    return reply
  }

  /** The upstream could not be asked, or broke off before it answered. @throws cause, where nothing stands in for it */
  failed(cause: unknown): Reply {
    const stale = this.#giveStale(this.leader, this.asked)
    const waiters = this.#over()
    const gone = this.leader.gone || (cause instanceof Failure && cause.code === 'client_gone')
    if (stale !== null) for (const waiter of waiters) waiter.resolve(this.#giveStale(waiter.x, waiter.asked))
    else if (gone || this.more.tries < triesMax) this.host.again(waiters, this.more.tries + (gone ? 0 : 1))
    else for (const waiter of waiters) waiter.reject(cause)
    if (stale === null) throw cause
    return stale
  }

  /** The answer was in a store after all. Gives those who wait. */
  found(): readonly Waiter[] {
    return this.#over()
  }

  /** The leader's exchange has ended; whatever it waits for will not come any more. */
  settled(): void {
    if (this.#state !== 'asking') return
    this.host.again(this.#over(), this.more.tries)
  }

  #giveStale(x: Exchange, asked: Asked): Reply | null {
    const { stale } = this
    if (stale === null) return null
    const reply = this.host.give(x, stale, asked)
    if (reply !== null) x.cacheStatus = 'STALE'
    return reply
  }

  #isLive({ wish }: Asked): boolean {
    if (wish === 'as it is') return true
    if (this.#form === 'json') return wish === 'json'
    if (this.#form !== 'events' || wish === 'json') return false
    return wish === 'events' || this.#hasUsage || this.asked.endpoint === 'responses'
  }

  /** A reply that reads along from the start. */
  #along(x: Exchange, { wish }: Asked): Reply {
    if (wish === 'events' && this.#hasUsage && this.#form === 'events') this.bare.add(x)
    x.cacheStatus = 'COALESCED'
    x.cached = this.worth
    // Made anew: a reply belongs to the call that fetched it, and that is booked once.
    const { status, headerLines, contentType } = this.#reply!
    return {
      status,
      headerLines: keptLines(headerLines),
      dated: false,
      contentType,
      body: this.#shared!.read(),
      tunnel: null,
    }
  }

  #pass(reply: Reply): void {
    this.#state = 'passing'
    if (this.host.paced && this.#form === 'events') {
      this.#pace = []
      this.#paceAtMs = this.host.nowMs()
    }
    const shared = new SharedBytes(reply.body!, this.host.entryBytesMax, {
      came: (bytes) => this.#came(bytes),
      ended: (whole) => this.#landedWhole(whole),
      broke: (cause) => this.#broke(cause),
      unread: () => this.#unread(),
    })
    this.#shared = shared
    reply.body = shared.read()
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (this.#isLive(waiter.asked)) waiter.resolve(this.#along(waiter.x, waiter.asked))
      else this.#waiters.push(waiter)
    }
    shared.begin()
  }

  #came(bytes: Uint8Array): void {
    if (this.#pace === null) return
    const nowMs = this.host.nowMs()
    if (this.#pace.length >= paceMax) this.#pace = null
    else this.#pace.push(bytes.length, Math.round(nowMs - this.#paceAtMs))
    this.#paceAtMs = nowMs
  }

  #landedWhole(whole: readonly Uint8Array[] | null): void {
    if (whole !== null) return this.#complete(this.#reply!, Buffer.concat(whole))
    // Too long to be kept, so there is nothing to tell in another form.
    for (const waiter of this.#over()) this.host.apart(waiter)
  }

  #broke(cause: WireError): void {
    const waiters = this.#over()
    if (this.more.tries < triesMax) this.host.again(waiters, this.more.tries + 1)
    else {
      const failure = new Failure(
        'upstream_unavailable',
        'The upstream broke off before its answer was complete.',
        {
          detail: `${cause.fault}: ${cause.detail}`,
        },
      )
      for (const waiter of waiters) waiter.reject(failure)
    }
  }

  /** No client reads any more. */
  #unread(): boolean {
    if (this.#waiters.length > 0) return false
    this.#over()
    return true
  }

  #complete(reply: Reply, body: Uint8Array): void {
    // Others may be booked before the leader has read what it was given.
    const others = this.#waiters.length > 0 || (this.#shared?.readers ?? 0) > 1
    if (others && this.worth.usage === null) this.worth.told = factsIn(this.#form, body)
    const entry = this.host.complete(this, reply, body)
    for (const waiter of this.#over()) {
      const given = this.host.give(waiter.x, entry, waiter.asked)
      if (given === null) this.host.apart(waiter)
      else {
        waiter.x.cacheStatus = 'COALESCED'
        waiter.x.cached = this.worth
        waiter.x.ageSeconds = null
        waiter.resolve(given)
      }
    }
  }

  /** The leader's exchange has ended: what is known of its answer by now stands in what is kept of it. */
  learnFacts(): void {
    const { usage, answeredModel, upstreamModel, serviceTier } = this.worth
    for (const { facts } of this.kept) {
      // Items of a list have their own part of the tokens.
      facts.usage ??= usage
      facts.answeredModel ??= answeredModel
      facts.upstreamModel ??= upstreamModel
      facts.serviceTier ??= serviceTier
    }
  }

  /** Ends it; gives those who still wait. */
  #over(): Waiter[] {
    this.#state = 'over'
    this.host.over(this)
    const waiters = this.#waiters
    this.#waiters = []
    this.#ended?.()
    return waiters
  }
}

/** What the leader's answer is worth, as far as the leader knows by now. */
class Worth implements CachedFacts {
  /** What its bytes say, where they had to be read before the leader did. */
  told: AnswerFacts | null = null

  constructor(private readonly leader: Exchange) {}

  get usage(): Usage | null {
    return this.#call?.usage ?? this.told?.usage ?? null
  }

  get provider(): string | null {
    return this.#call?.whom.providerName ?? null
  }

  get upstream(): string | null {
    return this.#call?.whom.name ?? null
  }

  get upstreamModel(): string | null {
    return this.#call?.upstreamModel ?? null
  }

  get answeredModel(): string | null {
    return this.#call?.answeredModel ?? this.told?.model ?? null
  }

  get serviceTier(): string | null {
    return this.#call?.serviceTier ?? this.told?.serviceTier ?? null
  }

  get costNanoUsd(): number | null {
    return this.#call?.costNanoUsd ?? null
  }

  /** An answer that does not say its tokens has them counted once the leader has it: its end waits for that, and so do we. */
  get pending(): Promise<void> | null {
    if (this.costNanoUsd !== null || this.usage !== null) return null
    return Bun.sleep(0).then(() => this.leader.durable ?? undefined)
  }

  /** As it is now. */
  facts(): CachedFacts {
    const { usage, provider, upstream, upstreamModel, answeredModel, serviceTier, costNanoUsd } = this
    return { usage, provider, upstream, upstreamModel, answeredModel, serviceTier, costNanoUsd }
  }

  get #call(): Attempt | undefined {
    return this.leader.tried.at(-1)
  }
}

/** What a complete answer says of its cost. */
function factsIn(form: Form, body: Uint8Array): AnswerFacts | null {
  if (form === 'events')
    return (
      readEvents(body)
        ?.events.map(readAnswer)
        .findLast(({ usage }) => usage !== null) ?? null
    )
  if (form !== 'json') return null
  try {
    return readAnswer(JSON.parse(Buffer.prototype.toString.call(body, 'utf8')))
  } catch {
    return null
  }
}

const lines =
  /^(?:content-(?:type|language|disposition)|openai-version|openai-model|x-content-type-options):[^\r\n]*\r\n/gim

/** Of an answer's header lines, those that are about the answer and not about the call that fetched it. */
export function keptLines(headerLines: string): string {
  return (headerLines.match(lines) ?? []).join('')
}
