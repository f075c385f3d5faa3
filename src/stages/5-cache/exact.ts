// The exact cache: what was asked before gets the answer of that time. Everything that needs no waiting is done at once, so
// that an answer from memory costs no promise: reading the request's directives, knowing it by its bytes, one look-up.

import type { Clock } from '../../base/clock.ts'
import type { Exchange, Reply, Tap } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { WholeBody } from '../../net/wire/body.ts'
import { withoutUsage } from '../../openai/include-usage.ts'
import { AskedIndex, variantOf, type Asked } from './asked.ts'
import { directivesOf, notCached, type Directives } from './directives.ts'
import { inputsOf, KnownItems, requestFor } from './embeddings.ts'
import type { Entry } from './entry.ts'
import { Flight, type FlightHost, type Waiter } from './flight.ts'
import type { CacheKeeper } from './keeper.ts'
import { fetchedElsewhere } from './lease.ts'
import { entryOfItems, itemsOfAnswer, joinAnswer, knownPartOf, parsedJson, shareOf } from './lists.ts'
import { makeEntry } from './make-entry.ts'
import type { CacheOptions } from './options.ts'
import { PacedBody } from './paced-body.ts'
import { render } from './render.ts'
import { renewedOf } from './renewed.ts'

/** What the cache works with. */
export interface ExactParts {
  readonly clock: Clock
  readonly keeper: CacheKeeper
  /** Digest of all settings that change answers. */
  readonly policy: string
}

/** A request as the cache sees it. */
interface Question {
  readonly asked: Asked
  readonly directives: Directives
}

export class ExactCache implements FlightHost {
  readonly #index: AskedIndex
  readonly #flights = new Map<string, Flight>()
  readonly entryBytesMax: number
  readonly paced: boolean

  constructor(
    private readonly options: CacheOptions,
    private readonly parts: ExactParts,
  ) {
    this.#index = new AskedIndex({ ...options, policy: parts.policy })
    this.entryBytesMax = options.store.entry
    this.paced = options.replay === 'paced'
  }

  nowMs(): number {
    return this.parts.clock.nowMs()
  }

  /** Answers under way. */
  get flights(): number {
    return this.#flights.size
  }

  /** What the caller asks for, by its digest; '' = it has no part in the cache. */
  keyOf(x: Exchange): string {
    return this.#index.of(x)?.key ?? ''
  }

  /** The stored answer, at once where nothing has to be waited for; null = the upstream is to be asked. @throws Failure */
  find(x: Exchange): Reply | null | Promise<Reply | null> {
    const directives = directivesOf(x.request.headers)
    const asked = this.#index.of(x)
    if (asked === null || asked.key === '') return this.#bypass(directives)
    x.cacheKey = asked.key
    if (!directives.read) {
      if (directives.onlyIfCached) throw notCached()
      // Asked anew, for itself alone, and kept for those who come after.
      if (directives.write) x.sharing = this.#flight(x, { asked, directives })
      return null
    }
    x.cacheStatus = 'MISS'
    return this.#lookUp(x, asked, directives)
  }

  /** What the upstream answers, for whoever leads; what stands in for it where it fails. @throws Failure */
  fetched(x: Exchange, replying: Promise<Reply>): Promise<Reply> {
    const flight = x.sharing
    if (!(flight instanceof Flight) || flight.leader !== x) return replying
    return replying.then(
      (reply) => (flight.items === null ? flight.answered(reply) : this.#joined(flight, reply)),
      (cause: unknown) => flight.failed(cause),
    )
  }

  /** What a shared answer is changed by for this client: the whole in place of the part that was fetched, or no usage. */
  tap(x: Exchange): Tap | null {
    const flight = x.sharing
    if (!(flight instanceof Flight)) return null
    if (flight.leader !== x) return flight.bare.has(x) ? bareTap : null
    const { joined } = flight
    return joined === null ? null : { chunk: () => joined, end: () => null }
  }

  /** The exchange has ended: what its answer cost is known. */
  settle(x: Exchange): void {
    const flight = x.sharing
    if (flight instanceof Flight && flight.leader === x) {
      flight.settled()
      // The leader may have its last byte before what came is put together: then that is kept a moment later.
      if (flight.passing) flight.late = true
      else this.#keepBelow(flight)
    }
  }

  #keepBelow(flight: Flight): void {
    const { tiers, leases } = this.parts.keeper
    const costNanoUsd = flight.leader.tried.at(-1)?.costNanoUsd ?? null
    flight.learnFacts()
    const tokens = flight.kept.reduce((sum, { facts }) => sum + (facts.usage?.total ?? 0), 0)
    for (const entry of flight.kept) {
      if (costNanoUsd !== null && entry.facts.costNanoUsd === null)
        entry.facts.costNanoUsd = shareOf(costNanoUsd, entry, tokens)
      tiers.keep(entry)
    }
    if (flight.lease !== null) leases?.release(flight.asked.key, flight.lease)
  }

