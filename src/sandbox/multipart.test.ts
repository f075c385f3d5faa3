import { expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { formBoundary, FormReader } from './multipart.ts'

const boundary = '--x-y'
const content = Buffer.from('line\r\n----x-\r\n--x-y not at a start\r\n')
const form = Buffer.concat([
  Buffer.from(`preamble\r\n--${boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n`),
  Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a \\"b\\".bin"\r\nContent-Type: x/y\r\n\r\n`,
  ),
  content,
  Buffer.from(`\r\n--${boundary}--\r\nepilogue`),
])

test('a form reads the same however its bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(form.length), { maxLength: 10 }), (cuts) => {
      const reader = new FormReader(boundary, 10)
      const at = [0, ...cuts.sort((a, b) => a - b), form.length]
      for (let i = 1; i < at.length; i++) reader.push(form.subarray(at[i - 1], at[i]))
      expect(reader.problem).toBeNull()
      expect(reader.complete).toBe(true)
      const [purpose, file] = reader.parts
      expect(Buffer.from(purpose!.content).toString()).toBe('batch')
      expect(file).toMatchObject({
        name: 'file',
        filename: 'a "b".bin',
        contentType: 'x/y',
        size: content.length,
      })
      expect(file!.sha256).toBe(createHash('sha256').update(content).digest('hex'))
      expect(file!.content.length).toBe(10)
    }),
    { numRuns: 200 },
  )
})

test('what is no form says why', () => {
  const cut = new FormReader(boundary, 10)
  cut.push(form.subarray(0, 150))
  expect(cut.complete).toBe(false)
  const nameless = new FormReader('b', 10)
  nameless.push(Buffer.from('--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--'))
  expect(nameless.problem).toBe('a part without a name')
  expect(formBoundary('multipart/form-data; boundary="a b"')).toBe('a b')
  expect(formBoundary('multipart/form-data; charset=utf-8; boundary=abc')).toBe('abc')
  expect(formBoundary('application/json')).toBeNull()
})
