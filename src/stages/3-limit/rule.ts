// What a limit is, once the configuration is read: a quantity, how much of it may pass, over which time, for whom, and
// which requests it counts. Counters hold only what differs from one principal to the next; everything else is here, once.

import { senderOf } from '../../base/address.ts'
import { periodAt, type CalendarUnit, type Period } from '../../base/calendar.ts'
import type { Exchange, Principal } from '../../exchange.ts'

/** What is limited. `cost` counts nano-dollars. */
export const quantities = ['requests', 'tokens', 'inputTokens', 'outputTokens', 'concurrent', 'cost'] as const
export type Quantity = (typeof quantities)[number]

/** What principals are told apart by. */
export const dimensions = [
  'key',
  'user',
  'team',
  'app',
  'address',
  'upstream',
  'model',
  'endpoint',
  'env',
] as const
export type Dimension = (typeof dimensions)[number]

/** The time a limit is for. */
export type Span =
  /** Any window of this length. */
  | { readonly kind: 'sliding'; readonly windowMs: number }
  /** A steady rate, ahead of which `burst` requests may be. */
  | { readonly kind: 'rate'; readonly eachMs: number; readonly burst: number }
  /** A period of the calendar. */
  | { readonly kind: 'period'; readonly calendar: Calendar }
  /** All time. */
  | { readonly kind: 'total' }
  /** At the same time. */
  | { readonly kind: 'slots' }

/** Which requests a limit counts: globs, `*` stands for any characters. Absent = all. */
export interface Match {
  readonly models?: readonly string[] | undefined
  readonly endpoints?: readonly string[] | undefined
  readonly teams?: readonly string[] | undefined
  readonly keys?: readonly string[] | undefined
  readonly envs?: readonly string[] | undefined
  readonly users?: readonly string[] | undefined
  readonly apps?: readonly string[] | undefined
  readonly upstreams?: readonly string[] | undefined
}

/** One limit. Immutable. */
export interface Rule {
  readonly name: string
  readonly quantity: Quantity
  /** As much may pass; for a rate: its burst and one. */
  readonly limit: number
  readonly span: Span
  /** Empty = everybody together. */
  readonly per: readonly Dimension[]
  readonly match: Match
  /** False: it only warns. */
  readonly enforce: boolean
  /** Shares of the limit, from 0 to 1, rising, at which it warns. */
  readonly warnAt: readonly number[]
  /** The limit in words, for messages: `100 requests per 1m`. */
  readonly words: string
}

/** The period a moment lies in, kept until another is asked for. */
export class Calendar {
  #period: Period = { startMs: 0, endMs: 0 }

  constructor(
    readonly unit: CalendarUnit,
    readonly zone: string,
  ) {}

  at(wallMs: number): Period {
    if (wallMs < this.#period.startMs || wallMs >= this.#period.endMs)
      this.#period = periodAt(this.unit, this.zone, wallMs)
    return this.#period
  }
}

/** The time of one request, read once: monotonic, and steady wall time for periods. */
export interface Moment {
  readonly nowMs: number
  readonly wallMs: number
}

/** What a rule counts by, as text: the same text = the same counters, also after a reload that changed the amount. */
export function definitionOf(rule: Rule): string {
  const { span } = rule
  const time =
    span.kind === 'sliding'
      ? `${span.windowMs}ms`
      : span.kind === 'rate'
        ? `rate ${span.eachMs}`
        : span.kind === 'period'
          ? `${span.calendar.unit} ${span.calendar.zone}`
          : span.kind
  return JSON.stringify([rule.name, rule.quantity, time, rule.per, matchOf(rule)])
}

/** Whom and which requests a rule counts, as text: rules with the same text count the same subjects. */
export function subjectsOf(rule: Rule): string {
  return JSON.stringify([rule.per, matchOf(rule)])
}

function matchOf({ match }: Rule): unknown[] {
  return Object.entries(match).filter(([, globs]) => globs !== undefined)
}

/** What of a request limits are matched and told apart by. `upstream`: the one asked; null = before one is chosen. */
export interface Subject {
  readonly x: Exchange
  readonly model: string | null
  readonly upstream: string | null
}

/** Whether a rule counts a request. */
export function matches(match: Match, { x, model, upstream }: Subject): boolean {
  const { principal, endpoint } = x
  return (
    fits(match.endpoints, endpoint!.operation) &&
    fits(match.teams, principal.team) &&
    fits(match.envs, principal.env) &&
    fits(match.users, principal.user) &&
    fits(match.apps, principal.app) &&
    (fits(match.keys, principal.key) || (match.keys !== undefined && fits(match.keys, principal.keyId))) &&
    (match.upstreams === undefined || fits(match.upstreams, upstream)) &&
    fitsModel(match.models, x, model)
  )
}

/** A model that does not show counts, wherever one is run: a limit is not left by hiding what it is for. */
function fitsModel(globs: readonly string[] | undefined, x: Exchange, model: string | null): boolean {
  if (globs === undefined) return true
  if (model !== null) return fits(globs, model)
  return x.endpoint!.model !== 'none'
}

function fits(globs: readonly string[] | undefined, text: string | null): boolean {
  if (globs === undefined) return true
  if (text === null) return false
  for (const glob of globs) if (matchesGlob(glob, text)) return true
  return false
}

/** `*` stands for any characters. */
export function matchesGlob(glob: string, text: string): boolean {
  const star = glob.indexOf('*')
  if (star < 0) return glob === text
  if (star === glob.length - 1) return text.startsWith(glob.slice(0, -1))
  const parts = glob.split('*')
  const last = parts.at(-1)!
  if (!text.startsWith(parts[0]!) || text.length < parts[0]!.length + last.length || !text.endsWith(last))
    return false
  let at = parts[0]!.length
  const end = text.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

/** A model's name this long, or with control characters, is no model's name; it must not become an account of its own. */
const oddModel = /^.{129,}$|[\u0000-\u001f]/

/** Whose account: the values of the rule's dimensions, with NUL between them; '' stands for none. */
export function ownerOf({ per }: Rule, subject: Subject): string {
  if (per.length === 1) return valueOf(per[0]!, subject)
  if (per.length === 0) return ''
  let owner = valueOf(per[0]!, subject)
  for (let index = 1; index < per.length; index++) owner += `\u0000${valueOf(per[index]!, subject)}`
  return owner
}

/** What the account of a key is named by. */
export function keyOf({ keyId, key }: Principal): string {
  return keyId ?? key ?? ''
}

function valueOf(dimension: Dimension, { x, model, upstream }: Subject): string {
  const { principal } = x
  switch (dimension) {
    case 'key':
      return keyOf(principal)
    case 'user':
      return principal.user ?? ''
    case 'team':
      return principal.team ?? ''
    case 'app':
      return principal.app ?? ''
    case 'env':
      return principal.env ?? ''
    case 'endpoint':
      return x.endpoint!.operation
    case 'upstream':
      return upstream ?? ''
    case 'model':
      return model === null || oddModel.test(model) ? '' : model
    case 'address':
      return x.clientAddress === null ? '' : senderOf(x.clientAddress)
  }
}
