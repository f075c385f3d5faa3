// The kinds of value a setting can have, each with its check and its words for what is wrong. Text goes in, as YAML
// gives it; what comes out is what the code wants: milliseconds, bytes, an address, a Secret. No message repeats the
// value. Defaults are written as a user would write them, so that the reference page shows `10s` and not 10000.

import { z } from 'zod'
import { parseSpan } from '../base/allowance.ts'
import { byteSizePattern, formatByteSize, parseByteSize } from '../base/byte-size.ts'
import { durationPattern, formatDuration, parseDuration } from '../base/duration.ts'
import { parseCidr } from '../base/address.ts'
import { parseRate, ratePattern } from '../base/rate.ts'
import { Secret } from '../base/secret.ts'
import { parseListenAddress } from './listen-address.ts'

/** The error of a field that got another type: `is required` where nothing was given. */
export function expected(what: string): (issue: { input?: unknown }) => string {
  return (issue) => (issue.input === undefined ? 'is required' : `expected ${what}`)
}

/** Adds a finding with a suggestion from inside a transform. */
export function refuseValue(context: z.RefinementCtx, message: string, suggestion?: string): never {
  context.addIssue({ code: 'custom', message, params: { suggestion: suggestion ?? null } })
  return z.NEVER
}

interface Range {
  default: string
  min: string
  max: string
}

/** A duration such as `10s`; comes out as milliseconds. */
export function duration(range: Range) {
  const [min, max] = [parseDuration(range.min)!, parseDuration(range.max)!]
  const what = 'a duration with a unit, such as 250ms, 10s or 5m'
  return z
    .string({ error: expected(what) })
    .regex(durationPattern, `expected ${what}`)
    .transform((text, context) => {
      const ms = parseDuration(text)
      if (ms !== null && ms >= min && ms <= max) return ms
      return refuseValue(context, `must be between ${formatDuration(min)} and ${formatDuration(max)}`)
    })
    .prefault(range.default)
    .meta({ range: `${range.min} to ${range.max}` })
}

/** A size such as `32KB`; comes out as bytes. */
export function byteSize(range: Range) {
  const [min, max] = [parseByteSize(range.min)!, parseByteSize(range.max)!]
  const what = 'a size with a unit, such as 512B, 32KB or 1GB'
  return z
    .string({ error: expected(what) })
    .regex(byteSizePattern, `expected ${what}`)
    .transform((text, context) => {
      const bytes = parseByteSize(text)
      if (bytes !== null && bytes >= min && bytes <= max) return bytes
      return refuseValue(context, `must be between ${formatByteSize(min)} and ${formatByteSize(max)}`)
    })
    .prefault(range.default)
    .meta({ range: `${range.min} to ${range.max}` })
}

/** A whole number. */
export function count(range: { default: number; min: number; max: number }) {
  const between = `must be between ${range.min} and ${range.max}`
  return z
    .int({ error: expected('a whole number') })
    .min(range.min, between)
    .max(range.max, between)
    .prefault(range.default)
}

/** A whole number that may be left away. */
export function optionalCount(range: { min: number; max: number }) {
  const between = `must be between ${range.min} and ${range.max}`
  return z
    .int({ error: expected('a whole number') })
    .min(range.min, between)
    .max(range.max, between)
    .optional()
}

/** true or false; false where nothing is said. */
export function flag() {
  return z.boolean({ error: expected('true or false') }).prefault(false)
}

/** A list; one that is empty is an error with `whenEmpty`'s words, where given. */
export function list<Item extends z.ZodType>(item: Item, whenEmpty?: string) {
  const items = z.array(item, { error: expected('a list') })
  return whenEmpty === undefined ? items : items.min(1, whenEmpty)
}

/** The address of a listener, `host:port`. */
export function listenAddress() {
  return z.string({ error: expected('host:port, such as 127.0.0.1:8080') }).transform((text, context) => {
    const address = parseListenAddress(text)
    return 'wrong' in address ? refuseValue(context, address.wrong, address.hint) : address
  })
}

/** A name that appears in headers, logs and metrics: lower-case letters, digits and hyphens. */
export function slug() {
  return z
    .string({ error: expected('a name') })
    .regex(
      /^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/,
      'expected lower-case letters, digits and hyphens, 64 at most',
    )
}

/** Free text on one line, such as a team's name; 128 characters at most, without control characters. */
export function label() {
  const what = 'text of 1 to 128 characters without control characters'
  return z.string({ error: expected(what) }).regex(/^[^\u0000-\u001f\u007f]{1,128}$/, `expected ${what}`)
}

/** A path in the file system; relative ones count from the configuration file's folder. */
export function path() {
  return z
    .string({ error: expected('a path') })
    .min(1, 'is empty')
    .regex(/^[^\u0000]*$/, 'expected a path')
}

/** The hash of a client key, `sha256:` and 64 hex digits; comes out in lower case. */
export function keyHash() {
  const what = 'sha256: and 64 hex digits'
  const bare = (text: unknown): boolean => typeof text === 'string' && /^[0-9a-f]{64}$/i.test(text)
  return z
    .string({ error: expected(what) })
    .regex(/^sha256:[0-9a-fA-F]{64}$/, {
      error: ({ input }) => `expected ${what}${bare(input) ? ': put sha256: in front' : ''}`,
    })
    .transform((text) => text.toLowerCase())
}

/** A credential: printable ASCII without spaces, so that it can stand in a header. Comes out as a `Secret`. */
export function secret() {
  return z
    .string({ error: expected('text, in quotes where it looks like a number') })
    .min(1, { error: 'is empty', abort: true })
    .regex(/^[\x21-\x7e]+$/, 'holds a space, a line break or a character outside ASCII: not a usable key')
    .max(8192, 'is longer than 8192 characters: not a usable key')
    .transform((text) => new Secret(text))
}

/** An address or a CIDR block; comes out as a block in its canonical spelling. */
export function cidr() {
  const what = 'an address or CIDR block, such as 10.0.0.0/8 or 2001:db8::/32'
  return z.string({ error: expected(what) }).transform((text, context) => {
    const block = parseCidr(text)
    return 'wrong' in block ? refuseValue(context, block.wrong, block.hint) : block.text
  })
}

/** A rate such as `20/1m`. */
export function rate(range: { default: string }) {
  const what = 'a rate: a count and the time it is for, such as 20/1m'
  return z
    .string({ error: expected(what) })
    .regex(ratePattern, `expected ${what}`)
    .transform((text, context) => parseRate(text) ?? refuseValue(context, `expected ${what}`))
    .prefault(range.default)
}

/** A count and the time it is for, such as `100/1m` or `1000/month`. */
export function allowance(what: string) {
  const words = 'a count and the time it is for, such as 100/1m, 5000/1h or 1000000/month'
  return z
    .string({ error: expected(words) })
    .regex(/^[1-9]\d{0,14}\/\S+$/, `expected ${words}`)
    .transform((text, context) => {
      const hint = 'the time is 1s to 400d, such as 1m or 24h, or hour, day, week, month or year'
      return parseSpan(text, 'count') ?? refuseValue(context, `expected ${words}`, hint)
    })
    .optional()
    .describe(what)
}
