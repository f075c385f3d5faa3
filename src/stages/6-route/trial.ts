// One request's search for an answer: chooses a way, asks, looks at how the answer begins, and chooses another where that
// was no good and the rules allow it. The request was prepared once; every attempt sends the same bytes, but for the name
// of the model. What a client gets when nothing helped is the most telling of the failures.

import type { Attempt, Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { askOnce } from './ask-once.ts'
import { isRepeatable, isResendable, prefixOf } from './asked.ts'
import type { Choice, Target } from './choice.ts'
import { withRetryAfter } from './error-facts.ts'
import { hedged, isShort } from './hedge.ts'
import { discard, emptyHanded, tellsMore, type Tried } from './outcome.ts'
import { asleep } from './pause.ts'
import { waysOfModel, type Route, type Ways } from './plan.ts'
import { verdictOf } from './retry-rules.ts'
import type { Asking, Send, TrialParts } from './trial-parts.ts'

/** Pauses double from here. */
const pauseMs = 500

export class Trial<T extends Target> implements Asking {
  nowMs = 0
  readonly #startedAtMs: number
  readonly #tried: Choice<T>[] = []
  #isRepeatable: boolean | null = null
  #best: Tried<T> | null = null
  #left: number
  #round = 0
  #doubts = false
  #longer = false
  #key: unknown = null

  constructor(
    readonly x: Exchange,
    readonly send: Send<T>,
    private readonly about: {
      readonly route: Route<T>
      readonly ways: Ways<T>
      readonly parts: TrialParts<T>
    },
  ) {
    this.nowMs = this.#startedAtMs = about.parts.clock.nowMs()
    this.#left = about.route.config.retry.attempts
  }

  /** @throws Failure */
  run(): Promise<Reply> {
    const choice = this.next()
    if (choice === null) return Promise.reject(this.#shut())
    // Nearly always the first answer is good: no more promises than that takes.
    return this.#ask(choice).then((tried) =>
      tried.failed === null ? this.accept(tried) : this.#again(tried),
    )
  }

  async #again(first: Tried<T>): Promise<Reply> {
    let tried = first
    for (;;) {
      const choice = await this.#following(tried)
      if (choice === null) return this.#last(tried)
      tried = await this.#ask(choice)
      if (tried.failed === null) return this.accept(tried)
    }
  }

  #ask(choice: Choice<T>): Promise<Tried<T>> {
    const { hedge } = this.about.route.config.retry
    if (hedge === undefined || this.#left < 2 || !isShort(this.x) || !this.#repeatable)
      return this.one(choice)
    return hedged(this, choice, hedge.after)
  }

  /** One more attempt beside the one under way, where it may be made and a way is open; null = not. */
  second(): Choice<T> | null {
    const choice = this.#left > 1 && !this.x.gone ? this.#open() : null
    if (choice === null || !this.about.route.budget.take()) return null
    this.#left--
    return choice
  }

  /** An attempt that was accepted broke off amid its answer, or one to go on with it failed. */
  broke(attempt: Attempt): void {
    const { clock } = this.about.parts
    this.nowMs = clock.nowMs()
    const choice = this.#tried.find((each) => each === attempt.underWay)
    const refused = attempt.status >= 400 && attempt.status < 500
    choice?.end(attempt, refused ? 'nothing' : 'failure')
    if (attempt.endedAtMs === 0) attempt.endedAtMs = this.nowMs
    attempt.failure ??= emptyHanded('truncated')
  }

  get #repeatable(): boolean {
    return (this.#isRepeatable ??= isRepeatable(this.x))
  }

  // --- choosing ---------------------------------------------------------------------------------------------------

  random(): number {
    return this.about.parts.random()
  }

  prefix(): number {
    return prefixOf(this.x, this.x.model)
  }

  usable(choice: Choice): boolean {
    if (this.#tried.includes(choice as Choice<T>) || !choice.isOpen(this.nowMs)) return false
    if (!this.#doubts && choice.health.breaker.doubted(this.nowMs)) return false
    return this.#quotaWaitMs(choice) === 0
  }

  room(choice: Choice): number {
    return this.about.parts.quota?.room(choice.target.name) ?? Infinity
  }

  /** How long until the account's own quota takes this request; 0 = now. */
  #quotaWaitMs({ target, model }: Choice): number {
    return this.about.parts.quota?.waitMs(target.name, this.x, model ?? this.x.model) ?? 0
  }

  /** The next way that is open; where none is, the one that is likeliest to work. */
  next(): Choice<T> | null {
    return this.#open() ?? this.#anyway()
  }

  #open(): Choice<T> | null {
    const { route, ways, parts } = this.about
    this.nowMs = parts.clock.nowMs()
    for (const doubts of [false, true]) {
      this.#doubts = doubts
      for (const rank of ways.ranks) {
        const at = parts.pick(route, rank, this)
        if (at >= 0) return rank.choices[at]!
      }
    }
    return null
  }

  /**
   * Nothing is open, or all of that was no good. A breaker never keeps the last way shut: to be wrong about it would be an
   * outage of our own making. Nor does it for a repeat, which the retry budget bounds.
   */
  #anyway(): Choice<T> | null {
    const left = this.about.ways.all.filter(
      (choice) => !choice.account.draining && !this.#tried.includes(choice),
    )
    const isRepeat = this.#tried.length > 0
    if (left.length <= 1 && !isRepeat) return left[0] ?? null
    const broken = left.filter(
      (choice) => choice.limitedUntilMs(this.nowMs) === 0 && !(isRepeat && this.#quotaWaitMs(choice) > 0),
    )
    if (broken.length === 0) return null
    return broken.reduce((best, each) => (this.#opensInMs(each) < this.#opensInMs(best) ? each : best))
  }

  #opensInMs(choice: Choice): number {
    return Math.max(choice.health.breaker.opensUntilMs - this.nowMs, this.#quotaWaitMs(choice))
  }

  // --- asking -----------------------------------------------------------------------------------------------------

  /** One attempt, up to the beginning of its answer. */
  one(choice: Choice<T>): Promise<Tried<T>> {
    const { x, send } = this
    const { parts } = this.about
    this.#tried.push(choice)
    this.#key = choice.target.spareKeys ? choice.target.keyInUse() : null
    return askOnce({ x, send, parts, holds: this.#mayFollow() }, choice)
  }

  /** Whether anything could follow, were this attempt to fail: else nothing has to be held back. */
  #mayFollow(): boolean {
    const { ways, route } = this.about
    // Also for the last of several: a stream that only opens is better told as a failure than as half an answer.
    return ways.all.length > 1 || route.config.retry.sameUpstream
  }

  // --- judging ----------------------------------------------------------------------------------------------------

  /** Learns from a failure, and gives the way to try next; null = the client is told. */
  async #following(tried: Tried<T>): Promise<Choice<T> | null> {
    const { route, parts } = this.about
    const { choice, attempt } = tried
    const verdict = verdictOf(tried.failed!, {
      repeatable: this.#repeatable,
      resendable: isResendable(this.x),
      on: route.on,
    })
    choice.end(attempt, verdict.blame === 'failure' ? 'failure' : 'nothing')
    this.nowMs = parts.clock.nowMs()
    this.#limit(tried, verdict.blame)
    if (this.x.gone || verdict.again === 'no') return null
    if (--this.#left <= 0 || this.nowMs - this.#startedAtMs >= route.config.retry.deadline) return null
    const following = verdict.again === 'context' ? this.#contextFallback() : await this.#another(tried)
    if (following === null || this.x.gone) return null
    // What reached nobody, or only a door with the wrong key, was no load.
    if (tried.failed!.sent && attempt.status !== 401 && !route.budget.take()) return null
    this.#keep(tried)
    return following
  }

  #limit({ choice, retryAfterMs, failed }: Tried<T>, blame: string): void {
    const { nowMs } = this
    if (blame === 'quota') {
      const { quotaPause } = this.about.route.config.breaker
      choice.account.empty(nowMs + (retryAfterMs ?? quotaPause), nowMs)
    } else if (blame === 'limit' || (failed!.status === 503 && retryAfterMs !== null))
      choice.health.limitedUntilMs = nowMs + (retryAfterMs ?? pauseMs * 2)
  }

  async #another({ choice, failed }: Tried<T>): Promise<Choice<T> | null> {
    const { target } = choice
    // The account has another key now: it is asked again at once.
    if (failed!.status === 401 && target.spareKeys && target.keyInUse() !== this.#key && target.hasKey())
      return choice
    const next = this.next()
    if (next !== null || !this.about.route.config.retry.sameUpstream) return next
    return (await this.#pause()) ? this.next() : null
  }

  /** Waits until every way may be tried anew. False where that is too long. */
  async #pause(): Promise<boolean> {
    const { route, ways } = this.about
    const { pauseMax, deadline } = route.config.retry
    const limits = ways.all.map((choice) => choice.limitedUntilMs(this.nowMs))
    const limitedMs = Math.max(0, Math.min(...limits) - this.nowMs)
    const jitterMs = this.random() * Math.min(pauseMax, pauseMs * 2 ** this.#round++)
    const waitMs = limitedMs + jitterMs
    if (limitedMs > pauseMax || this.nowMs + waitMs - this.#startedAtMs >= deadline) return false
    await asleep(this.x, waitMs)
    this.#tried.length = 0
    return !this.x.gone
  }

  #contextFallback(): Choice<T> | null {
    const { route, ways, parts } = this.about
    const { contextFallback: wanted } = route.config
    if (wanted === null || this.#longer) return null
    this.#longer = true
    const named = ways.all.find(({ target }) => target.name === wanted)
    if (named !== undefined) return this.#tried.includes(named) || named.account.draining ? null : named
    const others = waysOfModel({ route, model: wanted }, this.x, parts).all.filter(
      ({ account }) => !account.draining,
    )
    return others.find((choice) => choice.isOpen(this.nowMs)) ?? others[0] ?? null
  }

  // --- ending -----------------------------------------------------------------------------------------------------

  /** The answer goes to the client. */
  accept(tried: Tried<T>): Reply {
    this.about.route.budget.pay()
    if (this.#best !== null) discard(this.#best, this.about.parts.clock.nowMs())
    const reply = this.#told(tried)
    this.about.parts.accepted(this.x, reply)
    return reply
  }

  #keep(tried: Tried<T>): void {
    const best = this.#best
    const { nowMs } = this
    if (best === null) this.#best = tried
    else if (tellsMore(tried, best)) {
      discard(best, nowMs)
      this.#best = tried
    } else discard(tried, nowMs)
  }

  /** Nothing follows: the most telling failure, or this one where it is about the request itself. */
  #last(tried: Tried<T>): Reply {
    const own = tried.reply !== null && tried.reply.status < 500 && tried.reply.status !== 429
    if (own && this.#best !== null) {
      discard(this.#best, this.nowMs)
      this.#best = tried
    } else this.#keep(tried)
    const told = this.#best!
    if (told.reply === null) {
      this.#told(told)
      throw told.failure!
    }
    const reply = this.#told(told)
    if (reply.status === 429) {
      const waitMs = this.#limitedForMs()
      if (waitMs > 0) reply.headerLines = withRetryAfter(reply.headerLines, waitMs)
    }
    return reply
  }

  /** The attempt that is told counts as the one that answered. */
  #told({ choice, attempt, reply }: Tried<T>): Reply {
    const { tried } = this.x
    this.x.upstream = choice.target.name
    const at = tried.indexOf(attempt)
    if (at >= 0 && at < tried.length - 1) tried.push(...tried.splice(at, 1))
    return reply!
  }

  /** The shortest wait until an account takes more, where several all are at their limits; 0 = that is not so. */
  #limitedForMs(): number {
    const { all } = this.about.ways
    if (all.length < 2) return 0
    const waits = all
      .filter(({ account }) => !account.draining)
      .map((each) => each.limitedUntilMs(this.nowMs))
    return waits.length === 0 || waits.includes(0) ? 0 : Math.min(...waits) - this.nowMs
  }

  /** No way is open, and none was tried. */
  #shut(): Failure {
    const waitMs = this.#limitedForMs()
    if (waitMs > 0) {
      const message =
        'Rate limit exceeded. Please try again later. Every upstream for this model is at its limit.'
      return new Failure('rate_limit_exceeded', message, { retryAfterMs: Math.ceil(waitMs) })
    }
    return new Failure('overloaded', 'Every upstream for this request is being drained. Try again later.')
  }
}
