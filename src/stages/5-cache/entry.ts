// A stored answer: what the upstream said, as it said it, and what is needed to give it again. One entry serves a client
// that wants JSON and one that wants a stream; the other form is made when it is first asked for (render.ts).

import type { CachedFacts } from '../../exchange.ts'
import type { Rendered } from './render.ts'

/** How the bytes of an answer are told: as JSON, as server-sent events, or as what they are. */
export type Form = 'json' | 'events' | 'bytes'

/** What is known of an answer besides its bytes. */
export interface EntryFacts extends CachedFacts {
  readonly status: number
  readonly contentType: string
  /** Header lines to give it with, each ended by CRLF. */
  readonly headerLines: string
  readonly form: Form
  readonly endpoint: string
  readonly model: string | null
  readonly team: string | null
  readonly tags: readonly string[]
  /** Wall clock. */
  readonly createdAtMs: number
  readonly freshUntilMs: number
  /** Until when it may still serve as stale; from then on it is gone. */
  readonly keptUntilMs: number
  /** When the upstream was asked, by wall clock: a purge later than that is for this answer too. */
  readonly askedAtMs: number
  /** Lengths and pauses of the pieces it came in: bytes, then milliseconds before them; null = not kept. */
  readonly pace: readonly number[] | null
  /** Of one item of a list: the members of the list's answer besides its items, as JSON. */
  readonly envelope?: string
}

/** A stored answer. */
export class Entry {
  /** Forms made so far, by the reader's wish; null = cannot be told so. */
  rendered: Map<string, Rendered | null> | null = null
  /** Bytes that it holds in memory. */
  heldBytes: number
  /** Monotonic: when the stores below were told last that it is in use. */
  toldAtMs = 0

  constructor(
    readonly key: string,
    readonly facts: EntryFacts,
    readonly body: Uint8Array,
  ) {
    this.heldBytes = body.length + overheadBytes
  }
}

/** What an entry costs in memory besides its bytes, about. */
const overheadBytes = 1024
