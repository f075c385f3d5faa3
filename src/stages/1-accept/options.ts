// Settings of the front: where it listens, what it takes, how long it waits. Every limit has a ceiling here, so that a
// typing slip cannot switch a protection off.

import { z } from 'zod'
import {
  byteSize,
  cidr,
  count,
  duration,
  expected,
  list,
  listenAddress,
  refuseValue,
} from '../../config/fields.ts'
import { isHostName } from '../../config/listen-address.ts'
import { corsOptions } from './cors-options.ts'

const mapping = { error: expected('a mapping of settings') }

const host = z.string({ error: expected('a host name') }).transform((text, context) => {
  const name = text.toLowerCase()
  if (isHostName(name) || /^\[[0-9a-f:.]+\]$/.test(name)) return name
  const hint =
    'write it as it stands in the Host header, without scheme, port, path or wildcard: api.example.com'
  return refuseValue(context, 'expected a host name', hint)
})

const limits = z
  .strictObject(
    {
      headerBytes: byteSize({ default: '32KB', min: '1KB', max: '1MB' }).describe(
        'Longest request head: request line and all header lines together. Over it: 431.',
      ),
      headers: count({ default: 100, min: 1, max: 1000 }).describe(
        'Most header lines of one request. Over it: 431.',
      ),
      jsonBodyBytes: byteSize({ default: '32MB', min: '1B', max: '1GB' }).describe(
        'Longest JSON body: it is held in memory. Over it: 413. Caution: no need to raise it for file uploads, which stream through.',
      ),
      uploadBytes: byteSize({ default: '1GB', min: '1B', max: '100GB' }).describe(
        'Longest streamed body (multipart, audio, binary, unknown endpoints). Over it: 413.',
      ),
      connectionsPerAddress: count({ default: 1000, min: 1, max: 1_000_000 }).describe(
        'Most open connections from one address; further ones get 503 and are closed. ' +
          'Caution: raise it where all clients come through one proxy or NAT address.',
      ),
    },
    mapping,
  )
  .prefault({})
  .describe('What one client may send.')

const timeouts = z
  .strictObject(
    {
      header: duration({ default: '10s', min: '10ms', max: '10m' }).describe(
        'Longest time from the first byte of a request to the end of its head. Over it: 408.',
      ),
      idle: duration({ default: '60s', min: '10ms', max: '1d' }).describe(
        'Longest silence of a client: between requests on a kept connection, or in the middle of a body.',
      ),
      drain: duration({ default: '10m', min: '10ms', max: '1d' }).describe(
        'How long a stopping process lets running requests end (SIGTERM). ' +
          'Caution: a value above what the service manager waits before it kills has no effect.',
      ),
    },
    mapping,
  )
  .prefault({})
  .describe('How long the front waits.')

/** Section `server`. */
export const serverOptions = z
  .strictObject(
    {
      listen: z
        .union(
          [
            listenAddress().transform((address) => [address]),
            list(listenAddress(), 'is an empty list: name at least one address, such as 127.0.0.1:8080'),
          ],
          { error: expected('host:port or a list of them, such as 127.0.0.1:8080') },
        )
        .prefault('127.0.0.1:8080')
        .describe(
          'Address of the proxy port, `host:port`, or a list of them. IPv6 in brackets; port 0 takes any free one. ' +
            'Caution: do not open plain HTTP to a network that others can read: put TLS in front.',
        ),
      publicHosts: list(host)
        .prefault([])
        .describe(
          'Host names accepted in the Host header, without port; any other gets 421. Empty = any. ' +
            'Caution: leave it empty only behind a proxy that checks, or on loopback.',
        ),
      trustedProxies: list(cidr())
        .prefault([])
        .describe(
          'Addresses and CIDR blocks of proxies whose `X-Forwarded-For`, `Forwarded` or PROXY header says who the client is; ' +
            'of anyone else they are ignored. Caution: every machine named here can claim any address.',
        ),
      proxyProtocol: z
        .enum(['off', 'optional', 'required'], { error: expected('off, optional or required') })
        .prefault('off')
        .describe(
          'Whether connections begin with a PROXY protocol header (version 1 or 2). Taken from `trustedProxies` only; from ' +
            'anyone else it is refused. `required` refuses connections without one.',
        ),
      limits,
      timeouts,
      cors: corsOptions,
      overload: z
        .strictObject(
          {
            mode: z
              .enum(['shed', 'off'], { error: expected('shed or off') })
              .prefault('shed')
              .describe('`off` turns nobody away, however long it takes.'),
            delay: duration({ default: '50ms', min: '2ms', max: '10s' }).describe(
              'How long a new request may wait for its turn, about. One that would have to wait longer gets 503 at once; ' +
                'tenants wait in lines of their own, so that it is one of whoever sends more than its share.',
            ),
          },
          mapping,
        )
        .prefault({})
        .describe('What happens when more comes than this process can do.'),
    },
    mapping,
  )
  .prefault({})
  .describe('The proxy port: what applications connect to.')
