// What a trial is given: how to ask, how to choose, and what the process keeps.

import type { Exchange, Reply } from '../../exchange.ts'
import type { Sweeper } from '../../net/wire/sweeper.ts'
import type { Choice, Target } from './choice.ts'
import type { PlanParts, Route, Ways } from './plan.ts'

/** Asks one upstream once. @throws Failure */
export type Send<T extends Target> = (x: Exchange, target: T) => Promise<Reply>

/** What every trial is given. */
export interface TrialParts<T extends Target> extends PlanParts {
  readonly sweeper: Sweeper
  random(): number
  readonly quota?: AccountQuota
  /** Longest wait for the first content of a stream; a day or more = none. */
  firstTokenMs(target: T): number
  /** A stream has announced an object that its account now holds. */
  made(id: string, target: T): void
  /** This answer goes to the client. */
  accepted(x: Exchange, reply: Reply): void
  /** Which of the ways of one rank; -1 = none is usable. */
  pick(route: Route<T>, rank: Ways<T>['ranks'][number], ask: Asking): number
}

/** See `Ask` in router.ts. */
export interface Asking {
  readonly nowMs: number
  random(): number
  prefix(): number
  usable(choice: Choice): boolean
  room(choice: Choice): number
}

/** What is left of the limits that accounts have in the configuration, or have told; see stage 3. */
export interface AccountQuota {
  /** In requests; Infinity = no limit. */
  room(upstream: string): number
  /** How long until it takes a request for a model, in ms; 0 = now. */
  waitMs(upstream: string, x: Exchange, model: string | null): number
}
