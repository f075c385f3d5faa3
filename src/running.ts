// The exchanges under way: how many there are, and the way to cut those of one key. A key that is revoked may have answers
// running that last for minutes; whether they end with it is the operator's choice (`access.onRevoke`).

import type { Exchange } from './exchange.ts'
import { Failure } from './failure.ts'

/** What can be cut: the connection of a request. */
interface Cuttable {
  destroy(): void
}

export class Running {
  readonly #requests = new Map<Exchange, Cuttable>()

  get size(): number {
    return this.#requests.size
  }

  began(x: Exchange, request: Cuttable): void {
    this.#requests.set(x, request)
  }

  ended(x: Exchange): void {
    this.#requests.delete(x)
  }

  /** Cuts what runs with a key of the store: the client sees an answer that is not complete. Gives how many. */
  cut(keyId: string): number {
    const found = [...this.#requests].filter(([x]) => x.principal.keyId === keyId)
    for (const [x, request] of found) {
      x.failure = new Failure('invalid_api_key', 'The API key was revoked.', {
        detail: 'cut: the key was revoked',
      })
      if (x.status === 0) x.status = x.failure.status
      request.destroy()
    }
    return found.length
  }
}
