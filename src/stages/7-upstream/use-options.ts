// Settings of how an upstream is used: what share of the requests it gets, what models are called there, and what becomes of an
// answer whose client has left.

import { z } from 'zod'
import { byteSize, count, expected } from '../../config/fields.ts'

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

const drain = z
  .strictObject(
    {
      seconds: count({ default: 60, min: 1, max: 3600 }).describe(
        'Longest time a stream is read on, in seconds.',
      ),
      bytes: byteSize({ default: '16MB', min: '1KB', max: '1GB' }).describe(
        'Most bytes read on of one stream.',
      ),
      max: count({ default: 100, min: 1, max: 100_000 }).describe(
        'Most streams read on at the same time; those above are aborted.',
      ),
    },
    mapping,
  )
  .prefault({})
  .describe('Bounds of reading on; over any of them the stream is aborted and its usage estimated.')

/** `onClientGone`. */
export const onClientGone = z
  .union([z.enum(['abort', 'drain']), z.strictObject({ drain }, mapping)], {
    error: expected('abort, drain, or a mapping with the bounds of drain'),
  })
  .transform((policy) => {
    if (policy === 'abort') return { drain: null }
    return policy === 'drain' ? { drain: drain.parse({}) } : policy
  })
  .prefault('abort')
  .describe(
    'What becomes of a stream whose client has left. `abort`: the upstream is cut off at once, and what it has cost is estimated. ' +
      '`drain`: it is read on to its usage, within bounds, for providers that bill all of it anyway. ' +
      'Answers in one piece are waited for in either case.',
  )
