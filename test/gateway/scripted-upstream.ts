// An upstream on a raw socket that answers as a test tells it to, byte for byte, and keeps what it was sent. For what a
// well-behaved server cannot do: break off, stall, send odd bytes, look at the gate's exact request.

import type { TCPSocketListener } from 'bun'
import { field, fieldValues, readChunked, readHead } from './message.ts'
import { Peer, peerHandlers } from './peer.ts'

/** A request as the upstream received it. */
export interface SeenRequest {
  readonly method: string
  readonly target: string
  /** Field lines as received, in order. */
  readonly lines: readonly string[]
  readonly body: Buffer
  /** Head and body as received. */
  readonly raw: Buffer
  header(name: string): string | null
  headers(name: string): string[]
}

/** Answers one request by writing to `peer`. */
export type Script = (request: SeenRequest, peer: Peer) => void | Promise<void>

export interface ScriptedUpstreamOptions {
  /** Call the script as soon as the head is there; the body is then left in `peer.received`. */
  readonly atHead?: boolean
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** A running upstream. */
export class ScriptedUpstream {
  readonly requests: SeenRequest[] = []
  readonly peers: Peer[] = []
  #listener!: TCPSocketListener<Peer>

  private constructor(
    public script: Script,
    private readonly options: ScriptedUpstreamOptions,
  ) {}

  static start(script: Script, options: ScriptedUpstreamOptions = {}): ScriptedUpstream {
    const upstream = new ScriptedUpstream(script, options)
    upstream.#listener = Bun.listen<Peer>({
      hostname: '127.0.0.1',
      port: 0,
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      socket: {
        ...peerHandlers,
        open: (socket) => {
          socket.data = new Peer(socket)
          upstream.peers.push(socket.data)
          void upstream.#serve(socket.data)
        },
      },
    })
    return upstream
  }

  get port(): number {
    return this.#listener.port
  }

  /** Base URL for the configuration. */
  get url(): string {
    return `${this.options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}/v1`
  }

  /** Connections that are open now. */
  get open(): number {
    return this.peers.filter((peer) => !peer.closed).length
  }

  get last(): SeenRequest {
    const request = this.requests.at(-1)
    if (request === undefined) throw new Error('the upstream has seen no request')
    return request
  }

  stop(): void {
    this.#listener.stop(true)
  }

  async #serve(peer: Peer): Promise<void> {
    while (!peer.closed) {
      const head = await peer.until(
        () => readHead(peer.received) ?? (peer.closed ? 'closed' : null),
        'a request',
        600_000,
      )
      if (head === 'closed') return
      const chunked = field(head.lines, 'transfer-encoding') !== null
      const length = Number(field(head.lines, 'content-length') ?? 0)
      let body: Buffer = Buffer.alloc(0)
      let rawLength = head.length
      if (this.options.atHead !== true) {
        const whole = await peer.until(
          () =>
            bodyAt(peer.received.subarray(head.length), { chunked, length }) ??
            (peer.closed ? 'closed' : null),
          'a request body',
          600_000,
        )
        if (whole === 'closed') return
        body = Buffer.from(whole.body)
        rawLength += whole.length
      }
      const raw = Buffer.from(peer.take(rawLength))
      const [method = '', target = ''] = head.firstLine.split(' ')
      const { lines } = head
      const seen: SeenRequest = {
        method,
        target,
        lines,
        body,
        raw,
        header: (name) => field(lines, name),
        headers: (name) => fieldValues(lines, name),
      }
      this.requests.push(seen)
      await this.script(seen, peer)
    }
  }
}

function bodyAt(
  bytes: Buffer,
  framing: { chunked: boolean; length: number },
): { body: Buffer; length: number } | null {
  if (framing.chunked) return readChunked(bytes)
  return bytes.length < framing.length
    ? null
    : { body: bytes.subarray(0, framing.length), length: framing.length }
}

/** An answer with a length. `lines`: more field lines. */
export function reply(status: number, body: string | Uint8Array, lines: readonly string[] = []): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const type = lines.some((line) => /^content-type:/i.test(line)) ? [] : ['Content-Type: application/json']
  const head = [`HTTP/1.1 ${status} Scripted`, ...type, ...lines, `Content-Length: ${bytes.length}`].join(
    '\r\n',
  )
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), bytes])
}

/** Head of a chunked stream of events. */
export const eventsHead =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n'

/** One chunk of the chunked coding. */
export function chunk(data: string | Uint8Array): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}

export const lastChunk = '0\r\n\r\n'

/** Answers everything with a small JSON object. */
export const fine: Script = (_request, peer) => peer.write(reply(200, '{"ok":true}'))
