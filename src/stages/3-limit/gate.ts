// Where the charges of a request are reserved: in Redis where gateways share one and it answers; without it here, or, as
// configured, nowhere. Whoever was asked, what passes is counted here too.

import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { limitLines, type Standing } from './answers.ts'
import type { Costs } from './costs.ts'
import type { LimitMemory } from './memory.ts'
import type { Charge } from './plan.ts'
import { countAll, firstRefusal, refusalOf, Reservation, standingsOf } from './reservation.ts'
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

  reserve(x: Exchange, charges: readonly Charge[]): void | Promise<void> {
    const { shared } = this.more
    const at = this.parts.memory.now()
    if (shared === null) return this.#here(x, charges, at)
    if (!shared.up) return this.#withoutRedis(x, charges)
    return shared.reserve(x, charges, at).then(
      (standings) => this.#counted(x, charges, { standings, shared }),
      (cause: unknown) => {
        if (cause instanceof Failure) throw cause
        this.#withoutRedis(x, charges)
      },
    )
  }

  #withoutRedis(x: Exchange, charges: readonly Charge[]): void {
    if (this.parts.whenRedisDown === 'local') return this.#here(x, charges, this.parts.memory.now())
    throw new Failure('overloaded', 'Limits cannot be checked now. Try again later.', {
      detail: 'Redis is away',
    })
  }

  #here(x: Exchange, charges: readonly Charge[], at: Moment): void {
    const refused = firstRefusal(charges, at)
    if (refused !== null) {
      x.limitLines = limitLines(standingsOf(charges, at))
      throw refusalOf(refused)
    }
    this.#counted(x, charges, null)
  }

  #counted(
    x: Exchange,
    charges: readonly Charge[],
    told: { readonly standings: readonly Standing[]; readonly shared: SharedLimits } | null,
  ): void {
    const at = this.parts.memory.now()
    countAll(charges, at)
    const standings = told?.standings ?? standingsOf(charges, at)
    const also = told === null ? null : (actual: readonly number[]) => told.shared.settle(x.id, actual)
    const reservation = new Reservation(charges, this.parts, also)
    for (const [index, charge] of charges.entries()) {
      const { tracked, account } = charge
      if (!tracked.watched) continue
      this.more.warnings.look(
        charge,
        told?.standings[index]!.used ?? account.counter.used(tracked.rule, at),
        at,
      )
    }
    x.limitLines = limitLines(standings)
    // The client left while Redis was asked: its exchange is over.
    if (x.limitsSettled) reservation.settle(x)
    else x.holds.push(reservation)
  }
}
