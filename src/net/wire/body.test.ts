import { expect, test } from 'bun:test'
import { collect, PushedBody, WholeBody } from './body.ts'
import { WireError, type BodySink } from './message.ts'

class Owner {
  readonly heard: string[] = []
  pauseReading = (): void => void this.heard.push('pause')
  resumeReading = (): void => void this.heard.push('resume')
  abandonBody = (): void => void this.heard.push('abandon')
  bodyStarted = (): void => void this.heard.push('started')
}

class Sink implements BodySink {
  readonly heard: string[] = []
  onChunk: (() => void) | null = null
  chunk(bytes: Uint8Array): void {
    this.heard.push(Buffer.from(bytes).toString())
    this.onChunk?.()
  }
  end(): void {
    this.heard.push('end')
  }
  error(cause: WireError): void {
    this.heard.push(cause.fault)
  }
}

const broken = new WireError('truncated', '', true)
const bytes = (text: string): Uint8Array => Buffer.from(text)

test('what came early is pushed at the start, then the rest, then the end', () => {
  const [owner, sink] = [new Owner(), new Sink()]
  const body = new PushedBody(-1, owner)
  body.push(bytes('a'))
  body.push(bytes('b'))
  body.start(sink)
  body.push(bytes('c'))
  body.finish()
  body.finish()
  body.fail(broken)
  body.push(bytes('d'))
  // Small pieces that are held are put together.
  expect(sink.heard).toEqual(['ab', 'c', 'end'])
  expect(owner.heard).toEqual(['started'])
  expect(() => body.start(new Sink())).toThrow()
})

test('a body that ended, or broke, before its start says so behind its bytes', () => {
  for (const how of ['end', 'truncated']) {
    const [owner, sink] = [new Owner(), new Sink()]
    const body = new PushedBody(-1, owner)
    body.push(bytes('a'))
    if (how === 'end') body.finish()
    else body.fail(broken)
    body.start(sink)
    expect(sink.heard).toEqual(['a', how])
    expect(owner.heard).toEqual([])
  }
})

test('a body that nobody starts is held up to a bound, then its socket pauses', () => {
  const owner = new Owner()
  const body = new PushedBody(-1, owner)
  for (let count = 0; count < 10; count += 1) body.push(new Uint8Array(100_000))
  expect(owner.heard).toEqual(['pause'])
  const sink = new Sink()
  body.start(sink)
  expect(sink.heard.length).toBe(10)
  expect(owner.heard).toEqual(['pause', 'started', 'resume'])
})

test('a sink that pauses while it takes what was held stays paused', () => {
  const [owner, sink] = [new Owner(), new Sink()]
  const body = new PushedBody(-1, owner)
  for (let count = 0; count < 3; count += 1) body.push(new Uint8Array(100_000))
  sink.onChunk = () => body.pause()
  body.start(sink)
  expect(owner.heard).toEqual(['pause', 'pause', 'started'])
  body.resume()
  body.resume()
  expect(owner.heard.at(-1)).toBe('resume')
  expect(owner.heard.length).toBe(4)
})

test('abort is heard once, and the sink hears nothing more', () => {
  const [owner, sink] = [new Owner(), new Sink()]
  const body = new PushedBody(-1, owner)
  const [first, second] = ['a'.repeat(5000), 'b'.repeat(5000)]
  body.push(bytes(first))
  body.push(bytes(second))
  body.finish()
  sink.onChunk = () => body.abort()
  body.start(sink)
  expect(sink.heard).toEqual([first])
  const open = new PushedBody(-1, owner)
  open.abort()
  open.abort()
  open.push(bytes('c'))
  open.fail(broken)
  expect(owner.heard).toEqual(['abandon'])
})

test('a whole body is pushed at once', () => {
  const sink = new Sink()
  new WholeBody(bytes('a')).start(sink)
  WholeBody.empty.start(sink)
  expect(sink.heard).toEqual(['a', 'end', 'end'])
  expect(new WholeBody(new Uint8Array(0), 9).length).toBe(9)
})

test('collect: bytes, or null over the bound, or the fault', async () => {
  const owner = new Owner()
  const fed = (parts: string[], fault: WireError | null): PushedBody => {
    const body = new PushedBody(-1, owner)
    for (const part of parts) body.push(bytes(part))
    if (fault === null) body.finish()
    else body.fail(fault)
    return body
  }
  expect(Buffer.from((await collect(fed(['ab', 'c'], null), 3))!).toString()).toBe('abc')
  expect(await collect(fed(['ab', 'cd'], null), 3)).toBeNull()
  expect(await collect(new WholeBody(bytes('abcd')), 3)).toBeNull()
  expect(Buffer.from((await collect(new WholeBody(bytes('abc')), 3))!).toString()).toBe('abc')
  const fault = await collect(fed(['a'], broken), 3).catch((cause: unknown) => cause)
  expect(fault).toBe(broken)
})

test('collect: a body in pieces of one byte', async () => {
  const body = new PushedBody(-1, new Owner())
  const collected = collect(body, 20_000)
  const read = Buffer.alloc(20_000, 'abc')
  for (let at = 0; at < read.length; at++) body.push(read.subarray(at, at + 1))
  body.finish()
  expect(Buffer.compare((await collected)!, read)).toBe(0)
  const over = new PushedBody(-1, new Owner())
  const none = collect(over, 3)
  for (const letter of 'abcd') over.push(bytes(letter))
  expect(await none).toBeNull()
})
