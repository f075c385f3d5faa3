// Limits that several gateways share over Redis: one round trip reserves under all rules of a request, and one that nobody
// waits for settles. What is counted there is counted here as well: it is what holds while Redis is away, and for
// budgets the least that Redis may believe was spent, so that a Redis that lost its memory is put right by the next
// request. Reservations and slots lapse by themselves unless their gateway keeps renewing them.

import type { Exchange } from '../../exchange.ts'
import type { Failure } from '../../failure.ts'
import { limitLines, type Standing } from './answers.ts'
import { PeriodLimiter } from './period.ts'
import type { Tracked } from './memory.ts'
import type { Charge } from './plan.ts'
import { refusalOf, type Unfit } from './reservation.ts'
import type { Moment, Rule } from './rule.ts'
import { renewScript, reserveScript, settleScript } from './scripts.ts'

/** The part of the shared store that limits need; see storage/redis.ts. */
export interface SharedStore {
  readonly up: boolean
  /** Rejects where there is no answer in time; `late` then gets one that comes all the same. */
  run(call: StoreCall): Promise<unknown>
  /** Never throws, never waits. */
  tell(call: StoreCall): void
}

interface StoreCall {
  readonly script: { readonly name: string; readonly lua: string }
  readonly keys: readonly string[]
  readonly args: readonly (string | number)[]
  readonly late?: (answer: unknown) => void
}

/** How long a reservation or slot lives without its gateway. */
export const leaseMs = 60_000
const renewEveryMs = leaseMs / 3
const renewedAtOnce = 500
/** A budget's key outlives its period, so that a clock that is late still finds it. */
const afterPeriodMs = 2 * 86_400_000

const kindOf = { sliding: 's', rate: 'r', period: 'p', total: 'p', slots: 'c' } as const

/** A request's part of the shared store. */
interface Open {
  readonly id: string
  readonly keys: readonly string[]
  readonly charges: readonly Charge[]
  /** Null = Redis has not answered yet. */
  handles: readonly number[] | null
  /** What it came to, where that was known before the answer. */
  actual: readonly number[] | null
}

/** How long what the others had used is believed, and from when on a refusal by it is a reason to ask anew. */
const othersMs = 60_000
const othersFreshMs = 250

export class SharedLimits {
  readonly #open = new Map<string, Open>()
  readonly #hashes = new Map<string, string>()
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(
    private readonly store: SharedStore,
    private readonly lease = leaseMs,
  ) {}

  get up(): boolean {
    return this.store.up
  }

  /** Reserves all or nothing; where the rules stand. @throws Failure where one refuses, anything else where Redis is away */
  async reserve(x: Exchange, charges: readonly Charge[], at: Moment): Promise<Standing[]> {
    const { nowMs, wallMs } = at
    const call = this.#reserveCall(x.id, charges, { at, enforce: true, counts: true })
    const { keys } = call
    const late = (answer: unknown): void =>
      this.#giveBack({ id: x.id, keys, charges, handles: null, actual: null }, answer)
    const { ok, used, waits, clears, handles } = readAnswer(
      await this.store.run({ ...call, late }),
      charges.length,
    )
    const then = { nowMs, wallMs }
    const standings = charges.map((charge, index): Standing => {
      const { rule, column } = charge.tracked
      column.shared.set(charge.record(then), { used: used[index]!, atMs: nowMs, others: 0 })
      return {
        rule,
        used: used[index]!,
        clearMs: clears[index]! < 0 ? untilPeriodEnds(rule, then) : clears[index]!,
      }
    })
    if (!ok) {
      x.limitLines = limitLines(standings)
      throw this.#refused(charges, { used, waits }, then)
    }
    this.#open.set(x.id, { id: x.id, keys, charges, handles, actual: null })
    this.#schedule()
    return standings
  }

