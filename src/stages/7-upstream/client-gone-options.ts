// Settings of what becomes of an answer whose client has left: see client-gone.ts.

import { z } from 'zod'
import { byteSize, count, expected } from '../../config/fields.ts'

const mapping = { error: expected('a mapping of settings') }

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

/** `upstreams.*.onClientGone`. */
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
