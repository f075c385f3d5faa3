// What gateways share of their upstreams, where there is something to share it over: breakers that open and close, and
// quotas that are spent. All of it is a hint: a gateway that hears nothing finds out by itself. Waits are told as durations,
// since each machine has a clock of its own. Where a breaker's wait is over one gateway alone probes: whoever gets the
// lease, which ends by itself should that gateway die.

import type { Clock } from '../../base/clock.ts'

/** An account, or one model there, that is not to be asked for a while. */
export interface ShutOff {
  readonly what: 'breaker' | 'quota'
  readonly account: string
  /** '' with a quota, which is that of all models, and for requests that name none. */
  readonly model: string
  /** 0 = it may be asked again. */
  readonly forMs: number
  /** How many cooldowns it waits when it opens next. */
  readonly times: number
}

export interface BreakerShare {
  /** Whether others can be reached now; where not, each gateway is on its own. */
  readonly up: boolean
  /** Never throws, never waits. */
  tell(change: ShutOff): void
  /** Call once. */
  listen(heard: (change: ShutOff) => void): void
  /** What is shut off now is heard anew, soon. */
  learn(): void
  /** Whether the probe is this gateway's alone, for `ms`. True where nobody can be asked. Never rejects. */
  claim(account: string, model: string, ms: number): Promise<boolean>
}

/** What is shared, and the clock to reckon with. */
export interface Sharing {
  readonly share: BreakerShare
  readonly clock: Clock
}

/** What is heard from others shuts off nothing for longer; it is heard again while it holds. */
export const heardMsMax = 3_600_000
/** A gateway that dies amid its probe keeps the others from probing for so long. */
export const leaseMs = 15_000