  /** Puts what was used in the place of what was reserved; nobody waits for it. */
  settle(id: string, actual: readonly number[]): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    if (open.handles === null) {
      open.actual = actual
      return
    }
    this.#open.delete(id)
    this.#tellSettled(open, actual)
  }

  /**
   * Counts there what has been counted here, whatever it comes to; to be settled by the same id. Nobody waits for the
   * answer, which says what the others have used.
   */
  follow(id: string, charges: readonly Charge[], clock: () => Moment): void {
    if (!this.store.up) return
    const call = this.#reserveCall(id, charges, { at: clock(), enforce: false, counts: true })
    const open: Open = { id, keys: call.keys, charges, handles: null, actual: null }
    this.#open.set(id, open)
    this.#schedule()
    const came = (answer: unknown): void => {
      open.handles = readAnswer(answer, charges.length).handles
      if (open.actual !== null) this.settle(id, open.actual)
    }
    const lost = (): void => void this.#open.delete(id)
    this.#learnOthers(
      { ...call, late: (answer) => this.#giveBack(open, answer) },
      { charges, clock, came, lost },
    )
  }

  /** What the other gateways have used of a charge's rule, as far as is known; where that refuses, ask anew with `refresh`. */
  othersOf(charge: Charge, at: Moment): number {
    return this.othersIn(charge.tracked, charge.record(at), at)
  }

  /** The same for a record. */
  othersIn({ column }: Tracked, record: number, at: Moment): number {
    if (!this.store.up) return 0
    const told = column.shared.get(record)
    return told === undefined || at.nowMs - told.atMs > othersMs ? 0 : told.others
  }

  /** Asks what the others have used by now, unless that is known or being asked. */
  refresh(charge: Charge, clock: () => Moment): void {
    const at = clock()
    const { shared } = charge.tracked.column
    const record = charge.record(at)
    const told = shared.get(record)
    if (told === undefined || at.nowMs - told.atMs < othersFreshMs || !this.store.up) return
    shared.set(record, { ...told, atMs: at.nowMs })
    const call = this.#reserveCall('', [charge], { at, enforce: false, counts: false })
    this.#learnOthers(call, { charges: [charge], clock, came: () => {}, lost: () => {} })
  }

  /** Runs a reservation and takes down what it says of the others. What is asked of Redis is done there in its order. */
  #learnOthers(
    call: StoreCall,
    then: {
      readonly charges: readonly Charge[]
      readonly clock: () => Moment
      readonly came: (answer: unknown) => void
      readonly lost: () => void
    },
  ): void {
    const asked = then.clock()
    const here = then.charges.map((charge) => charge.look(asked).used(asked))
    const came = (answer: unknown): void => {
      const at = then.clock()
      const { used } = readAnswer(answer, then.charges.length)
      for (const [index, charge] of then.charges.entries()) {
        const others = Math.max(0, used[index]! - here[index]!)
        charge.tracked.column.shared.set(charge.record(at), { used: used[index]!, atMs: at.nowMs, others })
      }
      then.came(answer)
    }
    this.store.run(call).then(came, then.lost)
  }

  #reserveCall(
    id: string,
    charges: readonly Charge[],
    { at, enforce, counts }: { at: Moment; enforce: boolean; counts: boolean },
  ): StoreCall {
    const args: (string | number)[] = [id, this.lease]
    for (const charge of charges) {
      const { rule } = charge.tracked
      const limiter = charge.look(at)
      const floor = limiter instanceof PeriodLimiter ? limiter.settledIn(startOf(rule, at)) : 0
      const amount = counts ? charge.amount : 0
      const holds = enforce && rule.enforce ? 1 : 0
      args.push(kindOf[rule.span.kind], rule.limit, amount, paramOf(rule, at), floor, holds)
    }
    return { script: reserveScript, keys: this.#keysOf(charges, at), args }
  }

  /** Ends the renewing. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** Redis counted when nobody waited any more. */
  #giveBack(open: Open, answer: unknown): void {
    const { ok, handles } = readAnswer(answer, open.charges.length)
    if (!ok) return
    open.handles = handles
    this.#tellSettled(
      open,
      open.charges.map(() => 0),
    )
  }

  #tellSettled({ id, keys, charges, handles }: Open, actual: readonly number[]): void {
    const args: (string | number)[] = [id]
    for (const [
      index,
      {
        tracked: { rule },
        amount,
      },
    ] of charges.entries())
      args.push(kindOf[rule.span.kind], amount, actual[index]!, lifeOf(rule), handles![index]!)
    this.store.tell({ script: settleScript, keys, args })
  }

  #refused(charges: readonly Charge[], { used, waits }: Pick<Answer, 'used' | 'waits'>, at: Moment): Failure {
    let worst: Unfit | null = null
    for (const [index, charge] of charges.entries()) {
      const { rule } = charge.tracked
      if (!rule.enforce || waits[index] === 0) continue
      const never = charge.amount > rule.limit
      const waitMs = never ? Infinity : waits[index]! < 0 ? untilPeriodEnds(rule, at) : waits[index]!
      if (worst === null || waitMs > worst.waitMs) worst = { charge, waitMs, used: used[index]! }
    }
    return refusalOf(worst!)
  }

  /** Two for each charge, all with one hash tag. A period's keys bear its start. */
  #keysOf(charges: readonly Charge[], at: Moment): string[] {
    const keys: string[] = []
    for (const { tracked, owner } of charges) {
      let hash = this.#hashes.get(tracked.definition)
      if (hash === undefined)
        this.#hashes.set(tracked.definition, (hash = Bun.hash(tracked.definition).toString(36)))
      const { span } = tracked.rule
      const label = span.kind === 'period' ? `${span.calendar.at(at.wallMs).startMs}:` : ''
      const key = `{headgate}:limit:${hash}:${label}${owner}`
      keys.push(key, `${key}:open`)
    }
    return keys
  }

  #schedule(): void {
    if (this.#timer !== null || this.#open.size === 0) return
    this.#timer = setTimeout(
      () => {
        this.#timer = null
        this.#renew()
        this.#schedule()
      },
      Math.min(renewEveryMs, this.lease / 3),
    )
    this.#timer.unref()
  }

  #renew(): void {
    let keys: string[] = []
    let members: string[] = []
    const send = (): void => {
      if (keys.length > 0) this.store.tell({ script: renewScript, keys, args: [this.lease, ...members] })
      keys = []
      members = []
    }
    for (const open of this.#open.values()) {
      for (const [index, { tracked, amount }] of open.charges.entries()) {
        const kind = kindOf[tracked.rule.span.kind]
        if (kind !== 'c' && (kind !== 'p' || amount === 0)) continue
        keys.push(open.keys[kind === 'c' ? 2 * index : 2 * index + 1]!)
        members.push(kind === 'c' ? open.id : `${open.id}:${amount}`)
      }
      if (keys.length >= renewedAtOnce) send()
    }
    send()
  }
}

