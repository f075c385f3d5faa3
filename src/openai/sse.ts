// Server-sent events as bytes (WHATWG HTML, "Server-sent events", read November 2026). Nothing here rewrites a
// stream: frames are found, so that a stream is passed on in whole frames and its end can be told from a break.
// A frame ends with a blank line, and a line ends with LF, CRLF or CR. Searching goes backwards from the end of what
// came: nearly every chunk ends with a frame, so nearly every search is one comparison.
// The trap is a CR as the last byte: it may be half of a CRLF. Behind an LF it waits for its next byte; behind a CR
// it does not, since a sender of bare CRs would wait for ever, and an LF that follows is then an empty frame, which
// every reader ignores.

const lf = 10
const cr = 13

// Where the last whole frame ends, given the two bytes before `bytes`. Start of a frame = as if after a line end.
function frameEnd(bytes: Uint8Array, before: number, last: number): number {
  const { length } = bytes
  // The one case of real traffic, before any search.
  if (length > 1 && bytes[length - 1] === lf && bytes[length - 2] === lf) return length
  const at = (index: number): number => (index >= 0 ? bytes[index]! : index === -1 ? last : before)
  let lineFeed = bytes.lastIndexOf(lf)
  let carriageReturn = bytes.lastIndexOf(cr)
  while (lineFeed >= 0 || carriageReturn >= 0) {
    if (lineFeed > carriageReturn) {
      const previous = at(lineFeed - 1)
      if (previous === lf) return lineFeed + 1
      if (previous === cr) {
        const beforeThat = at(lineFeed - 2)
        if (beforeThat === lf || beforeThat === cr) return lineFeed + 1
      }
      lineFeed = lineFeed === 0 ? -1 : bytes.lastIndexOf(lf, lineFeed - 1)
    } else {
      const previous = at(carriageReturn - 1)
      const mayBeHalf = carriageReturn === length - 1 && previous === lf
      if ((previous === lf || previous === cr) && !mayBeHalf) return carriageReturn + 1
      carriageReturn = carriageReturn === 0 ? -1 : bytes.lastIndexOf(cr, carriageReturn - 1)
    }
  }
  return 0
}

/** Offset behind the last whole frame of `bytes`, which start where a frame starts; 0 = no frame is whole. */
export function lastFrameEnd(bytes: Uint8Array): number {
  return frameEnd(bytes, lf, lf)
}

/**
 * Cuts a stream into pieces of whole frames. Bytes are neither copied nor looked at twice where a chunk holds whole
 * frames; a frame that comes in pieces is joined once, when it is whole.
 */
export class SseFrames {
  #pieces: Uint8Array[] = []
  #heldBytes = 0
  // The last two bytes held; at the start of a frame a line end stands for them.
  #before = lf
  #last = lf

  /** `heldBytesMax`: how many bytes one unfinished frame may have. */
  constructor(readonly heldBytesMax: number) {}

  /** Bytes of a frame that is not whole yet. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** The unfinished frame is larger than allowed: the stream cannot be cut any more. Take `rest()` and stop. */
  get overflowed(): boolean {
    return this.#heldBytes > this.heldBytesMax
  }

  /** Whole frames, as soon as there are any, else null. The same object where nothing was held and nothing is left over. */
  push(bytes: Uint8Array): Uint8Array | null {
    const end = frameEnd(bytes, this.#before, this.#last)
    if (end === bytes.length && end > 0 && this.#heldBytes === 0) return bytes
    if (end === 0) {
      this.#hold(bytes)
      return null
    }
    this.#pieces.push(bytes.subarray(0, end))
    const whole = this.rest()!
    // A copy, since a view of a few bytes would keep the whole chunk in memory while a quiet stream is open; and not by
    // `slice`, which of a Buffer is a view too.
    this.#hold(new Uint8Array(bytes.subarray(end)))
    return whole
  }

  /** What is held, and forget it: at a clean end the frame that never ended, null if there is none. */
  rest(): Uint8Array | null {
    const pieces = this.#pieces
    this.#pieces = []
    this.#heldBytes = 0
    this.#before = lf
    this.#last = lf
    if (pieces.length === 0) return null
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  #hold(bytes: Uint8Array): void {
    const { length } = bytes
    if (length === 0) return
    this.#pieces.push(bytes)
    this.#heldBytes += length
    this.#before = length > 1 ? bytes[length - 2]! : this.#last
    this.#last = bytes[length - 1]!
  }
}

const decoder = new TextDecoder()

/**
 * Calls back with the data of each whole frame: data lines joined by LF, and the event's name ('' = none). Frames
 * without data are passed over, as the standard says; so is a last frame without its blank line. A byte order mark at
 * the start of `bytes` is dropped, broken UTF-8 becomes U+FFFD.
 */
export function eachData(bytes: Uint8Array, visit: (data: string, event: string) => void): void {
  let data: string | null = null
  let event = ''
  const lines = decoder.decode(bytes).split(/\r\n|\n|\r/)
  // What follows the last line end is not a line.
  lines.pop()
  for (const line of lines) {
    if (line === '') {
      if (data !== null) visit(data, event)
      data = null
      event = ''
      continue
    }
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    if (field !== 'data' && field !== 'event') continue
    const start = line[colon + 1] === ' ' ? colon + 2 : colon + 1
    const value = colon < 0 ? '' : line.slice(start)
    if (field === 'event') event = value
    else data = data === null ? value : `${data}\n${value}`
  }
}

/** The frame that tells a client that its stream broke. `json` must be JSON text without line ends, as JSON.stringify writes it. */
export function sseErrorFrame(json: string): string {
  return `event: error\ndata: ${json}\n\n`
}
