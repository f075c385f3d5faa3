// Decoder of the chunked coding (RFC 9112 section 7.1), for both sides. Strict where parsers disagree: CRLF only, hex
// digits only, no white space around the size, extensions and trailers well formed, and no trailer that would frame the
// message (RFC 9110 section 6.5.1). Extensions and trailers are dropped, and both are bounded, since a sender may otherwise
// keep a connection busy for ever without sending a byte of body.

import { unpinned } from './pieces.ts'

const enum State {
  size,
  extensionName,
  extensionValue,
  extensionToken,
  extensionQuoted,
  extensionEscape,
  extensionEnd,
  sizeLf,
  data,
  dataCr,
  dataLf,
  trailerStart,
  trailerName,
  trailerValue,
  trailerLf,
  lastLf,
  done,
}

/** 12 hex digits stay below 2^53; a longer size is an attack or a bug. */
const sizeDigitsMax = 12
/** Parts from this size on are not copied. */
const largeBytes = 16 * 1024
const extensionBytesMax = 4096
const trailerBytesMax = 16384
/** Somebody may take them for the message's own. */
const framing: ReadonlySet<string> = new Set(['transfer-encoding', 'content-length'])
const framingLengthMax = 17

/** The parts of one read, put together. */
class Gathered {
  readonly #buffer: Uint8Array
  #used: number

  /** `restBytes`: as much as can follow `first`. */
  constructor(first: Uint8Array, restBytes: number) {
    this.#buffer = new Uint8Array(first.length + restBytes)
    this.#buffer.set(first)
    this.#used = first.length
  }

  add(source: Uint8Array, start: number, end: number): void {
    // A call to `set` and a view cost more than a few bytes.
    if (end - start < 16) for (let at = start; at < end; at++) this.#buffer[this.#used++] = source[at]!
    else {
      this.#buffer.set(source.subarray(start, end), this.#used)
      this.#used += end - start
    }
  }

  get bytes(): Uint8Array {
    return unpinned(this.#buffer.subarray(0, this.#used))
  }
}

/** Decodes one chunked body, fed piece by piece. */
export class ChunkedDecoder {
  #state: State = State.size
  #left = 0
  #digits = 0
  #overhead = 0
  /** Of the trailer that is being read, as far as it matters. */
  #trailerName = ''

  /** True once the last chunk and the trailers have been read. */
  get done(): boolean {
    return this.#state === State.done
  }

