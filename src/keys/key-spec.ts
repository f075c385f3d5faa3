// What a new key may be. Everything is checked here, whoever asks: text is one line without control or direction
// characters (it ends up in logs, terminals and reports), lists and maps are bounded, and what would never match
// anything (an endpoint nobody has, an address that is none, a date gone by) is refused instead of kept.

import { z } from 'zod'
import { parseCidr } from '../base/address.ts'
import { operations } from '../openai/endpoints.ts'
import { KeyFailure, type KeySpec } from './key-service.ts'

/** A spec that holds, with nothing left open. */
export interface CheckedSpec extends Required<{
  readonly [Field in keyof KeySpec]: NonNullable<KeySpec[Field]> | null
}> {
  readonly name: string
  readonly env: string
  readonly metadata: Readonly<Record<string, string>>
  readonly mayName: boolean
}

const itemsMax = 256
const pairsMax = 16

// Control characters, lone surrogates, line separators, and the marks that turn the direction of text.
const unprintable = /[\p{Cc}\p{Cs}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u

function line(lengthMax: number) {
  const what = `expected text of 1 to ${lengthMax} characters on one line`
  return z
    .string(what)
    .min(1, what)
    .max(lengthMax, what)
    .refine((text) => !unprintable.test(text), 'holds a character that does not print')
    .refine((text) => text.trim() === text, 'begins or ends with a space')
}

function listOf(item: z.ZodType<string>) {
  return z
    .array(item, 'expected a list')
    .min(1, 'is an empty list, which would refuse everything: leave it away to allow all')
    .max(itemsMax, `has more than ${itemsMax} entries`)
    .transform((items) => [...new Set(items)])
    .nullish()
    .transform((items) => items ?? null)
}

const optionalLine = line(128)
  .nullish()
  .transform((text) => text ?? null)

const endpoint = line(128).refine(
  (text) => text.includes('*') || operations.includes(text),
  'no endpoint has this name: names are as in the SDKs, such as chat.completions',
)

const address = line(64).transform((text, context) => {
  const block = parseCidr(text)
  if (!('wrong' in block)) return block.text
  context.addIssue({ code: 'custom', message: `${block.wrong} (${block.hint})` })
  return z.NEVER
})

const metadata = z
  .record(
    line(64),
    z
      .string('expected text')
      .max(512, 'is longer than 512 characters')
      .refine((text) => !/[\p{Cs}\u0000]/u.test(text), 'holds a character that cannot be kept'),
  )
  .refine((pairs) => Object.keys(pairs).length <= pairsMax, `has more than ${pairsMax} pairs`)
  .nullish()
  .transform((pairs) => pairs ?? {})

const spec = z.strictObject({
  name: line(128),
  team: optionalLine,
  app: optionalLine,
  user: optionalLine,
  env: z
    .string('expected text')
    .regex(/^[a-z0-9]{1,16}$/, 'expected 1 to 16 lower-case letters and digits')
    .prefault('dev'),
  models: listOf(
    line(256).regex(/^\S+$/, 'expected model names without spaces, * stands for any characters'),
  ),
  endpoints: listOf(endpoint),
  addresses: listOf(address),
  userAgents: listOf(line(256)),
  expiresAtMs: z
    .int('expected a moment in milliseconds')
    .nullish()
    .transform((atMs) => atMs ?? null),
  budget: z
    .string('expected text')
    .regex(
      /^\$\d{1,9}(\.\d{1,9})?\/(hour|day|week|month|year)$/,
      'expected an amount and a time, such as $50/month',
    )
    .nullish()
    .transform((text) => text ?? null),
  metadata,
  mayName: z
    .boolean('expected true or false')
    .nullish()
    .transform((flag) => flag ?? false),
})

/** The spec, checked and filled in. @throws KeyFailure('invalid') naming the first field at fault */
export function checkSpec(input: KeySpec, nowMs: number): CheckedSpec {
  // Libraries drop this name silently, ours among them.
  if (Object.hasOwn(input.metadata ?? {}, '__proto__'))
    throw new KeyFailure('invalid', 'metadata: `__proto__` cannot be a name', 'metadata')
  const result = spec.safeParse(input)
  if (!result.success) {
    const issue = result.error.issues[0]!
    if (issue.code === 'unrecognized_keys') {
      throw new KeyFailure('invalid', 'a field is unknown: see the list of fields', null)
    }
    const field = issue.path.length === 0 ? null : String(issue.path[0])
    const missing = field === 'name' && input.name === undefined
    throw new KeyFailure('invalid', missing ? 'name: is required' : `${field}: ${issue.message}`, field)
  }
  const { expiresAtMs } = result.data
  if (expiresAtMs !== null && (expiresAtMs <= nowMs || expiresAtMs > latestAtMs)) {
    throw new KeyFailure('invalid', 'expiresAtMs: must lie ahead, before the year 3000', 'expiresAtMs')
  }
  return result.data
}

const latestAtMs = Date.UTC(3000, 0, 1)

/** Who makes a change, as the audit keeps it. @throws KeyFailure('invalid') */
export function checkActor(by: string): string {
  if (optionalLine.safeParse(by).success) return by
  throw new KeyFailure('invalid', 'who makes the change must be named on one line', 'by')
}
