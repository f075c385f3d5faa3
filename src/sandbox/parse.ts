// A strict reader of HTTP/1.1 requests. Strict on purpose: the sandbox is what a gateway is tested against, so a request that a lenient
// server would mend (two lengths, a length and chunks, a bare LF, a folded line, two Hosts) is refused and the test sees it.
// Grammar: RFC 9112. Nothing is normalised: target, order and case of headers are kept for tests to compare.

/** The head of a request, as received. */
export interface RequestHead {
  readonly method: string
  readonly target: string
  readonly minor: 0 | 1
  readonly headers: readonly (readonly [string, string])[]
}

/** Who hears of a request. `bad` ends the connection: nothing follows. */
export interface RequestListener {
  head(head: RequestHead): void
  /** A view of the received buffer: copy what is kept. */
  body(bytes: Uint8Array): void
  end(): void
  bad(reason: string): void
}

const headBytesMax = 64 * 1024
const lineBytesMax = 4096
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** The first value of a header, by lower-case name. */
export function headerOf(headers: RequestHead['headers'], name: string): string | null {
  for (const [key, value] of headers)
    if (key.length === name.length && key.toLowerCase() === name) return value
  return null
}

/** A head from its text (without the blank line), or the reason it is refused. */
export function parseHead(text: string): RequestHead | string {
  const lines = text.split('\r\n')
  const request = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\S+) HTTP\/1\.([01])$/.exec(lines[0] ?? '')
  if (request === null) return 'malformed request line'
  const headers: [string, string][] = []
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0))
    if (!tokenPattern.test(name)) return `malformed header line ${JSON.stringify(line.slice(0, 40))}`
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
    if (/[\0\r\n]/.test(value)) return `control character in header ${name}`
    headers.push([name, value])
  }
  const hosts = headers.filter(([name]) => name.toLowerCase() === 'host').length
  const minor = request[3] === '1' ? 1 : 0
  if (hosts > 1 || (hosts === 0 && minor === 1)) return `${hosts} Host headers`
  return { method: request[1]!, target: request[2]!, minor, headers }
}

/** Body length by the head: bytes, `chunked`, or the reason it is refused. */
export function bodyFraming(head: RequestHead): number | 'chunked' | { reason: string } {
  const lengths = head.headers.filter(([name]) => name.toLowerCase() === 'content-length')
  const codings = head.headers.filter(([name]) => name.toLowerCase() === 'transfer-encoding')
  if (codings.length > 0) {
    if (lengths.length > 0) return { reason: 'both Content-Length and Transfer-Encoding' }
    if (codings.length > 1 || codings[0]![1].toLowerCase() !== 'chunked')
      return { reason: 'unknown Transfer-Encoding' }
    return 'chunked'
  }
  if (lengths.length === 0) return 0
  const value = lengths[0]![1]
  if (lengths.length > 1 || !/^\d{1,15}$/.test(value)) return { reason: 'bad Content-Length' }
  return Number(value)
}

// `done`: a whole request was read and the next one waits; `dead`: refused, or taken over by another protocol.
type State = 'head' | 'length' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailers' | 'done' | 'dead'

/** Reads one request after another from pushed bytes; stops after each until `next()`. */
export class RequestParser {
  #state: State = 'head'
  #held: Uint8Array = new Uint8Array(0)
  #left = 0

  constructor(readonly listener: RequestListener) {}

  /** Bytes received that belong to no request yet: after an upgrade, the first of the other protocol. */
  takeRest(): Uint8Array {
    const rest = this.#held
    this.#held = new Uint8Array(0)
    this.#state = 'dead'
    return rest
  }

  push(bytes: Uint8Array): void {
    if (this.#state === 'dead') return
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes])
    this.#run()
  }

  /** The last request was answered: go on with what has come meanwhile. */
  next(): void {
    if (this.#state !== 'done') return
    this.#state = 'head'
    this.#run()
  }

  #refuse(reason: string): void {
    this.#state = 'dead'
    this.listener.bad(reason)
  }

  #run(): void {
    // Each step consumes bytes or leaves the loop; `done` and `dead` leave it too.
    while (this.#state !== 'done' && this.#state !== 'dead') {
      const before: State = this.#state
      const held = this.#held.length
      this.#step()
      if (this.#held.length === held && this.#state === before) break
    }
    // What is held over must not be a view of the buffer the socket may use again.
    if (this.#held.length > 0) this.#held = this.#held.slice()
  }

  #step(): void {
    if (this.#state === 'head') this.#readHead()
    else if (this.#state === 'length' || this.#state === 'chunk-data') this.#readData()
    else if (this.#state !== 'done' && this.#state !== 'dead') this.#readLine()
  }

  #readHead(): void {
    const at = Buffer.from(this.#held.buffer, this.#held.byteOffset, this.#held.length).indexOf('\r\n\r\n')
    if (at < 0) {
      if (this.#held.length > headBytesMax) this.#refuse('head too large')
      return
    }
    const text = Buffer.from(this.#held.subarray(0, at)).toString('latin1')
    this.#held = this.#held.subarray(at + 4)
    const head = parseHead(text)
    if (typeof head === 'string') return this.#refuse(head)
    const framing = bodyFraming(head)
    if (typeof framing === 'object') return this.#refuse(framing.reason)
    this.#state = framing === 'chunked' ? 'chunk-size' : 'length'
    this.#left = framing === 'chunked' ? 0 : framing
    this.listener.head(head)
    if (framing === 0) this.#finish()
  }

  #readData(): void {
    const piece = this.#held.subarray(0, this.#left)
    if (piece.length === 0) return
    this.#held = this.#held.subarray(piece.length)
    this.#left -= piece.length
    this.listener.body(piece)
    if (this.#left > 0) return
    if (this.#state === 'length') this.#finish()
    else if (this.#state === 'chunk-data') this.#state = 'chunk-end'
  }

  #readLine(): void {
    const at = Buffer.from(this.#held.buffer, this.#held.byteOffset, this.#held.length).indexOf('\r\n')
    if (at < 0) {
      if (this.#held.length > lineBytesMax) this.#refuse('chunk line too long')
      return
    }
    const line = Buffer.from(this.#held.subarray(0, at)).toString('latin1')
    this.#held = this.#held.subarray(at + 2)
    if (this.#state === 'trailers') {
      if (line === '') this.#finish()
      return
    }
    if (this.#state === 'chunk-end') {
      if (line !== '') return this.#refuse('no CRLF after a chunk')
      this.#state = 'chunk-size'
      return
    }
    const size = /^([0-9A-Fa-f]{1,12})(?:[ \t]*;.*)?$/.exec(line)
    if (size === null) return this.#refuse('malformed chunk size')
    this.#left = Number.parseInt(size[1]!, 16)
    this.#state = this.#left === 0 ? 'trailers' : 'chunk-data'
  }

  #finish(): void {
    // The listener may have taken the connection over, or refused, while it heard the head.
    if (this.#state === 'dead') return
    this.#state = 'done'
    this.listener.end()
  }
}