interface Answer {
  readonly ok: boolean
  readonly used: number[]
  readonly waits: number[]
  readonly clears: number[]
  readonly handles: number[]
}

function readAnswer(answer: unknown, count: number): Answer {
  const numbers = (answer as readonly unknown[]).map(Number)
  const each = (offset: number): number[] =>
    Array.from({ length: count }, (_, index) => numbers[1 + index * 4 + offset]!)
  return { ok: numbers[0] === 1, used: each(0), waits: each(1), clears: each(2), handles: each(3) }
}

function startOf({ span }: Rule, at: Moment): number {
  return span.kind === 'period' ? span.calendar.at(at.wallMs).startMs : 0
}

function untilPeriodEnds({ span }: Rule, at: Moment): number {
  return span.kind === 'period' ? Math.max(1, span.calendar.at(at.wallMs).endMs - at.wallMs) : Infinity
}

/** `p1` of the scripts. */
function paramOf(rule: Rule, at: Moment): number {
  const { span } = rule
  if (span.kind !== 'period') return lifeOf(rule)
  return span.calendar.at(at.wallMs).endMs - at.wallMs + afterPeriodMs
}

function lifeOf({ span }: Rule): number {
  if (span.kind === 'sliding') return span.windowMs / 64
  if (span.kind === 'rate') return span.eachMs
  // At settling, a period's key has its life already: this only keeps one that came back late from staying for ever.
  return span.kind === 'period' ? 400 * 86_400_000 : 0
}
