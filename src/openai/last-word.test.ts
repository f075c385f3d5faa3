import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { LastWord, streamKind, type StreamKind } from './last-word.ts'

/** The stream in pieces, cut where `cuts` say. */
function said(kind: StreamKind, text: string, cuts: readonly number[] = []): boolean {
  const word = new LastWord(kind)
  const bytes = Buffer.from(text)
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), 0, bytes.length].toSorted(
    (a, b) => a - b,
  )
  for (let index = 1; index < places.length; index++) {
    const piece = bytes.subarray(places[index - 1], places[index])
    if (piece.length > 0) word.see(piece)
  }
  return word.said
}

const delta = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
const created = 'event: response.created\ndata: {"type":"response.created","response":{"error":null}}\n\n'
const long = JSON.stringify('text '.repeat(200))

const whole: Record<StreamKind, string[]> = {
  chat: [
    `${delta}data: [DONE]\n\n`,
    `${delta}data:[DONE]`,
    `${delta}data: [DONE]\r\n\r\n`,
    'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    'data: {"choices":[{"delta":{},"finish_reason": "length"}]}\n\ndata: {"choices":[],"usage":{}}\n\n',
    `${delta}data: {"error":{"message":"overloaded"}}\n\n`,
  ],
  responses: ['completed', 'incomplete', 'failed'].flatMap((name) => [
    `${created}event: response.${name}\ndata: {"type":"response.${name}","response":{"output":${long}}}\n\n`,
    `${created}data: {"sequence_number":1,"type": "response.${name}"}\n\n`,
  ]),
}
whole.responses.push(
  `${created}event: error\ndata: {"type":"error","code":"x"}\n\n`,
  `${created}event: error\ndata: {"code":"x"}\n\n`,
)

const cut: Record<StreamKind, string[]> = {
  chat: [
    '',
    '\n\n',
    ': keep-alive\n\n',
    delta,
    delta.repeat(5),
    'data: {"choices":[{"delta":{"content":"data: [DONE]"},"finish_reason":null}]}\n\n',
    'data: {"choices":[{"delta":{"content":"\\n[DONE]\\n"},"finish_reason" :null}]}\n\n'.replace('" :', '":'),
    'data: {"choices":[{"delta":{"content":"\\"finish_reason\\":\\"stop\\""},"finish_reason": null}]}\n\n',
    'data: {"choices":[],"error":null}\n\n',
  ],
  responses: [
    '',
    created,
    'data: {"type":"response.created","response":{"metadata":{"type":"error"}}}\n\n',
    'data: {"type":"response.output_text.delta","delta":"response.completed"}\n\n',
    'data: {"type":"response.output_text.delta","delta":"\\"type\\":\\"response.completed\\""}\n\n',
    `${created}data: {"type":"response.completed_not","response":{}}\n\n`,
  ],
}

test('what has come to its end is told from what was cut, however it comes in pieces', () => {
  for (const kind of ['chat', 'responses'] as const) {
    for (const text of whole[kind]) expect({ text, said: said(kind, text) }).toEqual({ text, said: true })
    for (const text of cut[kind]) expect({ text, said: said(kind, text) }).toEqual({ text, said: false })
    fc.assert(
      fc.property(
        fc.constantFrom(...whole[kind].slice(0, 4)),
        fc.array(fc.nat(2000), { maxLength: 30 }),
        (text, cuts) => {
          expect(said(kind, text, cuts)).toBe(true)
        },
      ),
    )
    // What lies amid a frame is told from its beginning where that came with it, and is believed where not.
    for (const text of cut[kind].filter((each) => !/\[DONE\]|metadata/.test(each)))
      for (let at = 1; at < text.length; at += 3) expect(said(kind, text, [at])).toBe(false)
  }
})

test('only of some operations is known how they end', () => {
  expect(
    ['chat.completions', 'completions', 'responses', 'images.generations', 'unknown'].map(streamKind),
  ).toEqual(['chat', 'chat', 'responses', null, null])
})
