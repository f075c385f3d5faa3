// Settings of the access log: one line an exchange, never a body, never a credential.

import { z } from 'zod'
import { byteSize, count, expected, path } from '../../config/fields.ts'

/** Section `log`. */
export const logOptions = z
  .strictObject(
    {
      file: path()
        .optional()
        .describe(
          'File of the access log; absent = `access.log` in the data directory. `stdout` = no file, lines go to standard output.',
        ),
      format: z
        .enum(['auto', 'json', 'human'], { error: expected('auto, json or human') })
        .prefault('auto')
        .describe(
          'Form of a line: `json`, `human`, or `auto` = JSON in the file, and lines for people on the terminal too where there is one. ' +
            'Caution: not `human` for a file that a program reads.',
        ),
      rotate: byteSize({ default: '100MB', min: '1KB', max: '100GB' }).describe(
        'Size at which the file is set aside as access.log.1 and a new one begun.',
      ),
      keep: count({ default: 14, min: 0, max: 1000 }).describe(
        'How many files set aside are kept; older ones are deleted.',
      ),
    },
    { error: expected('a mapping of settings') },
  )
  .prefault({})
  .describe('The access log.')
