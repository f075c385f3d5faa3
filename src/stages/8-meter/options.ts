// Settings of the meter: how surely rows are kept, for how long, and what prices they are made with.

import { z } from 'zod'
import { byteSize, duration, expected, flag, path } from '../../config/fields.ts'

const idempotency = z
  .strictObject(
    {
      enabled: flag().describe(
        'Executes a POST with an `Idempotency-Key` header once; a repeat gets the same answer. Caution: answers are then kept, encrypted.',
      ),
      ttl: duration({ default: '24h', min: '1m', max: '30d' }).describe('How long an answer is kept.'),
      maxBytes: byteSize({ default: '1MB', min: '1KB', max: '32MB' }).describe(
        'Longest answer kept; a repeat of a request whose answer was longer gets 409.',
      ),
    },
    { error: expected('a mapping of settings') },
  )
  .prefault({})
  .describe('Requests that are sent again and executed once.')

/** Section `meter`. */
export const meterOptions = z
  .strictObject(
    {
      durability: z
        .enum(['process', 'power'], { error: expected('process or power') })
        .prefault('process')
        .describe(
          'What a row of the ledger outlives before its answer ends: `process` = this program, however it dies; `power` = the ' +
            'machine too. Caution: `power` makes every answer wait for the disk, some milliseconds.',
        ),
      retention: duration({ default: '400d', min: '1d', max: '36500d' }).describe(
        'How long single rows of the ledger and their hourly sums are kept. Daily sums stay.',
      ),
      idempotency,
      prices: path()
        .optional()
        .describe(
          'File of your own prices, over the built-in list: docs/prices.md. Absent = the list alone.',
        ),
    },
    { error: expected('a mapping of settings') },
  )
  .prefault({})
  .describe('The meter: rows one can bill from.')
