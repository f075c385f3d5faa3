// Rule 3: usage of streams is always asked for, and what that adds is taken out again by cutting bytes.

import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { lastFrameEnd, SseFrames } from './sse.ts'
import { askForUsage, withoutUsage } from './include-usage.ts'

const data = process.env['HEADGATE_TEST_DATA'] ?? resolve(import.meta.dir, '../../../shared/data')
const streams = join(data, 'streams')
const there = existsSync(streams)

function asked(body: string): string | null {
  const made = askForUsage(Buffer.from(body))
  return made === null ? null : Buffer.from(made).toString()
}

describe('rule 3: a request', () => {
  test.each([
    ['{"stream":true}', '{"stream_options":{"include_usage":true},"stream":true}'],
    [
      ' \n{ "model":"é", "stream" :\ttrue }',
      ' \n{"stream_options":{"include_usage":true}, "model":"é", "stream" :\ttrue }',
    ],
    ['{"stream":true,"stream_options":null}', '{"stream":true,"stream_options":{"include_usage":true}}'],
    ['{"stream_options": null ,"stream":true}', '{"stream_options": {"include_usage":true} ,"stream":true}'],
    ['{"stream":true,"stream_options":{}}', '{"stream":true,"stream_options":{"include_usage":true}}'],
    ['{"stream":true,"stream_options":{ }}', '{"stream":true,"stream_options":{"include_usage":true }}'],
    [
      '{"stream":true,"stream_options":{"include_obfuscation":false}}',
      '{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}',
    ],
    [
      '{"stream":true,"stream_options":{"include_usage":false,"x":1}}',
      '{"stream":true,"stream_options":{"include_usage":true,"x":1}}',
    ],
    [
      '{"stream":true,"stream_options":{"x":{"include_usage":1},"include_usage" : null}}',
      '{"stream":true,"stream_options":{"x":{"include_usage":1},"include_usage" : true}}',
    ],
  ])('%s', (body, expected) => {
    expect(asked(body)).toBe(expected)
  })

  test.each([
    ['no stream', '{"model":"x"}'],
    ['not literally true', '{"stream":"true"}'],
    ['a number', '{"stream":1}'],
    ['false', '{"stream":false}'],
    ['true and more', '{"stream":truest}'],
    ['asked for by the client', '{"stream":true,"stream_options":{"include_usage":true}}'],
    ['of another type', '{"stream":true,"stream_options":{"include_usage":"yes"}}'],
    ['options of another type', '{"stream":true,"stream_options":[]}'],
    ['options that are text', '{"stream":true,"stream_options":"x"}'],
    ['stream twice', '{"stream":true,"stream":true}'],
    ['options twice', '{"stream":true,"stream_options":null,"stream_options":{}}'],
    ['the member twice', '{"stream":true,"stream_options":{"include_usage":false,"include_usage":false}}'],
    ['a name with escapes', '{"stream":true,"stream\\u005foptions":{"include_usage":false}}'],
    ['not outermost', '{"metadata":{"stream":true}}'],
    ['in a text', '{"messages":[{"content":"\\"stream\\": true, \\"stream\\""}]}'],
    ['a list', '[{"stream":true}]'],
    ['cut off', '{"stream":true'],
    ['nothing', ''],
  ])('%s is left as it is', (_, body) => {
    expect(askForUsage(Buffer.from(body))).toBeNull()
  })

  test('whatever else is in it stays byte for byte, and it reads as meant', () => {
    const member = fc.tuple(
      fc.oneof(fc.constantFrom('messages', 'tools', 'stream_option', 'usage', 'a"b'), fc.string()),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(fc.array(member), fc.array(member), fc.nat(3), (before, after, indent) => {
        const object: Record<string, unknown> = {}
        for (const [name, value] of before) object[name] = value
        object['stream'] = true
        for (const [name, value] of after) object[name] = value
        object['stream'] = true
        delete object['stream_options']
        if (Object.hasOwn(object, '__proto__')) return
        const body = JSON.stringify(object, null, indent)
        const made = asked(body)
        // A name at the top written with escapes is in doubt.
        if (made === null) {
          expect(Object.keys(object).some((name) => JSON.stringify(name).includes('\\'))).toBe(true)
          return
        }
        expect(made.replace('"stream_options":{"include_usage":true},', '')).toBe(body)
        expect(JSON.parse(made)).toEqual({ ...JSON.parse(body), stream_options: { include_usage: true } })
      }),
      { numRuns: 500 },
    )
  })

  test('of 32 MB costs little', () => {
    const image = `data:image/png;base64,${'A'.repeat(32 * 1024 * 1024)}`
    const made = asked(JSON.stringify({ messages: [{ content: image }], stream: true }))!
    expect(made.startsWith('{"stream_options":{"include_usage":true},"messages"')).toBe(true)
  })
})

