// The opening of a stream: what comes before the first piece of content. An upstream that answers 200 has promised nothing
// yet: it may say "created" and then fail, and a client that got even an empty delta cannot be given another's answer. So
// opening events are held back, within bounds of bytes and time, until content comes. What counts as content is whatever is
// not known to be an opening: when in doubt, it passes.

import { kindOfError, type RefusalKind } from './error-facts.ts'

/** What one event is. `error`: the upstream failed; `broken`: no JSON. */
export interface EventKind {
  readonly is: 'opening' | 'content' | 'error' | 'broken'
  /** Of the object that it announces, such as `resp_…`; null = none. */
  readonly id: string | null
  readonly refusal: RefusalKind
}

const content: EventKind = { is: 'content', id: null, refusal: null }
const broken: EventKind = { is: 'broken', id: null, refusal: null }
const openings = new Set([
  'response.created',
  'response.in_progress',
  'response.queued',
  'ping',
  'message_start',
])

/** Reads the data of one event. `event`: its name, '' = none. */
export function eventKind(data: string, event: string): EventKind {
  if (data.startsWith('[DONE]')) return content
  let value: unknown
  try {
    value = JSON.parse(data)
  } catch {
    return broken
  }
  if (typeof value !== 'object' || value === null) return content
  const { error, type, choices, response } = value as Record<string, unknown>
  if (event === 'error' || type === 'error' || (typeof error === 'object' && error !== null))
    return { is: 'error', id: null, refusal: kindOfError(error ?? value) }
  if (type === 'response.failed')
    return { is: 'error', id: null, refusal: kindOfError((response as { error?: unknown } | null)?.error) }
  if (typeof type === 'string') {
    if (!openings.has(type)) return content
    return { is: 'opening', id: idOf(response), refusal: null }
  }
  if (!Array.isArray(choices)) return content
  const empty = (value as { usage?: unknown }).usage == null && choices.every(isOpeningChoice)
  return empty ? { is: 'opening', id: idOf(value), refusal: null } : content
}

function idOf(value: unknown): string | null {
  const id = (value as { id?: unknown } | null | undefined)?.id
  return typeof id === 'string' && id.length <= 256 ? id : null
}

/** A choice that says nothing yet: a role, and texts that are empty. */
function isOpeningChoice(choice: unknown): boolean {
  const { delta, text, finish_reason: reason } = (choice ?? {}) as Record<string, unknown>
  if (reason !== null && reason !== undefined) return false
  if (typeof text === 'string') return text === ''
  if (typeof delta !== 'object' || delta === null) return delta === undefined || delta === null
  return Object.entries(delta).every(
    ([name, value]) =>
      name === 'role' || value === null || value === '' || (Array.isArray(value) && value.length === 0),
  )
}
