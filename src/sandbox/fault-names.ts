// The short names of faults, as they stand in a model's name. One table: what parses a name also documents it, so the list that
// `headgate sandbox` prints cannot fall behind.

import type { Fault } from './faults.ts'

interface Entry {
  readonly name: string
  readonly pattern: RegExp
  readonly does: string
  make(numbers: readonly number[]): Fault
}

/** `<n>` and `<ms>` in a name stand for whole numbers. */
function entry(name: string, does: string, make: Entry['make']): Entry {
  const pattern = name.replace(/\[(-[^\]]*)\]/g, '(?:$1)?').replace(/<\w+>/g, '(\\d{1,9})')
  return { name, does, make, pattern: new RegExp(`^${pattern}$`) }
}

const entries: readonly Entry[] = [
  entry(
    'fault-<status>',
    "answers with the status in OpenAI's words; 401 and 403 show a masked key, 3xx carry a Location",
    ([status]) =>
      status! >= 300 && status! < 400
        ? { kind: 'status', status: status!, location: 'https://elsewhere.example/v1/models' }
        : { kind: 'status', status: status! },
  ),
  entry('fault-<status>-retry-after-<s>', 'the same with Retry-After', ([status, seconds]) => ({
    kind: 'status',
    status: status!,
    retryAfterS: seconds!,
  })),
  entry('fault-<status>-retry-after-ms-<ms>', 'the same with retry-after-ms', ([status, ms]) => ({
    kind: 'status',
    status: status!,
    retryAfterMs: ms!,
  })),
  entry('fault-context-length', '400 context_length_exceeded', () => ({
    kind: 'refuse',
    reason: 'context-length',
  })),
  entry('fault-content-filter', '400 content_filter', () => ({ kind: 'refuse', reason: 'content-filter' })),
  entry('fault-finish-content-filter', '200 with finish_reason content_filter', () => ({
    kind: 'finish-content-filter',
  })),
  entry('fault-insufficient-quota', '429 insufficient_quota', () => ({
    kind: 'refuse',
    reason: 'insufficient-quota',
  })),
  entry('fault-rate-limit-tokens', '429 rate_limit_exceeded for tokens', () => ({
    kind: 'refuse',
    reason: 'rate-limit-tokens',
  })),
  entry('fault-reset', 'RST before any byte', () => ({ kind: 'reset' })),
  entry('fault-close', 'FIN before any byte', () => ({ kind: 'close' })),
  entry('fault-silence', 'no byte ever', () => ({ kind: 'silence' })),
  entry('fault-slow-headers-<ms>', 'the whole answer late', ([ms]) => ({ kind: 'slow-headers', ms: ms! })),
  entry('fault-slow-first-token-<ms>', 'head at once, first body byte late', ([ms]) => ({
    kind: 'slow-first-token',
    ms: ms!,
  })),
  entry('fault-slow-frames-<ms>', 'a pause before every frame', ([ms]) => ({ kind: 'slow-frames', ms: ms! })),
  entry('fault-drip[-<ms>]', 'body bytes one at a time', ([ms]) => ({ kind: 'drip', ms: ms ?? 0 })),
  entry('fault-cut[-<n>]', 'closed after n frames, or half of a JSON body', ([n]) => ({
    kind: 'cut',
    frames: n ?? 1,
    how: 'close',
  })),
  entry('fault-cut-reset[-<n>]', 'the same with RST', ([n]) => ({
    kind: 'cut',
    frames: n ?? 1,
    how: 'reset',
  })),
  entry('fault-cut-clean[-<n>]', 'a proper end of body after n frames, no [DONE]', ([n]) => ({
    kind: 'cut',
    frames: n ?? 1,
    how: 'clean',
  })),
  entry('fault-stall[-<n>]', 'silent for ever after n frames', ([n]) => ({ kind: 'stall', frames: n ?? 1 })),
  entry('fault-stall-<n>-<ms>', 'silent for a while after n frames', ([n, ms]) => ({
    kind: 'stall',
    frames: n!,
    ms: ms!,
  })),
  entry('fault-malformed-chunk[-<n>]', 'broken JSON in frame n, or in the body', ([n]) => ({
    kind: 'malformed-chunk',
    frames: n ?? 1,
  })),
  entry('fault-malformed-http', 'bytes that are not HTTP for a head', () => ({
    kind: 'malformed-http',
    where: 'head',
  })),
  entry('fault-malformed-http-body', 'bytes that are no chunk size in mid-body', () => ({
    kind: 'malformed-http',
    where: 'body',
  })),
  entry('fault-error-frame[-<n>]', 'an error event after n frames of a 200 stream', ([n]) => ({
    kind: 'error-frame',
    frames: n ?? 1,
  })),
  entry('fault-no-usage', 'an answer without usage', () => ({ kind: 'no-usage' })),
  entry('fault-usage-zero', 'an answer whose usage is all zero', () => ({ kind: 'usage-zero' })),
  entry('fault-huge-header[-<bytes>]', 'one header of so many bytes', ([bytes]) => ({
    kind: 'huge-header',
    bytes: Math.min(bytes ?? 200_000, 50_000_000),
  })),
  entry('fault-informational', 'a 103 before the answer', () => ({ kind: 'informational' })),
  entry('fault-close-delimited', 'a body that ends with the connection', () => ({ kind: 'close-delimited' })),
  entry('fault-trailers', 'a chunked body with trailers', () => ({ kind: 'trailers' })),
  entry('fault-gzip', 'a gzip-coded body', () => ({ kind: 'gzip' })),
  entry(
    'fault-early-<status>',
    'answers before the body was read, then closes (rules by path only)',
    ([status]) => ({ kind: 'early', status: status! }),
  ),
  entry('fault-deaf', 'never reads the body (rules by path only)', () => ({ kind: 'deaf' })),
]

/** Every name with what it does, for people. */
export const faultNames: readonly { readonly name: string; readonly does: string }[] = entries

/** The fault a name stands for, or null. */
export function faultFromName(name: string): Fault | null {
  for (const { pattern, make } of entries) {
    const match = pattern.exec(name)
    if (match === null) continue
    const numbers = match
      .slice(1)
      .filter((text) => text !== undefined)
      .map(Number)
    const fault = make(numbers)
    if (fault.kind === 'status' && (fault.status < 200 || fault.status > 599)) return null
    return fault
  }
  return null
}

/** A model's name taken apart: the model itself (empty where only faults were named), its faults, the names that are unknown. */
export function splitModel(name: string): { base: string; faults: Fault[]; unknown: string[] } {
  const at = /(?:^|[-+:])(?=fault-)/.exec(name)
  if (at === null) return { base: name, faults: [], unknown: [] }
  const faults: Fault[] = []
  const unknown: string[] = []
  for (const part of name.slice(at.index + at[0].length).split('+')) {
    const fault = faultFromName(part)
    if (fault === null) unknown.push(part)
    else faults.push(fault)
  }
  return { base: name.slice(0, at.index), faults, unknown }
}
