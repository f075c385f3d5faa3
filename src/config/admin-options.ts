// The other port: health and metrics for operators. It has no credential of its own yet, so it stays on this machine.

import { z } from 'zod'
import { expected, listenAddress, refuseValue } from './fields.ts'
import { isLoopback } from './listen-address.ts'

/** Section `admin`. */
export const adminOptions = z
  .strictObject(
    {
      listen: listenAddress()
        .transform((address, context) => {
          if (isLoopback(address.hostname)) return address
          return refuseValue(
            context,
            'must be a loopback address: the admin port asks for no credential in this version',
            'write 127.0.0.1:8081',
          )
        })
        .prefault('127.0.0.1:8081')
        .describe(
          'Address of the admin port: /healthz and /readyz. A loopback address. Port 0 takes any free one. ' +
            'Caution: never point a public proxy at it.',
        ),
    },
    { error: expected('a mapping of settings') },
  )
  .prefault({})
  .describe('The other port, for operators and their tools. Clients never need it.')
