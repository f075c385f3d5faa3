// Settings of the meter: how surely rows are kept, for how long, and what prices they are made with.

import { z } from 'zod'
import { duration, expected, path } from '../../config/fields.ts'

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
