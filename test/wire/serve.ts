// A server of the wire with a handler made of one function, and a client that is nothing but a socket.

import { connect } from 'node:net'
import { systemClock } from '../../src/base/clock.ts'
import { WholeBody } from '../../src/net/wire/body.ts'
import type { FrontRefusal } from '../../src/net/wire/request-head.ts'
import type { RequestOwner, ServerRequest } from '../../src/net/wire/server-request.ts'
import { HttpServer, type ServerLimits, type ServerReply } from '../../src/net/wire/server.ts'
import { Sweeper } from '../../src/net/wire/sweeper.ts'
import { RawConnection, until } from './raw-upstream.ts'

const statusOf: Record<FrontRefusal['fault'], number> = {
  malformed_request: 400,
  headers_too_large: 431,
  request_timeout: 408,
  request_too_large: 413,
  method_not_allowed: 405,
  not_implemented: 501,
  expectation_failed: 417,
  http_version_not_supported: 505,
  overloaded: 503,
}

export function reply(fields: Partial<ServerReply> = {}): ServerReply {
  return {
    status: 200,
    headerLines: '',
    ownLines: '',
    dated: true,
    body: null,
    tunnel: null,
    close: false,
    ...fields,
  }
}

export function text(words: string): ServerReply {
  return reply({ body: new WholeBody(Buffer.from(words, 'latin1')) })
}

/** A server under test. `dated` replies keep the Date out, so that answers compare as they are. */
export class TestServer {
  readonly sweeper = new Sweeper(systemClock)
  readonly refusals: FrontRefusal[] = []
  readonly bugs: unknown[] = []
  readonly server: HttpServer
  readonly clients: RawConnection[] = []

  constructor(handle: (request: ServerRequest) => void, limits: Partial<ServerLimits> = {}) {
    const all = {
      headerBytesMax: 32_768,
      headerFieldsMax: 100,
      connectionsPerAddressMax: 10_000,
      headerMs: 20_000,
      idleMs: 20_000,
    }
    this.server = new HttpServer(
      { hostname: '127.0.0.1', port: 0 },
      { ...all, ...limits },
      {
        sweeper: this.sweeper,
        handler: {
          request: handle,
          refuse: (refusal) => {
            this.refusals.push(refusal)
            return { ...text(refusal.fault), status: statusOf[refusal.fault] }
          },
          bug: (cause) => void this.bugs.push(cause),
        },
      },
    )
  }

  async connect(bytes: string | Uint8Array = ''): Promise<RawConnection> {
    const socket = connect({ host: '127.0.0.1', port: this.server.port, allowHalfOpen: true })
    const client = new RawConnection(socket)
    this.clients.push(client)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    if (bytes.length > 0) client.write(bytes)
    return client
  }

  /** Sends bytes on a new connection and returns all that comes until the server ends. */
  async ask(bytes: string | Uint8Array): Promise<string> {
    const client = await this.connect(bytes)
    await until('the server ends', () => client.ended || client.closed)
    client.socket.destroy()
    return client.text
  }

  stop(): void {
    this.server.stop()
    for (const { socket } of this.clients) socket.destroy()
  }
}

export interface Parsed {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
}

/** Takes apart answers that follow each other on one connection; `heads` are those to HEAD, by index. */
export function parseAnswers(stream: string, heads: readonly number[] = []): Parsed[] {
  const answers: Parsed[] = []
  let rest = stream
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) throw new Error(`no head: ${JSON.stringify(rest)}`)
    const [line, ...fields] = rest.slice(0, end).split('\r\n')
    const headers = Object.fromEntries(
      fields.map((field) => [field.split(': ')[0]!.toLowerCase(), field.split(': ')[1] ?? '']),
    )
    rest = rest.slice(end + 4)
    let body = ''
    if (!heads.includes(answers.length)) [body, rest] = takeBody(headers, rest)
    answers.push({ status: Number(line!.split(' ')[1]), headers, body })
  }
  return answers
}

function takeBody(headers: Record<string, string>, stream: string): [body: string, rest: string] {
  if (headers['transfer-encoding'] === undefined) {
    const length = Number(headers['content-length'] ?? 0)
    return [stream.slice(0, length), stream.slice(length)]
  }
  let body = ''
  let rest = stream
  while (true) {
    const size = Number.parseInt(rest, 16)
    const start = rest.indexOf('\r\n') + 2
    body += rest.slice(start, start + size)
    rest = rest.slice(start + size + 2)
    if (size === 0) return [body, rest]
  }
}

/** Has `hears` told of a request's end. */
export function tell(request: ServerRequest, hears: Partial<Omit<RequestOwner, 'refused'>>): void {
  request.owner = { gone: () => {}, finished: () => {}, refused: () => null, ...hears }
}
