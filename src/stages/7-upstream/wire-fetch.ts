// `fetch` for the provider packages, over the account's own wire: its pool, its verified TLS, its time-outs, no redirects.
// It goes to the account's own address and nowhere else, whatever a package asks for. What the wire and the provider said
// is kept beside it, since packages wrap both into errors of their own.

import { collect } from '../../net/wire/body.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'
import { WireError, type Body, type Wire, type WireCall } from '../../net/wire/message.ts'
import { WholeBody } from '../../net/wire/body.ts'

/** An error's text beyond this is not read. */
const errorBytesMax = 256 * 1024
/** Bytes held for a package that reads slower than the provider sends. */
const heldBytesMax = 64 * 1024
/** No line of an answer is longer: packages hold a line until it ends. */
const lineBytesMax = 32 * 1024 * 1024
const lineFeed = 10

/** What the wire writes itself, or what would let an answer come compressed. */
const ownFields = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'accept-encoding',
  'user-agent',
])

/** One request's way to its provider. */
export class ProviderCall {
  /** Status of the answer; 0 = none came. */
  status = 0
  headers: HeaderBlock | null = null
  /** Body of an answer with an error status. */
  errorText: string | null = null
  /** How the wire broke, if it did. */
  fault: WireError | null = null
  /** The request was sent twice; see `WireReply.resent`. */
  resent = false
  #call: WireCall | null = null
  #aborted = false

  constructor(
    private readonly wire: Wire,
    private readonly base: { readonly origin: string; readonly path: string },
  ) {}

  /** For the packages. */
  readonly fetch = ((input: string | URL | Request, init: RequestInit = {}) =>
    this.#send(new URL(input instanceof Request ? input.url : input), init)) as typeof fetch

  abort(): void {
    this.#aborted = true
    this.#call?.abort()
  }

  async #send(url: URL, init: RequestInit): Promise<Response> {
    // A name of a model, or a file in a prompt, never leads anywhere else.
    if (url.origin !== this.base.origin || !url.pathname.startsWith(`${this.base.path}/`))
      throw new Error('a provider package asked for an address that is not its upstream')
    if (this.#aborted) throw this.#broke(new WireError('aborted', 'given up by this side', false))
    const call = this.wire.send({
      method: init.method ?? 'GET',
      target: url.pathname + url.search,
      headerLines: headerLines(new Headers(init.headers)),
      body: bodyOf(init.body),
      upgrade: null,
    })
    this.#call = call
    init.signal?.addEventListener('abort', () => call.abort(), { once: true })
    const reply = await call.reply.catch((cause: unknown) => {
      throw cause instanceof WireError ? this.#broke(cause) : cause
    })
    this.status = reply.status
    this.headers = reply.headers
    this.resent = reply.resent
    const headers = fieldsOf(reply.headers)
    if (reply.status >= 300 && reply.status < 400) {
      reply.body.abort()
      throw new Error('redirect')
    }
    if (reply.status >= 400) {
      const bytes = await collect(reply.body, errorBytesMax).catch(() => null)
      this.errorText = bytes === null ? '' : Buffer.from(bytes).toString('utf8')
      return new Response(this.errorText, { status: reply.status, headers })
    }
    return new Response(
      streamOf(reply.body, (cause) => this.#broke(cause)),
      { status: reply.status, headers },
    )
  }

  #broke(cause: WireError): Error {
    this.fault ??= cause
    this.resent ||= cause.resent
    return new Error('the wire broke')
  }
}

function headerLines(headers: Headers): string {
  let lines = 'User-Agent: headgate\r\n'
  headers.forEach((value, name) => {
    if (!ownFields.has(name)) lines += `${name}: ${value}\r\n`
  })
  return lines
}

function bodyOf(body: unknown): WholeBody | null {
  if (body === undefined || body === null) return null
  if (typeof body === 'string') return new WholeBody(Buffer.from(body, 'utf8'))
  if (body instanceof Uint8Array) return new WholeBody(body)
  throw new Error('a provider package sent a body of an unknown kind')
}

function fieldsOf(block: HeaderBlock): Headers {
  const headers = new Headers()
  for (let index = 0; index < block.size; index++) headers.append(block.name(index), block.value(index))
  // What came is what is read: a coding that was not asked for makes the answer unreadable, not decoded.
  headers.delete('content-encoding')
  headers.delete('content-length')
  return headers
}

/** A body of the wire as a stream that is read no faster than its reader wants. */
function streamOf(body: Body, broke: (cause: WireError) => Error): ReadableStream<Uint8Array> {
  let over = false
  let lineBytes = 0
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const fail = (cause: WireError): void => {
          if (over) return
          over = true
          controller.error(broke(cause))
        }
        body.start({
          chunk(bytes) {
            if (over) return
            const end = bytes.lastIndexOf(lineFeed)
            lineBytes = end < 0 ? lineBytes + bytes.length : bytes.length - end - 1
            if (lineBytes > lineBytesMax) {
              body.abort()
              return fail(new WireError('too_large', 'a line of the answer has no end', true))
            }
            controller.enqueue(bytes)
            if ((controller.desiredSize ?? 0) <= 0) body.pause()
          },
          end() {
            if (over) return
            over = true
            controller.close()
          },
          error: fail,
        })
      },
      pull: () => body.resume(),
      cancel() {
        over = true
        body.abort()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: heldBytesMax }),
  )
}
