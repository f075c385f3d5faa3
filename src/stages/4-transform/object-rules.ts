// What the parts of the rule on stored objects share.

import { Failure } from '../../failure.ts'
import type { Objects } from '../../objects/objects.ts'
import type { OwnerKind } from '../../objects/owner.ts'
import type { Endpoint } from '../../openai/endpoints.ts'

/** What the rule goes by. */
export interface ObjectRules {
  readonly objects: Objects
  readonly owner: OwnerKind
  /** What becomes of ids in nobody's name. */
  readonly unknown: 'deny' | 'allow'
  /** What becomes of WebSockets that can name objects. */
  readonly sockets: 'refuse' | 'allow'
  /** Whether there can be more than one owner. */
  several(): boolean
}

/** A reply's place: the row of its path, and the rules. */
export interface ReplyPlace {
  readonly rules: ObjectRules
  readonly endpoint: Endpoint
}

/** A store that does not answer is no permission. */
export function unreachable(cause: unknown): Failure {
  return new Failure('overloaded', 'It cannot be looked up whose the object is. Try again.', {
    detail: `objects: ${cause instanceof Error ? cause.message : String(cause)}`,
  })
}