/** What is left of frames, by taking them apart and writing them anew: the slow way round. */
function reference(frames: readonly string[]): string {
  return frames
    .filter((frame) => {
      const json = parsedFrame(frame)
      return !(
        Array.isArray(json?.choices) &&
        json.choices.length === 0 &&
        json.usage !== null &&
        typeof json.usage === 'object'
      )
    })
    .map((frame) => {
      const json = parsedFrame(frame)
      if (json === null || json.usage !== null || !Object.hasOwn(json, 'usage')) return frame
      const rest = { ...json }
      delete rest.usage
      return JSON.stringify(rest)
    })
    .join('|')
}

function parsedFrame(frame: string): { choices?: unknown; usage?: unknown } | null {
  try {
    return JSON.parse(frame.replace(/^data: /, '')) as object
  } catch {
    return null
  }
}

function cut(text: string): string {
  const bytes = Buffer.from(text)
  return Buffer.from(withoutUsage(bytes, bytes.indexOf('"usage"'))).toString()
}

/** Through the framer, in pieces of `size`. */
function streamed(whole: Buffer, size: number): string {
  const frames = new SseFrames(1e9)
  const out: Uint8Array[] = []
  const pass = (bytes: Uint8Array | null): void => {
    if (bytes === null) return
    const from = Buffer.prototype.indexOf.call(bytes, '"usage"')
    out.push(from < 0 ? bytes : withoutUsage(bytes, from))
  }
  for (let at = 0; at < whole.length; at += size) pass(frames.push(whole.subarray(at, at + size)))
  pass(frames.rest())
  return Buffer.concat(out).toString()
}

