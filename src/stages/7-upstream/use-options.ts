// Settings of how an upstream is used: what share of the requests it gets, and what models are called there.

import { z } from 'zod'
import { expected } from '../../config/fields.ts'

const mapping = { error: expected('a mapping of settings') }

/** `weight`. */
export const weight = z
  .number({ error: expected('a number above 0') })
  .gt(0, 'must be above 0: leave the upstream away, or drain it')
  .max(1_000_000, 'must be at most 1000000')
  .prefault(1)
  .describe('Its share of the requests, against those of the others.')

const modelName = z
  .string({ error: expected('the name of a model') })
  .regex(/^[^\u0000-\u001f\u007f]{1,256}$/, 'expected a name of 1 to 256 characters')

/** `models`. */
export const models = z
  .record(modelName, modelName, mapping)
  .refine((names) => Object.keys(names).length > 0, 'is empty: leave it away where all models are served')
  .refine((names) => Object.keys(names).length <= 1000, 'has more than 1000 entries')
  .refine(
    (names) =>
      Object.entries(names).every(
        ([name, at]) => at.split('*').length <= Math.min(2, name.split('*').length),
      ),
    'has a `*` on the right that stands for nothing on the left',
  )
  .nullable()
  .prefault(null)
  .describe(
    "What models are called here: the client's name, and the upstream's. `*` stands for any text, also on the right. What no " +
      'entry fits is not sent here. Absent = all models, by the name the client gives.',
  )
