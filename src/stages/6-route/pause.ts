// Waiting amid an exchange: never longer than the client does.

import type { Exchange } from '../../exchange.ts'

/** Resolves after a while, or when the client leaves. */
export function asleep(x: Exchange, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    x.onGone = () => {
      clearTimeout(timer)
      resolve()
    }
    if (x.gone) x.onGone()
  })
}

/** The value that `make` gives, made when it is first asked for. */
export function once<V>(make: () => V): () => V {
  let value: V | undefined
  return () => (value ??= make())
}
