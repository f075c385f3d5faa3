// Settings of stored objects: whose they are, and what becomes of those nobody has recorded.

import { z } from 'zod'
import { duration, expected } from '../../config/fields.ts'

/** Setting `access.objects`. */
export const objectOptions = z
  .strictObject(
    {
      owner: z
        .enum(['team', 'key', 'user', 'app'], { error: expected('team, key, user or app') })
        .prefault('team')
        .describe(
          'Whose the files, responses, threads and so on are that a caller makes. A caller without a team (user, app) owns ' +
            'them by its key.',
        ),
      unknown: z
        .enum(['deny', 'allow'], { error: expected('deny or allow') })
        .prefault('deny')
        .describe(
          'Objects that were made without this gateway. `deny`: not found, as soon as there can be more than one owner ' +
            '(several teams or keys, tokens); a gateway with a single owner lets them through. Caution: `allow` lets every ' +
            'caller use and list them.',
        ),
      sockets: z
        .enum(['refuse', 'allow'], { error: expected('refuse or allow') })
        .prefault('refuse')
        .describe(
          'WebSockets to `/v1/responses`, whose messages can name objects that are not checked. `refuse`: as soon as there ' +
            'can be more than one owner. Caution: `allow` lets callers go on from the responses of others.',
        ),
      keep: duration({ default: '400d', min: '1d', max: '3650d' }).describe(
        'How long the owner of an object is remembered that nobody uses. A change takes effect at the next start.',
      ),
    },
    { error: expected('a mapping of settings') },
  )
  .prefault({})
  .describe('Whose the objects are that callers have an upstream keep.')
