import { expect, test } from 'bun:test'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { createCors } from './cors.ts'

const block = (...lines: string[]) => HeaderBlock.parse(lines.map((line) => `${line}\r\n`).join(''))!
const asking = (method: string, ...lines: string[]) => ({
  method,
  path: '/v1/models',
  query: '',
  headers: block(...lines),
  body: null,
  peerAddress: '127.0.0.1',
  upgrade: null,
})
const app = 'Origin: https://app.example.com'
const wants = 'Access-Control-Request-Method: POST'
const cors = createCors({ origins: ['https://app.example.com'], maxAge: 600_000 })

test('a listed origin is named, any other and none is not', () => {
  expect(cors.lines(block(app))).toMatch(
    /^Vary: Origin\r\nAccess-Control-Allow-Origin: https:\/\/app\.example\.com\r\nAccess-Control-Expose-Headers: [^\r\n]+\r\n$/,
  )
  for (const other of [
    'Origin: https://app.example.com.evil.test',
    'Origin: https://evil.test',
    'Origin: http://app.example.com',
    'Origin: https://app.example.com:8443',
    'Origin: https://APP.example.com',
    'Origin: null',
    'Origin:',
    'Origin: *',
    'X-Origin: https://app.example.com',
  ])
    expect(cors.lines(block(other))).toBe('Vary: Origin\r\n')
  expect(cors.lines(block(app, app))).toBe('Vary: Origin\r\n')
})

test('any origin is answered with a star, never with credentials', () => {
  const any = createCors({ origins: ['*'], maxAge: 0 })
  expect(any.lines(block('Origin: https://x.test'))).toStartWith('Access-Control-Allow-Origin: *\r\n')
  expect(any.lines(block('Origin: https://x.test'))).not.toMatch(/credentials|Vary/i)
  expect(any.lines(block())).toBe('')
})

test('a preflight is one only with all its marks', () => {
  expect(cors.preflight(asking('OPTIONS', app, wants))).toContain('Access-Control-Allow-Methods: GET, POST,')
  expect(cors.preflight(asking('OPTIONS', app))).toBeNull()
  expect(cors.preflight(asking('OPTIONS', wants))).toBeNull()
  expect(cors.preflight(asking('POST', app, wants))).toBeNull()
  expect(cors.preflight(asking('OPTIONS', 'Origin: https://evil.test', wants))).toBeNull()
})

test('the fields asked for are allowed where they are names', () => {
  const allowed = (asked: string, own?: string[]) => {
    const by = own === undefined ? cors : createCors({ origins: ['*'], headers: own, maxAge: 1000 })
    const lines = by.preflight(asking('OPTIONS', app, wants, `Access-Control-Request-Headers: ${asked}`))!
    return /^Access-Control-Allow-Headers: (.*)\r$/m.exec(lines)?.[1] ?? null
  }
  expect(allowed('authorization,content-type, x-stainless-os')).toBe(
    'authorization,content-type, x-stainless-os',
  )
  for (const odd of ['', 'a b', 'a,,b', 'a;b', 'a"', 'é', `${'a,'.repeat(3000)}a`])
    expect(allowed(odd)).toBeNull()
  expect(allowed('x-evil', ['Authorization', 'Content-Type'])).toBe('Authorization, Content-Type')
})
