// What clients are told of limits: OpenAI's own header fields, in OpenAI's own formats, and the refusal, which names the
// limit. Fields speak of the tightest limit: the one that leaves least.

import { Failure } from '../../failure.ts'
import type { Quantity, Rule } from './rule.ts'

/** Where one limit stands for one principal. */
export interface Standing {
  readonly rule: Rule
  readonly used: number
  /** Until it is as before its first use; Infinity = never. */
  readonly clearMs: number
}

/** Waits longer than this are not for an SDK to sit out: the official ones take no longer `retry-after`. */
const sdkWaitMaxMs = 60_000

/** Whether header fields speak of a quantity. */
export function isTold(quantity: Quantity): boolean {
  return groupOf(quantity) !== null
}

function groupOf(quantity: Quantity): 'requests' | 'tokens' | null {
  if (quantity === 'requests') return 'requests'
  return quantity === 'concurrent' || quantity === 'cost' ? null : 'tokens'
}

/** `x-ratelimit-…` lines, each ended by CRLF; '' where no limit is on requests or tokens. */
export function limitLines(standings: readonly Standing[]): string {
  let requests: Standing | null = null
  let tokens: Standing | null = null
  for (const standing of standings) {
    const { rule } = standing
    const group = rule.enforce ? groupOf(rule.quantity) : null
    if (group === 'requests' && (requests === null || remaining(standing) < remaining(requests)))
      requests = standing
    if (group === 'tokens' && (tokens === null || remaining(standing) < remaining(tokens))) tokens = standing
  }
  return (
    (requests === null ? '' : linesOf('requests', requests)) +
    (tokens === null ? '' : linesOf('tokens', tokens))
  )
}

/** The lines of one limit. */
export function linesOf(name: 'requests' | 'tokens', standing: Standing): string {
  return (
    `x-ratelimit-limit-${name}: ${standing.rule.limit}\r\n` +
    `x-ratelimit-remaining-${name}: ${remaining(standing)}\r\n` +
    `x-ratelimit-reset-${name}: ${resetText(standing.clearMs)}\r\n`
  )
}

function remaining({ rule, used }: Standing): number {
  return Math.max(0, rule.limit - used)
}

/** A time as OpenAI writes it: `120ms`, `1s`, `6m0s`, `24h0m0s`. */
export function resetText(ms: number): string {
  // A rounding error of the clock is no millisecond.
  const whole = Math.ceil(Math.min(ms, Number.MAX_SAFE_INTEGER) - 0.001)
  if (whole < 1000) return `${whole}ms`
  const minutes = Math.floor(whole / 60_000)
  const restMs = whole - minutes * 60_000
  // Without the printing of fractions, which is slow.
  const rest =
    restMs % 1000 === 0 ? `${restMs / 1000}s` : `${Math.floor(restMs / 1000)}.${fraction(restMs % 1000)}s`
  if (minutes === 0) return rest
  return minutes < 60 ? `${minutes}m${rest}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${rest}`
}

/** Thousandths behind a point: `5`, `25`, `125`. */
function fraction(ms: number): string {
  return String(ms + 1000)
    .slice(1)
    .replace(/0+$/, '')
}

/** What a limit refused. */
export interface Refused {
  readonly rule: Rule
  /** For people; '' = a limit on all. */
  readonly owner: string
  /** Until this request fits; Infinity = it never will. */
  readonly waitMs: number
  /** What was used or reserved, without this request. */
  readonly used: number
  /** What this request may use at most. */
  readonly amount: number
}

/** The refusal of a limit. */
export function refusal({ rule, owner, waitMs, used, amount }: Refused): Failure {
  const whose = `"${rule.name}", ${rule.words}${owner === '' ? '' : `, for ${owner}`}`
  const retryAfterMs = Number.isFinite(waitMs) ? { retryAfterMs: Math.max(1, Math.ceil(waitMs)) } : {}
  if (rule.quantity === 'cost') {
    const left = rule.limit - used
    const message =
      rule.limit === 0
        ? `This budget allows nothing that costs: ${whose}. Ask its owner for one.`
        : left <= 0
          ? `The budget is used up: ${whose}. Ask its owner for more, or wait until it begins anew.`
          : `The budget has ${dollars(Math.floor(left / 1000))} left, and this request may cost up to ${dollars(Math.ceil(amount / 1000))}: ${whose}. ` +
            'Send `max_completion_tokens` or `max_tokens`, or a lower one, or ask its owner for more.'
    return new Failure('budget_exceeded', message, {
      detail: `budget ${rule.name}`,
      ...retryAfterMs,
      retryable: false,
    })
  }
  const never =
    rule.quantity === 'requests' || rule.quantity === 'concurrent'
      ? ''
      : ' This request alone may use more than that: shorten it, or lower its maximum of tokens.'
  return new Failure(
    'rate_limit_exceeded',
    `Rate limit exceeded. Please try again later. The limit is ${whose}.${Number.isFinite(waitMs) ? '' : never}`,
    { detail: `limit ${rule.name}`, ...retryAfterMs, retryable: waitMs < sdkWaitMaxMs },
  )
}

/** An amount in millionths: `$1.25`. */
function dollars(microUsd: number): string {
  return `$${(microUsd / 1e6).toFixed(6).replace(/\.?0+$/, '')}`
}
