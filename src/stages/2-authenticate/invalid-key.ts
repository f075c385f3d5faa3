// The one answer to a credential that does not count. Its text is the same whatever the reason: what was wrong is told
// to the operator's log, never to a caller who may be guessing.

import { Failure } from '../../failure.ts'

/** @param detail for the log only: why, without any part of the credential */
export function invalidKey(detail?: string): Failure {
  const message = 'No valid API key was given. Send yours, and no other: Authorization: Bearer <key>.'
  return new Failure('invalid_api_key', message, detail === undefined ? {} : { detail })
}

/** For what cannot be a credential at all, whoever sends it. */
export const noKey = invalidKey('no credential')
export const twoKeys = invalidKey('more than one credential')
export const malformedKey = invalidKey('malformed credential')

const shapeless: ReadonlySet<unknown> = new Set([noKey, twoKeys, malformedKey])

const unjudged = new WeakSet<Failure>()

/** For a credential that cannot be judged for want of something of ours, such as its issuer's keys. */
export function unjudgedKey(detail: string): Failure {
  const failure = invalidKey(detail)
  unjudged.add(failure)
  return failure
}

/** Whether a failure was a try at a credential: what has no shape of one cannot hit one. */
export function isGuess(cause: unknown): cause is Failure {
  if (!(cause instanceof Failure) || cause.code !== 'invalid_api_key') return false
  return !shapeless.has(cause) && !unjudged.has(cause)
}
