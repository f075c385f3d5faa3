// Where Headgate keeps what outlives the process.

import { z } from 'zod'
import { expected, path } from './fields.ts'

/** Section `storage`. */
export const storageOptions = z
  .strictObject(
    {
      path: path()
        .optional()
        .describe(
          'Data directory, made with mode 0700 where missing. `--data` and `$HEADGATE_DATA` come first. Absent = `.headgate` ' +
            'in the directory the process was started in, wherever this file is; a relative path given here counts from ' +
            'the folder of this file. Caution: not on a network file system, and never shared by two processes.',
        ),
    },
    { error: expected('a mapping of settings') },
  )
  .prefault({})
  .describe('Where data lives.')