  /**
   * Reads `bytes` from `start`. Body bytes go to `emit`: large parts as views on `bytes`, small ones put together, so that
   * a read gives few pieces, however small its chunks. A piece costs an object here and a system call further on.
   * Returns the offset behind the last byte used (less than the length only when done), or -1 where malformed.
   */
  decode(bytes: Uint8Array, start: number, emit: (part: Uint8Array) => void): number {
    let at = start
    let sound = true
    let first: Uint8Array | null = null
    let gathered: Gathered | null = null
    while (sound && at < bytes.length && this.#state !== State.done) {
      if (this.#state !== State.data) {
        const next = this.#plainFraming(bytes, at)
        if (next === at) sound = this.#step(bytes[at++]!)
        at = Math.max(at, next)
        continue
      }
      const end = at + Math.min(this.#left, bytes.length - at)
      if (first !== null && Math.max(first.length, end - at) >= largeBytes) {
        emit(gathered === null ? first : gathered.bytes)
        first = gathered = null
      }
      if (first === null) first = bytes.subarray(at, end)
      else (gathered ??= new Gathered(first, bytes.length - at)).add(bytes, at, end)
      this.#left -= end - at
      at = end
      if (this.#left === 0) this.#state = State.dataCr
    }
    if (first !== null) emit(gathered === null ? first : gathered.bytes)
    return sound ? at : -1
  }

  /**
   * Takes what nearly every chunk begins with in one go: the CRLF of the chunk before, a size, CRLF. Returns the offset
   * behind it, or `start` where it is anything else, or not all here: then it is read byte by byte.
   */
  #plainFraming(bytes: Uint8Array, start: number): number {
    let at = start
    if (this.#state === State.dataCr && bytes[at] === 13 && bytes[at + 1] === 10) at += 2
    else if (this.#state !== State.size || this.#digits > 0) return start
    const sizeStart = at
    let size = 0
    for (let digit = hexDigit(bytes[at]!); digit >= 0; digit = hexDigit(bytes[++at]!))
      size = size * 16 + digit
    if (size === 0 || at - sizeStart > sizeDigitsMax || bytes[at] !== 13 || bytes[at + 1] !== 10) return start
    this.#left = size
    this.#state = State.data
    return at + 2
  }

  /** Moves on by one byte of framing; false where it is malformed. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case State.size:
        return this.#size(byte)
      case State.extensionName:
      case State.extensionValue:
      case State.extensionToken:
      case State.extensionQuoted:
      case State.extensionEscape:
      case State.extensionEnd:
        return ++this.#overhead <= extensionBytesMax && this.#extension(byte)
      case State.sizeLf:
        if (byte !== 10) return false
        return this.#to(this.#left === 0 ? State.trailerStart : State.data)
      case State.dataCr:
        return byte === 13 && this.#to(State.dataLf)
      case State.dataLf:
        this.#digits = 0
        return byte === 10 && this.#to(State.size)
      case State.trailerStart:
        if (byte === 13) return this.#to(State.lastLf)
        this.#trailerName = ''
        return this.#nameTrailer(byte) && this.#to(State.trailerName)
      case State.trailerName:
        if (byte === colon)
          return !framing.has(this.#trailerName.toLowerCase()) && this.#to(State.trailerValue)
        return this.#nameTrailer(byte)
      case State.trailerValue:
        if (byte === 13) return this.#to(State.trailerLf)
        return isText(byte) && ++this.#overhead <= trailerBytesMax
      case State.trailerLf:
        return byte === 10 && this.#to(State.trailerStart)
      case State.lastLf:
        return byte === 10 && this.#to(State.done)
      default:
        return false
    }
  }

  #nameTrailer(byte: number): boolean {
    if (this.#trailerName.length <= framingLengthMax) this.#trailerName += String.fromCharCode(byte)
    return isToken(byte) && ++this.#overhead <= trailerBytesMax
  }

  #size(byte: number): boolean {
    const digit = hexDigit(byte)
    if (digit >= 0) {
      if (++this.#digits > sizeDigitsMax) return false
      this.#left = this.#left * 16 + digit
      return true
    }
    if (this.#digits === 0) return false
    if (byte === 13) return this.#to(State.sizeLf)
    return byte === semicolon && this.#to(State.extensionName)
  }

  /** `;name`, `;name=token` and `;name="quoted"`; what comes as an extension and is none may be something to somebody. */
  #extension(byte: number): boolean {
    const state = this.#state
    if (state === State.extensionEscape) return isText(byte) && this.#to(State.extensionQuoted)
    if (state === State.extensionQuoted) {
      if (byte === quote) return this.#to(State.extensionEnd)
      if (byte === backslash) return this.#to(State.extensionEscape)
      return isText(byte)
    }
    if (state === State.extensionValue) {
      if (byte === quote) return this.#to(State.extensionQuoted)
      return isToken(byte) && this.#to(State.extensionToken)
    }
    if (byte === 13) return this.#to(State.sizeLf)
    if (byte === semicolon) return this.#to(State.extensionName)
    if (byte === equals && state === State.extensionName) return this.#to(State.extensionValue)
    return state !== State.extensionEnd && isToken(byte)
  }

  #to(state: State): true {
    this.#state = state
    return true
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  if (byte >= 97 && byte <= 102) return byte - 87
  if (byte >= 65 && byte <= 70) return byte - 55
  return -1
}

const quote = 0x22
const colon = 0x3a
const semicolon = 0x3b
const equals = 0x3d
const backslash = 0x5c

const tokens = new Set(
  Buffer.from("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 'latin1'),
)

function isToken(byte: number): boolean {
  return tokens.has(byte)
}

function isText(byte: number): boolean {
  return byte === 9 || (byte >= 0x20 && byte !== 0x7f)
}
