// Where Headgate keeps what outlives the process.

import { z } from 'zod'
import { expected, list, path, secret } from './fields.ts'

const redisUrl = secret().refine((url) => /^rediss?:\/\/./.test(url.reveal()), {
  error: 'expected redis://host:6379, or rediss:// for TLS',
})

/** Section `storage`. */
export const storageOptions = z
  .strictObject(
    {
      path: path()
        .optional()
        .describe(
          'Data directory, made with mode 0700 where missing. `--data` and `$HEADGATE_DATA` come first. Absent = `.headgate` ' +
            'in the directory the process was started in, wherever this file is; a relative path given here counts from ' +
            'the folder of this file. Caution: not on a network file system. The gateway and the command line may use it at the same time; ' +
            'gateways on several machines share `postgres` instead.',
        ),
      postgres: secret()
        .refine((url) => /^postgres(?:ql)?:\/\/./.test(url.reveal()), {
          error: 'expected postgres://user:password@host/database',
        })
        .optional()
        .describe(
          'PostgreSQL 12 or later, as `postgres://user:password@host/database`, in place of the SQLite file in the data ' +
            'directory: for several gateways that share their keys. Taken in at start. Caution: each of them needs the same pepper.',
        ),
      redis: z
        .union([redisUrl.transform((url) => [url]), list(redisUrl, 'is an empty list: leave it away')], {
          error: expected('redis://host:6379, or a list of the nodes of a cluster'),
        })
        .optional()
        .describe(
          'Redis 6 or later, as `redis://user:password@host:6379/0` (`rediss://` for TLS), or a list of nodes of a cluster: for limits ' +
            'and budgets that several gateways share, their stored answers, and what they know of broken upstreams. Taken in at start.',
        ),
      whenRedisDown: z
        .enum(['local', 'refuse'], { error: expected('local or refuse') })
        .prefault('local')
        .describe(
          'What holds while Redis does not answer: `local`, each gateway by its own counters, or `refuse`, 503 for requests ' +
            'with limits. Caution: with `local`, N gateways may let N times a limit through meanwhile.',
        ),
      pepper: secret()
        .refine((text) => text.reveal().length >= 32, { error: 'is shorter than 32 characters' })
        .optional()
        .describe(
          'Secret that the digests of stored client keys are made with, best as `${file:/run/secrets/pepper}`. Absent = the ' +
            'file `pepper` in the data directory, made at the first start. Taken in at start. Caution: with another pepper ' +
            'no stored key is recognised, so keep a copy of it apart from the backups of the database.',
        ),
      key: secret()
        .refine((text) => text.reveal().length >= 32, { error: 'is shorter than 32 characters' })
        .optional()
        .describe(
          'Secret that stored answers are encrypted with (AES-256-GCM), on disk and in Redis, best as ' +
            '`${file:/run/secrets/storage-key}`. Absent = they are kept as they are. What another key has written counts as not there.',
        ),
    },
    { error: expected('a mapping of settings') },
  )
  .prefault({})
  .describe('Where data lives.')
