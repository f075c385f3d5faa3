// Ends answers under way whose key or token has expired, where the operator wants that (`access.onExpire: abort`).

import type { Clock } from './base/clock.ts'
import type { Running } from './running.ts'

/** How late an answer may be cut. */
const everyMs = 500

export interface ExpiryWatchParts {
  readonly running: Running
  readonly clock: Clock
  readonly tell: (text: string) => void
}

export class ExpiryWatch {
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(private readonly parts: ExpiryWatchParts) {}

  /** Puts a policy in force. */
  follow(policy: 'finish' | 'abort'): void {
    if (policy === 'finish') return this.close()
    if (this.#timer !== null) return
    this.#timer = setInterval(() => this.look(), everyMs)
    this.#timer.unref()
  }

  /** Cuts what has expired by now. */
  look(): void {
    const { running, clock, tell } = this.parts
    const count = running.cutExpired(clock.wallMs())
    if (count > 0) tell(`${count} answers under way were cut: their key or token has expired`)
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }
}