  /** An exchange that fetches anew what `x` was given past its time; null where that is under way already. */
  renewal(x: Exchange): Exchange | null {
    const asked = this.#index.of(x)
    if (asked === null || asked.key === '' || this.#flights.has(asked.key)) return null
    const again = renewedOf(x, this.parts.clock)
    this.#lead(again, { asked, directives: directivesOf(x.request.headers) })
    return again
  }

  // --- for flights -------------------------------------------------------------------------------------------------

  complete(flight: Flight, reply: Reply, body: Uint8Array): Entry {
    const { entry, ttlMs } = makeEntry(
      flight,
      { reply, body },
      { ...this.options, nowMs: this.parts.clock.wallMs() },
    )
    if (ttlMs > 0) this.#store(flight, entry)
    return entry
  }

  give(x: Exchange, entry: Entry, asked: Asked): Reply | null {
    const given = render(entry, asked.wish)
    if (given === null) return null
    const { facts } = entry
    x.cached = facts
    x.ageSeconds = Math.max(0, Math.floor((this.parts.clock.wallMs() - facts.createdAtMs) / 1000))
    const paced = this.paced && given.asStored && facts.pace !== null
    let { headerLines } = given
    if (facts.status === 429) {
      const seconds = Math.max(1, Math.ceil((facts.freshUntilMs - this.parts.clock.wallMs()) / 1000))
      headerLines += `retry-after: ${seconds}\r\n`
    }
    return {
      status: facts.status,
      headerLines,
      dated: false,
      contentType: given.contentType,
      body: paced ? new PacedBody(entry.body, facts.pace ?? []) : given.body,
      tunnel: null,
    }
  }

  again(waiters: readonly Waiter[], tries: number): void {
    const [first, ...others] = waiters
    if (first === undefined) return
    const flight = this.#lead(first.x, first, tries)
    first.resolve(null)
    for (const { x, asked, directives, resolve } of others) resolve(flight.join(x, asked, directives))
  }

  apart({ x, asked, directives, resolve, reject }: Waiter): void {
    try {
      x.sharing = null
      x.cacheStatus = 'MISS'
      resolve(this.#lookUp(x, variantOf(asked), directives))
    } catch (cause) {
      reject(cause)
    }
  }

  over(flight: Flight): void {
    if (this.#flights.get(flight.asked.key) === flight) this.#flights.delete(flight.asked.key)
    if (flight.late) this.#keepBelow(flight)
  }

  // --- looking up --------------------------------------------------------------------------------------------------

  #bypass(directives: Directives): null {
    if (directives.onlyIfCached) throw notCached()
    return null
  }

  #lookUp(x: Exchange, asked: Asked, directives: Directives): Reply | null | Promise<Reply | null> {
    const { tiers } = this.parts.keeper
    const near = tiers.inMemory(asked.key)
    if (near !== null) return this.#found(x, near, { asked, directives })
    const flight = this.#flights.get(asked.key)
    if (flight !== undefined && !directives.onlyIfCached) {
      const joined = flight.join(x, asked, directives)
      if (joined !== null) return joined
    }
    const below = tiers.get(asked.key)
    if (below === null) return this.#missed(x, asked, directives)
    if (!(below instanceof Promise)) return this.#found(x, below, { asked, directives })
    // Those who come while we wait for the store wait with us.
    const led = directives.onlyIfCached ? null : this.#lead(x, { asked, directives })
    return below.then((entry) => this.#foundBelow(x, entry, { asked, directives, led }))
  }

  #foundBelow(
    x: Exchange,
    entry: Entry | null,
    { asked, directives, led }: Question & { led: Flight | null },
  ): Reply | null | Promise<Reply | null> {
    if (entry === null) return this.#missed(x, asked, directives)
    if (led !== null) {
      x.sharing = null
      for (const waiter of led.found()) {
        try {
          waiter.x.sharing = null
          waiter.resolve(this.#lookUp(waiter.x, waiter.asked, waiter.directives))
        } catch (cause) {
          waiter.reject(cause)
        }
      }
    }
    return this.#found(x, entry, { asked, directives })
  }

  /** An entry is there: given where it is fresh, or stale and allowed; else it may still stand in for a failing upstream. */
  #found(x: Exchange, entry: Entry, { asked, directives }: Question): Reply | null | Promise<Reply | null> {
    const { facts } = entry
    const nowMs = this.parts.clock.wallMs()
    const { maxAgeSeconds } = directives
    const young = maxAgeSeconds === Infinity || nowMs - facts.createdAtMs <= maxAgeSeconds * 1000
    const fresh = young && nowMs < facts.freshUntilMs
    const { staleWhileRevalidate } = this.options
    if (fresh || (young && nowMs < facts.freshUntilMs + staleWhileRevalidate && facts.status === 200)) {
      const heldBytes = entry.heldBytes
      const reply = this.give(x, entry, asked)
      if (heldBytes !== entry.heldBytes) this.parts.keeper.tiers.resized(entry)
      // What cannot be told in this form is asked for, and kept beside it.
      if (reply === null) return this.#lookUp(x, variantOf(asked), directives)
      x.cacheStatus = fresh ? 'HIT' : 'STALE'
      x.revalidate = !fresh
      if (fresh) this.parts.keeper.tiers.used(entry, this.parts.clock.nowMs())
      return reply
    }
    x.cacheStatus = 'EXPIRED'
    const flight = this.#flights.get(asked.key)
    const joined = flight === undefined || directives.onlyIfCached ? null : flight.join(x, asked, directives)
    if (joined !== null) return joined
    const missed = this.#missed(x, asked, directives)
    const own = x.sharing
    if (own instanceof Flight && nowMs < facts.freshUntilMs + this.options.staleIfError) own.stale = entry
    return missed
  }

  /** Nothing is there: the caller leads, or, of a list, takes what is known of it. */
  #missed(x: Exchange, asked: Asked, directives: Directives): Reply | null | Promise<Reply | null> {
    const { items } = asked
    if (items === null || items.length < 2) {
      if (directives.onlyIfCached) throw notCached()
      const flight = x.sharing instanceof Flight ? x.sharing : this.#lead(x, { asked, directives })
      return this.#elsewhere(x, flight)
    }
    const { tiers } = this.parts.keeper
    const found = items.map((key) => tiers.get(key))
    if (found.some((one) => one instanceof Promise)) {
      if (x.sharing === null && !directives.onlyIfCached) this.#lead(x, { asked, directives })
      return Promise.all(found.map(async (one) => one)).then((known) =>
        this.#someKnown(x, known, { asked, directives }),
      )
    }
    return this.#someKnown(x, found as (Entry | null)[], { asked, directives })
  }

