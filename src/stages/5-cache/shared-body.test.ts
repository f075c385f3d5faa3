import { describe, expect, test } from 'bun:test'
import { WireError, type Body, type BodySink } from '../../net/wire/message.ts'
import { SharedBytes } from './shared-body.ts'

const megabyte = 1024 * 1024

/** A source that a test pushes, and what was asked of it. */
class Source implements Body {
  readonly length = -1
  readonly whole = null
  sink!: BodySink
  paused = false
  aborted = false
  start(sink: BodySink): void {
    this.sink = sink
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }
  abort(): void {
    this.aborted = true
  }
}

class Reading implements BodySink {
  bytes = 0
  text = ''
  ended = false
  failed: WireError | null = null
  constructor(readonly body: Body) {}
  chunk(bytes: Uint8Array): void {
    this.bytes += bytes.length
    if (bytes.length < 100) this.text += Buffer.from(bytes).toString()
  }
  end(): void {
    this.ended = true
  }
  error(cause: WireError): void {
    this.failed = cause
  }
}

function share(heldBytesMax: number) {
  const source = new Source()
  const events = { whole: undefined as string | null | undefined, broke: false }
  const shared = new SharedBytes(source, heldBytesMax, {
    came: () => {},
    ended: (whole) => (events.whole = whole === null ? null : Buffer.concat(whole).toString()),
    broke: () => (events.broke = true),
    unread: () => true,
  })
  const reader = (): Reading => {
    const reading = new Reading(shared.read())
    reading.body.start(reading)
    return reading
  }
  return { source, events, shared, reader }
}

describe('readers', () => {
  test('late ones get the whole from its start, and all get the end', () => {
    const { source, shared, reader, events } = share(megabyte)
    const first = reader()
    shared.begin()
    source.sink.chunk(Buffer.from('one '))
    source.sink.chunk(Buffer.from('two '))
    const late = reader()
    expect(late.text).toBe('one two ')
    source.sink.chunk(Buffer.from('three'))
    source.sink.end()
    const last = reader()
    expect([first, late, last].map(({ text, ended }) => [text, ended])).toEqual(
      Array.from({ length: 3 }, () => ['one two three', true]),
    )
    expect(events.whole).toBe('one two three')
  })

  test('a break is told to all, also to one that is behind, once it has got so far', () => {
    const { source, shared, reader, events } = share(megabyte)
    const [quick, slow] = [reader(), reader()]
    shared.begin()
    slow.body.pause()
    source.sink.chunk(Buffer.from('half'))
    source.sink.error(new WireError('reset', 'gone', true))
    expect([quick.failed?.fault, slow.failed, events.broke]).toEqual(['reset', null, true])
    slow.body.resume()
    expect([slow.text, slow.failed?.fault]).toEqual(['half', 'reset'])
  })

  test('one that is slow is waited for by nobody while the whole is held', () => {
    const { source, shared, reader } = share(16 * megabyte)
    const [quick, slow] = [reader(), reader()]
    shared.begin()
    slow.body.pause()
    for (let number = 0; number < 10; number++) source.sink.chunk(new Uint8Array(megabyte))
    expect([source.paused, quick.bytes, slow.bytes]).toEqual([false, 10 * megabyte, 0])
    slow.body.resume()
    expect([slow.bytes, slow.failed]).toEqual([10 * megabyte, null])
  })

  test('beyond what is held only a window stays, and who has fallen out of it is cut', () => {
    const { source, shared, reader, events } = share(8 * megabyte)
    const [quick, slow] = [reader(), reader()]
    shared.begin()
    slow.body.pause()
    let heldMost = 0
    for (let number = 0; number < 100; number++) {
      source.sink.chunk(new Uint8Array(megabyte / 4))
      heldMost = Math.max(heldMost, shared.heldBytes)
    }
    expect(heldMost).toBeLessThanOrEqual(9 * megabyte)
    expect(shared.heldBytes).toBeLessThanOrEqual(5 * megabyte)
    expect([slow.failed?.fault, quick.bytes, shared.whole]).toEqual(['reset', 25 * megabyte, false])
    source.sink.end()
    expect([quick.ended, events.whole]).toEqual([true, null])
  })

  test('the upstream pauses while even the fastest is behind, and goes on with it', () => {
    const { source, shared, reader } = share(64 * megabyte)
    const [one, two] = [reader(), reader()]
    shared.begin()
    one.body.pause()
    two.body.pause()
    for (let number = 0; number < 4; number++) source.sink.chunk(new Uint8Array(100 * 1024))
    expect(source.paused).toBe(true)
    two.body.resume()
    expect([source.paused, two.bytes, one.bytes]).toEqual([false, 400 * 1024, 0])
    // A lone reader is never cut, however slow.
    two.body.abort()
    expect(source.paused).toBe(true)
  })

  test('the owner is read on without its client while others read, and the source is given up when none does', () => {
    const { source, shared, reader } = share(megabyte)
    const [owner, other] = [reader(), reader()]
    shared.begin()
    owner.body.pause()
    source.sink.chunk(Buffer.from('a'))
    owner.body.abort()
    source.sink.chunk(Buffer.from('b'))
    expect([owner.text, other.text, source.aborted]).toEqual(['ab', 'ab', false])
    other.body.abort()
    expect(source.aborted).toBe(true)
  })
})
