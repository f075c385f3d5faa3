// The contract of stage 6: what it knows of an upstream, and how it asks one.

import type { Exchange, Reply } from '../../exchange.ts'

/** An upstream as a route sees it: what there is to choose by. */
export interface Target {
  readonly name: string
  /** Environment whose callers alone may be sent there; null = all. */
  readonly env: string | null
}

/** Asks one upstream once. @throws Failure */
export type Send<T extends Target> = (x: Exchange, target: T) => Promise<Reply>

/** One kind of choice among upstreams. */
export interface Picker {
  pick<T extends Target>(targets: readonly T[]): T
}
