// Costs that are not those of the call under way: the responses of a socket's session, the lines of a batch's output, and
// objects that were made before and whose cost shows when they are read (background responses, runs, training jobs, videos).
// Each has a row of its own. Where the same object can be read twice its row's id is made from the object's, so that
// the ledger, which keeps one row for each id, counts it once.

import type { Exchange } from '../../exchange.ts'
import type { AnswerFacts } from '../../openai/usage.ts'

/** One such cost. */
export interface MeteredItem {
  /** `response-<id>`, `run-<id>`, `job-<id>`, `video-<id>`, `batch-<file>-<line>`; of a socket's response the attempt's id and a number. */
  readonly rowId: string
  readonly facts: AnswerFacts
  /** Made by a batch, which costs half. */
  readonly batch: boolean
  /** Which way its figures were estimated; null or absent = they are the provider's own. */
  readonly estimator?: string | null
}

/** Takes an item as soon as it is known. The same may come again. Must not throw. */
export type TakeItem = (x: Exchange, item: MeteredItem) => void

const idLengthMax = 128

/** An object's id as part of a row's; null where it is none that a provider would give. */
export function rowIdOf(kind: string, ...parts: readonly unknown[]): string | null {
  for (const part of parts)
    if (typeof part !== 'string' || part.length > idLengthMax || !/^[\w.:-]+$/.test(part)) return null
  return `${kind}-${parts.join('-')}`
}