  #someKnown(x: Exchange, found: readonly (Entry | null)[], { asked, directives }: Question): Reply | null {
    const nowMs = this.parts.clock.wallMs()
    const known = found.map((entry) => freshOnly(entry, nowMs, directives))
    const inputs = inputsOf(x.requestBody === null ? null : parsedJson(x.requestBody.whole!))
    const list = new KnownItems(asked.items!, inputs ?? [], known)
    const { missing } = list
    if (inputs !== null && missing.length === 0) {
      const whole = list.join(null)
      if (whole !== null) return this.#allKnown(x, asked, { known: known as Entry[], whole })
    }
    if (directives.onlyIfCached) throw notCached()
    const flight = x.sharing instanceof Flight ? x.sharing : this.#lead(x, { asked, directives })
    if (inputs === null || missing.length === 0 || missing.length === inputs.length) return null
    const request = parsedJson(x.requestBody!.whole!)
    const body = requestFor(request, missing.map((index) => inputs[index]!)) // prettier-ignore
    flight.items = list
    x.knownPart = knownPartOf(list)
    x.requestBody = new WholeBody(body)
    return null
  }

  #allKnown(
    x: Exchange,
    asked: Asked,
    { known, whole }: { known: readonly Entry[]; whole: Buffer },
  ): Reply | null {
    const flight = x.sharing
    if (flight instanceof Flight) {
      x.sharing = null
      this.again(flight.found(), 1)
    }
    x.cacheStatus = 'HIT'
    return this.give(x, entryOfItems(asked.key, known, whole), asked)
  }

  /** Waits for another gateway that asks the same, where that is configured. */
  #elsewhere(x: Exchange, led: Flight): Promise<Reply | null> | null {
    const { keeper, clock } = this.parts
    const { leases } = keeper
    const { asked, directives } = led.more
    const { coalesce, coalesceAcross: waitMs } = this.options
    if (leases === null || waitMs === 0 || !coalesce) return null
    if (!directives.write || directives.ttlMs === 0) return null
    const look = async (): Promise<Entry | null> =>
      freshOnly(await keeper.tiers.getShared(asked.key), clock.wallMs(), directives)
    const given = (): boolean => x.gone && x.drained === null
    const awaited = { key: asked.key, token: x.id, waitMs, nowMs: () => clock.nowMs(), look, given }
    return fetchedElsewhere(leases, awaited).then(async ({ entry, leased }) => {
      if (leased) led.lease = x.id
      if (given()) throw new Failure('client_gone', 'The client closed the connection.')
      if (entry === null) return null
      const reply = await this.#foundBelow(x, entry, { asked, directives, led })
      if (x.cacheStatus === 'HIT') x.cacheStatus = 'COALESCED'
      return reply
    })
  }

  // --- fetching ----------------------------------------------------------------------------------------------------

  #flight(x: Exchange, question: Question, tries = 1): Flight {
    return new Flight(x, this, { ...question, askedAtMs: this.parts.clock.wallMs(), tries })
  }

  #lead(x: Exchange, question: Question, tries = 1): Flight {
    const flight = this.#flight(x, question, tries)
    if (this.options.coalesce) this.#flights.set(question.asked.key, flight)
    x.sharing = flight
    return flight
  }

  /** Puts the answer to what was missing together with what was known. @throws Failure where they do not fit */
  async #joined(flight: Flight, reply: Reply): Promise<Reply> {
    if (reply.status !== 200 || reply.body === null) return flight.answered(reply)
    const list = flight.items!
    try {
      const { part, whole } = await joinAnswer(list, reply.body)
      reply.body = new WholeBody(part)
      flight.joined = whole
      return flight.answered(reply)
    } catch (cause) {
      const { keeper, clock } = this.parts
      for (const value of list.keys) keeper.tiers.purge({ by: 'key', value }, clock.wallMs()).catch(() => {})
      return flight.failed(cause)
    }
  }

  #store(flight: Flight, entry: Entry): void {
    const { tiers } = this.parts.keeper
    const { items } = flight.asked
    if (items !== null && entry.facts.status === 200) {
      const made = itemsOfAnswer(flight, entry)
      // An answer that does not fit its request is given, and not kept.
      if (made === null) return
      for (const item of made) {
        tiers.put(item)
        flight.kept.push(item)
      }
      // The list as a whole is only a short way to its items.
      if (items.length > 1) return
    }
    tiers.put(entry)
    flight.kept.push(entry)
  }
}

const bareTap: Tap = { chunk: (bytes) => withoutUsage(bytes), end: () => null }

/** An entry that may be given as a hit; else null. */
function freshOnly(entry: Entry | null, nowMs: number, { maxAgeSeconds }: Directives): Entry | null {
  if (entry === null || entry.facts.freshUntilMs <= nowMs) return null
  return nowMs - entry.facts.createdAtMs <= maxAgeSeconds * 1000 ? entry : null
}
