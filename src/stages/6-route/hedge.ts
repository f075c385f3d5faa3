// Hedging: where the first upstream is slow, a second one is asked too, and the answer that comes first is taken. The other
// call is given up and stands in the ledger all the same, since it may be charged.

import { within } from '../../base/within.ts'
import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { memberPlaces } from '../../openai/member-place.ts'
import type { Choice, Target } from './choice.ts'
import { discard, type Tried } from './outcome.ts'

/** What hedging needs of a trial. */
interface Trying<T extends Target> {
  readonly x: Exchange
  readonly nowMs: number
  one(choice: Choice<T>): Promise<Tried<T>>
  second(): Choice<T> | null
}

const shortBytesMax = 64 * 1024
const letterT = 116

/** Whether a request is short and asks for no stream: only then a second call is worth its price. */
export function isShort({ bodyBytes, request }: Exchange): boolean {
  if (bodyBytes === null) return request.body === null
  if (bodyBytes.length > shortBytesMax) return false
  return memberPlaces(bodyBytes, 'stream').every(({ start }) => bodyBytes[start] !== letterT)
}

/** The attempt that came to an answer first; where both failed, the later one. */
export async function hedged<T extends Target>(
  trying: Trying<T>,
  choice: Choice<T>,
  afterMs: number,
): Promise<Tried<T>> {
  const { x } = trying
  const first = trying.one(choice)
  const early = await within(first, afterMs, null)
  if (early !== null || x.gone) return early ?? first
  const other = trying.second()
  if (other === null) return first
  const asked = x.tried.length
  const second = trying.one(other)
  const calls = x.tried.slice(asked - 1)
  x.onGone = () => calls.forEach(({ call }) => call?.abort())
  const winner = await Promise.race([first, second])
  const loser = winner.choice === choice ? second : first
  if (winner.failed !== null) {
    const last = await loser
    letGo(winner, trying.nowMs)
    return last
  }
  const attempt = calls.find((each) => each !== winner.attempt)
  void loser.then(
    (late) => letGo(late, trying.nowMs),
    () => {},
  )
  if (attempt !== undefined) {
    // Before it is cut: what the cut itself is called says nothing of why.
    attempt.failure = new Failure('hedge_lost', 'Another upstream answered first.')
    attempt.call?.abort()
  }
  return winner
}

function letGo<T extends Target>(late: Tried<T>, nowMs: number): void {
  late.choice.end(late.attempt, 'nothing')
  discard(late, nowMs)
}
