// What can go wrong on demand. A fault is a plain value with a `kind`; it has a short name (`fault-cut-3`) that may stand in a
// model's name, alone or behind a real model and joined by `+` (`gpt-4o+fault-slow-first-token-500+fault-cut-3`), so that any
// client can ask for it without a control call. Rules added through the control object match on method, path and model.
// The names here only say what is wanted; `script.ts` plays the ones on the wire, `refusals.ts` writes the ones
// that answer, `fault-registry.ts` keeps the rules.

/** A fault, as a value. Counts of frames are SSE frames; for a body that is not SSE, `cut` and `stall` come after half of it. */
export type Fault =
  | {
      kind: 'status'
      status: number
      retryAfterS?: number
      retryAfterMs?: number
      location?: string
      body?: string
    }
  | {
      kind: 'refuse'
      reason: 'context-length' | 'content-filter' | 'insufficient-quota' | 'rate-limit-tokens'
    }
  /** RST before any byte of an answer. */
  | { kind: 'reset' }
  /** FIN before any byte of an answer. */
  | { kind: 'close' }
  /** No byte ever; the connection stays open until the client leaves. */
  | { kind: 'silence' }
  /** The whole answer comes late. */
  | { kind: 'slow-headers'; ms: number }
  /** The head comes at once, the first body byte late. */
  | { kind: 'slow-first-token'; ms: number }
  /** A pause before every frame. */
  | { kind: 'slow-frames'; ms: number }
  /** Body bytes one at a time, `ms` apart. */
  | { kind: 'drip'; ms: number }
  /** Ends after `frames`: the connection closed (FIN), reset (RST), or a proper end of body without `[DONE]`. */
  | { kind: 'cut'; frames: number; how: 'close' | 'reset' | 'clean' }
  /** Silent after `frames`; goes on after `ms` where given, else never. */
  | { kind: 'stall'; frames: number; ms?: number }
  /** One frame holds broken JSON. */
  | { kind: 'malformed-chunk'; frames: number }
  /** Bytes that are not HTTP: as the head, or as a chunk size in mid-body. */
  | { kind: 'malformed-http'; where: 'head' | 'body' }
  /** An error event in a 200 stream after `frames`, then the end. */
  | { kind: 'error-frame'; frames: number }
  | { kind: 'no-usage' }
  | { kind: 'usage-zero' }
  | { kind: 'huge-header'; bytes: number }
  /** A 103 before the answer. */
  | { kind: 'informational' }
  /** No length and no chunks: the body ends where the connection does. */
  | { kind: 'close-delimited' }
  | { kind: 'trailers' }
  | { kind: 'gzip' }
  /** Answers with this status before the body was read, then closes. Matches by path and method only. */
  | { kind: 'early'; status: number }
  /** Never reads the body: a client that streams one is pushed back. Matches by path and method only. */
  | { kind: 'deaf' }
  /** `finish_reason: "content_filter"` in a 200. */
  | { kind: 'finish-content-filter' }

/** Which requests a rule is for; what is left out matches anything. `path` and `model` may end in `*`. */
export interface FaultMatch {
  readonly method?: string
  readonly path?: string
  readonly model?: string
}

/** A rule: the fault by value or by name, how often it strikes. */
export interface FaultRule {
  readonly match: FaultMatch
  readonly fault: Fault | string
  /** Strikes this many times, then is gone; absent = until removed. */
  readonly times?: number
  /** 0 to 1, drawn from the sandbox's seeded generator; absent = always. */
  readonly probability?: number
  /** Requests let through before the first strike; absent = 0. */
  readonly after?: number
}

/** How a recorded stream is played. */
export interface ReplayOptions {
  /** Byte offsets at which the stream is cut into writes, each flushed on its own; absent = one write for each piece given. */
  readonly splitAt?: readonly number[]
  /** Default 200. */
  readonly status?: number
  /** Default `text/event-stream; charset=utf-8`. */
  readonly contentType?: string
  /** Pause between writes; default 0, which still yields to the event loop. */
  readonly pauseMs?: number
}

/** The faults of a running sandbox. */
export interface FaultControl {
  /** Adds a rule and gives its id. @throws Error that lists the known names, where a fault's name is unknown */
  add(rule: FaultRule): string
  list(): readonly (FaultRule & { readonly id: string; readonly struck: number })[]
  /** False where there was no such rule. */
  remove(id: string): boolean
  clear(): void
  /** Registers bytes that are the whole answer to any call for the model `replay:<name>`; gives that model's name. */
  replay(name: string, bytes: Uint8Array | readonly Uint8Array[], options?: ReplayOptions): string
}
