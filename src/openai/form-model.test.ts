import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { FormModel } from './form-model.ts'

const boundary = 'X-boundary'
const type = `multipart/form-data; boundary=${boundary}`

interface Part {
  readonly name: string
  readonly value: string
  readonly file?: boolean
}

function form(parts: readonly Part[]): Buffer {
  const texts = parts.map(
    ({ name, value, file = false }) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file ? '; filename="a.wav"' : ''}\r\n` +
      `${file ? 'Content-Type: audio/wav\r\n' : ''}\r\n${value}\r\n`,
  )
  return Buffer.from(`${texts.join('')}--${boundary}--\r\n`)
}

function read(body: Uint8Array, sizes: readonly number[], contentType = type): string | null {
  const model = FormModel.of(contentType)!
  let at = 0
  for (let turn = 0; at < body.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? body.length)
    model.add(body.subarray(at, at + size))
    at += size
  }
  return model.model
}

const fakes = [
  '\r\nContent-Disposition: form-data; name="model"\r\n\r\ndear-model\r\n',
  `x--${boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\ndear-model\r\n`,
  `\r\n--${boundary.slice(0, -1)}\r\nContent-Disposition: form-data; name="model"\r\n\r\ndear-model\r\n--`,
]

test('the model of a form, however it is cut into pieces, wherever it stands', () => {
  const filler = fc.record({
    name: fc.constantFrom('file', 'prompt', 'model2', 'xmodel', 'language'),
    value: fc.oneof(fc.string({ maxLength: 300 }), fc.constantFrom(...fakes)),
    file: fc.boolean(),
  })
  fc.assert(
    fc.property(
      fc.array(filler, { maxLength: 4 }),
      fc.array(filler, { maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 }),
      (before, after, sizes) => {
        const named = { name: 'model', value: 'whisper-1' }
        expect(read(form([...before, named, ...after]), sizes)).toBe('whisper-1')
        expect(read(form([...before, ...after]), sizes)).toBeNull()
      },
    ),
  )
})

test('odd forms', () => {
  const one = (value: string, more: Partial<Part> = {}) => ({ name: 'model', value, ...more })
  expect(read(form([one('a'), one('a')]), [7])).toBe('a')
  expect(read(form([one('a'), one('b')]), [7])).toBeNull()
  expect(read(form([one('')]), [3])).toBeNull()
  expect(read(form([one('a', { file: true })]), [5])).toBeNull()
  expect(read(form([one('m'.repeat(256))]), [1000])).toBe('m'.repeat(256))
  expect(read(form([one('m'.repeat(5000))]), [100])).toBeNull()
  expect(read(form([{ name: 'file', value: 'x'.repeat(100_000), file: true }, one('a')]), [16_384])).toBe('a')
  expect(read(form([one('a')]).subarray(0, 60), [5])).toBeNull()
  expect(
    read(
      form([one('gpt-4o-transcribe')]),
      [11],
      `Multipart/Form-Data; charset=utf-8; boundary="${boundary}"`,
    ),
  ).toBe('gpt-4o-transcribe')
  for (const other of [null, 'application/json', 'multipart/form-data', 'multipart/mixed; boundary=a'])
    expect(FormModel.of(other)).toBeNull()
})
