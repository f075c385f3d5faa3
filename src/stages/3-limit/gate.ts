// Where the charges of a request are reserved: in Redis where gateways share one and it answers; without it here, or, as
// configured, nowhere. Whoever was asked, what passes is counted here too, and what does not fit here is not asked for there:
// all gateways together have used no less than this one. So a Redis whose clock jumped, or that forgot, frees nothing here.

import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { limitLines, type Standing } from './answers.ts'
import type { Costs } from './costs.ts'
import type { LimitMemory } from './memory.ts'
import type { Charge } from './plan.ts'
import { countAll, firstRefusal, linesHere, refusalOf, Reservation } from './reservation.ts'
import type { Moment } from './rule.ts'
import type { SharedLimits } from './shared.ts'
import type { Warnings } from './warnings.ts'

interface GateParts {
  readonly memory: LimitMemory
  readonly costs: Costs
  readonly whenRedisDown: 'local' | 'refuse'
}

/** Where charges are reserved: in Redis where it is up, else here, or nowhere. */
export class Gate {
  constructor(
    private readonly parts: GateParts,
    private readonly more: { readonly shared: SharedLimits | null; readonly warnings: Warnings },
  ) {}

  /** `at`: when the charges were planned, which is now. */
  reserve(x: Exchange, charges: readonly Charge[], at: Moment): void | Promise<void> {
    const { shared } = this.more
    if (shared === null) return this.#here(x, charges, at)
    if (!shared.up) return this.#withoutRedis(x, charges, at)
    this.#refuseHere(x, charges, at)
    return shared.reserve(x, charges, at).then(
      (standings) => this.#countedThere(x, charges, { standings, shared }),
      (cause: unknown) => {
        if (cause instanceof Failure) throw cause
        this.#withoutRedis(x, charges, this.parts.memory.now())
      },
    )
  }

  #withoutRedis(x: Exchange, charges: readonly Charge[], at: Moment): void {
    if (this.parts.whenRedisDown === 'local') return this.#here(x, charges, at)
    throw new Failure('overloaded', 'Limits cannot be checked now. Try again later.', {
      detail: 'Redis is away',
    })
  }

  #here(x: Exchange, charges: readonly Charge[], at: Moment): void {
    this.#refuseHere(x, charges, at)
    countAll(charges, at)
    x.limitLines = linesHere(charges, at)
    for (const charge of charges)
      if (charge.tracked.watched) this.more.warnings.look(charge, charge.look(at).used(at), at)
    this.#hold(x, new Reservation(charges, this.parts))
  }

  #refuseHere(x: Exchange, charges: readonly Charge[], at: Moment): void {
    const refused = firstRefusal(charges, at)
    if (refused === null) return
    x.limitLines = linesHere(charges, at)
    throw refusalOf(refused)
  }

  /** Redis has counted: what is here follows. */
  #countedThere(
    x: Exchange,
    charges: readonly Charge[],
    { standings, shared }: { readonly standings: readonly Standing[]; readonly shared: SharedLimits },
  ): void {
    const at = this.parts.memory.now()
    countAll(charges, at)
    x.limitLines = limitLines(standings)
    for (const [index, charge] of charges.entries())
      if (charge.tracked.watched) this.more.warnings.look(charge, standings[index]!.used, at)
    this.#hold(x, new Reservation(charges, this.parts, (actual) => shared.settle(x.id, actual)))
  }

  /** Where the client left while Redis was asked, its exchange is over. */
  #hold(x: Exchange, reservation: Reservation): void {
    if (x.limitsSettled) reservation.settle(x)
    else x.holds.push(reservation)
  }
}
