// From limits as configured to rules.

import type { Allowance } from '../../base/allowance.ts'
import { formatDuration } from '../../base/duration.ts'
import { Calendar, type Dimension, type Match, type Quantity, type Rule, type Span } from './rule.ts'

/** One limit as configured. */
export interface LimitOptions {
  readonly name: string
  readonly per?: readonly Dimension[] | undefined
  readonly match?: Match | undefined
  readonly requests?: Allowance | undefined
  readonly burst?: number | undefined
  readonly tokens?: Allowance | undefined
  readonly inputTokens?: Allowance | undefined
  readonly outputTokens?: Allowance | undefined
  readonly concurrent?: number | undefined
  readonly budget?: Allowance | undefined
  readonly warnAt?: readonly number[] | undefined
  readonly mode?: 'enforce' | 'warn' | undefined
  readonly tz?: string | undefined
}

const written: readonly (readonly [keyof LimitOptions, Quantity, string])[] = [
  ['requests', 'requests', 'requests'],
  ['tokens', 'tokens', 'tokens'],
  ['inputTokens', 'inputTokens', 'input tokens'],
  ['outputTokens', 'outputTokens', 'output tokens'],
  ['budget', 'cost', ''],
]

/** The rules of limits as configured, in their order; one that limits several quantities gives several. */
export function rulesFrom(limits: readonly LimitOptions[]): Rule[] {
  return limits.flatMap((limit): Rule[] => {
    const common = {
      name: limit.name,
      per: limit.per ?? [],
      match: limit.match ?? {},
      enforce: limit.mode !== 'warn',
      warnAt: (limit.warnAt ?? []).toSorted((a, b) => a - b),
    }
    const rules = written.flatMap(([field, quantity, noun]): Rule[] => {
      const allowance = limit[field] as Allowance | undefined
      if (allowance === undefined) return []
      return [{ ...common, quantity, ...timed(allowance, limit), words: wordsOf(allowance, noun, limit) }]
    })
    if (limit.concurrent !== undefined) {
      const words = `${limit.concurrent} at the same time`
      rules.push({
        ...common,
        quantity: 'concurrent',
        limit: limit.concurrent,
        span: { kind: 'slots' },
        words,
      })
    }
    return rules
  })
}

function timed(
  { amount, span }: Allowance,
  { burst, tz = 'UTC', requests }: LimitOptions,
): { limit: number; span: Span } {
  if (span.kind === 'period')
    return { limit: amount, span: { kind: 'period', calendar: new Calendar(span.unit, tz) } }
  if (span.kind === 'sliding' && burst !== undefined && requests?.span === span)
    return { limit: burst + 1, span: { kind: 'rate', eachMs: span.windowMs / amount, burst } }
  return { limit: amount, span }
}

function wordsOf({ amount, span, text }: Allowance, noun: string, { burst }: LimitOptions): string {
  const time =
    span.kind === 'total' ? '' : ` per ${span.kind === 'period' ? span.unit : formatDuration(span.windowMs)}`
  if (noun === '') return `${text.replace(/[/ ].*$/, '')}${time === '' ? ' in all' : time}`
  const ahead = burst === undefined || noun !== 'requests' ? '' : ` and ${burst} ahead of it`
  return `${amount} ${noun}${time}${ahead}`
}
