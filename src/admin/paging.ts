// Lists: `{rows, next}`, newest first. `next` goes back as `?cursor=`; it is opaque to callers.

import { z } from 'zod'
import { ApiProblem } from './problem.ts'

/** `?limit=` and `?cursor=`. */
export const paging = {
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'expected a number from 1 to 1000')
    .transform(Number)
    .pipe(z.number().min(1, 'expected a number from 1 to 1000').max(1000, 'expected a number from 1 to 1000'))
    .prefault('100')
    .meta({ description: 'Most rows in one answer, 1 to 1000.' }),
  cursor: z
    .string()
    .regex(/^[A-Za-z0-9_.=-]{1,256}$/, 'expected `next` of the page before')
    .optional()
    .meta({ description: '`next` of the page before.' }),
}

/** The schema of a list. */
export function listOf(row: z.ZodType) {
  return z.object({
    rows: z.array(row),
    next: z.string().nullable().meta({ description: 'Cursor of the next page; null at the end.' }),
  })
}

/** A cursor that is a number. @throws ApiProblem('bad_request') */
export function numberOf(cursor: string | undefined): number | null {
  if (cursor === undefined) return null
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor)
  throw new ApiProblem('bad_request', 'This cursor is not one of ours. Leave it away to begin anew.', {
    param: 'cursor',
  })
}