describe('rule 3: a stream', () => {
  test.each([
    ['data: {"choices":[{"delta":{}}],"usage":null}\n\n', 'data: {"choices":[{"delta":{}}]}\n\n'],
    ['data: {"usage":null,"choices":[{}]}\n\n', 'data: {"choices":[{}]}\n\n'],
    ['data: {"a":1 , "usage" : null , "b":"x}"}\r\n\r\n', 'data: {"a":1  , "b":"x}"}\r\n\r\n'],
    ['data: {"usage":null}\n\n', 'data: {}\n\n'],
    ['data: {"choices":[],"usage":{"prompt_tokens":1}}\n\ndata: [DONE]\n\n', 'data: [DONE]\n\n'],
    [
      'data: {"a":1,"usage":null}\n\n: ping\ndata: {"choices":[],"usage":{}}\n\ndata: {"b":2,"usage":null}\n\n',
      'data: {"a":1}\n\ndata: {"b":2}\n\n',
    ],
    ['data: {"choices":[],"usage":{"prompt_tokens":1}}', ''],
    ['data: {"choices":[],"usage":{"a":1}}\r\rdata: {"c":1,"usage":null}\r\r', 'data: {"c":1}\r\r'],
  ])('%j', (text, expected) => {
    expect(cut(text)).toBe(expected)
  })

  test.each([
    ['with its choices', 'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}\n\n'],
    ['deeper down', 'data: {"choices":[{"usage":null}],"x_groq":{"usage":null}}\n\n'],
    ['in a text', 'data: {"choices":[{"delta":{"content":"\\"usage\\":null}"}}]}\n\n'],
    ['over two lines', 'data: {"choices":[{}],\ndata: "usage":null\ndata: }\n\n'],
    ['cut off', 'data: {"choices":[{}],"usage":null'],
    ['broken', 'data: {"choices":[],"usage":{\n\n'],
    ['not null', 'data: {"usage":nul}\n\n'],
    ['content filter results without usage', 'data: {"choices":[],"prompt_filter_results":[]}\n\n'],
  ])('usage %s stays', (_, text) => {
    const bytes = Buffer.from(text)
    expect(withoutUsage(bytes, bytes.indexOf('"usage"'))).toBe(bytes)
  })

  const files = there ? [...new Bun.Glob('*/*.chunks.txt').scanSync(streams)].sort() : []

  test.skipIf(!there)(
    'of every provider, as a slow reference says, cut at every byte (needs the test data)',
    () => {
      expect(files.length).toBeGreaterThan(70)
      for (const file of files) {
        // One recording has megabytes of images: its frames count, not its length.
        const lines = readFileSync(join(streams, file), 'utf8')
          .split('\n')
          .filter((line) => line !== '')
        const frames = lines.map((line) => `data: ${line}`)
        // One recording lacks a bracket; it is of an endpoint where nothing is asked for or cut.
        if (frames.some((frame) => parsedFrame(frame) === null)) continue
        const whole = Buffer.from(frames.map((frame) => `${frame}\n\n`).join('') + 'data: [DONE]\n\n')
        const once = streamed(whole, whole.length)
        const left = once.split('\n\n').slice(0, -2)
        expect([file, left.map((frame) => comparable(frame, frames)).join('|')]).toEqual([
          file,
          reference(frames),
        ])
        // However it is cut, the same comes out.
        for (const size of whole.length < 60_000 ? [1, 2, 3, 7, 64] : [997])
          expect([file, size, streamed(whole, size) === once]).toEqual([file, size, true])
      }
    },
    60_000,
  )

  test.skipIf(!there)(
    'split in two at every byte gives the same (needs the test data)',
    () => {
      for (const file of [
        'openai-compatible/xai-text.chunks.txt',
        'deepseek/deepseek-tool-call.chunks.txt',
      ]) {
        const lines = readFileSync(join(streams, file), 'utf8')
          .split('\n')
          .filter((line) => line !== '')
        const whole = Buffer.from(
          lines
            .slice(-12)
            .map((line) => `data: ${line}\n\n`)
            .join('') + 'data: [DONE]\n\n',
        )
        const once = streamed(whole, whole.length)
        for (let at = 1; at < whole.length; at++) {
          const frames = new SseFrames(1e9)
          const out: Uint8Array[] = []
          for (const piece of [whole.subarray(0, at), whole.subarray(at)]) {
            const bytes = frames.push(piece)
            if (bytes === null) continue
            expect(lastFrameEnd(bytes)).toBe(bytes.length)
            out.push(withoutUsage(bytes, Buffer.prototype.indexOf.call(bytes, '"usage"')))
          }
          expect([file, at, Buffer.concat(out).toString() === once]).toEqual([file, at, true])
        }
      }
    },
    60_000,
  )

  test('made-up frames never make it throw, and what stays is a part of what came', () => {
    const part = fc.constantFrom(
      'data: ',
      '"usage"',
      ':',
      ' ',
      '{',
      '}',
      'null',
      '\n',
      '\n\n',
      '"choices":[]',
      ',',
      '\r',
      '"x"',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 24 }), (parts) => {
        const bytes = Buffer.from(parts.join(''))
        const left = withoutUsage(bytes, bytes.indexOf('"usage"'))
        expect(left.length).toBeLessThanOrEqual(bytes.length)
      }),
      { numRuns: 1000 },
    )
  })
})

/** A frame as `reference` writes it: as it came where nothing was cut, else its JSON. */
function comparable(frame: string, originals: readonly string[]): string {
  return originals.includes(frame) ? frame : JSON.stringify(JSON.parse(frame.replace(/^data: /, '')))
}
