import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { redactErrorBody, redactKeys } from './errors.ts'

const alphabet = Array.from('abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNOPQRSTUVWXYZ0123456789')
const random = (min: number, max: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength: min, maxLength: max })

describe('what looks like a credential is taken out', () => {
  test.each([
    [
      'Incorrect API key provided: sk-proj-****...****abcd. You can find',
      'Incorrect API key provided: [removed] You can find',
    ],
    ['key sk-abc***xyz', 'key [removed]'],
    ['key sk-svcacct-AbC_12-x given', 'key [removed] given'],
    ['for organization org-AbCdEfGhIjKlMnOpQrStUvWx on requests', 'for organization [removed] on requests'],
    ['Project `proj_X1YYtS0rq` does not have access', 'Project `[removed]` does not have access'],
    ['authorization: bearer abc.def/ghi=', 'authorization: bearer [removed]'],
    ['"Bearer abcdef"', '"Bearer [removed]"'],
    ['gsk_a1b2c3d4e5, xai-a1b2c3d4, hg_prod_a1b2c3', '[removed], [removed], [removed]'],
    ['AIzaSyA1234567890abcdefg', '[removed]'],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', '[removed]'],
    ['no prefix: 0a1b****9f8e', 'no prefix: [removed]'],
    ['dots: 0a1b•••••', 'dots: [removed]'],
  ])('%s', (text, clean) => {
    expect(redactKeys(text)).toBe(clean)
  })
})

test.each([
  'risk-free task-list desk-top sk-SK org-wide org-specific user-agent user-friendly key-value',
  'You exceeded your current quota, see https://platform.openai.com/docs/guides/error-codes/api-errors.',
  'Model `gpt-4o-2024-08-06` needs **max_tokens** of 3 * 4 or less *** (req_0123456789abcdef)',
  'The bearer of it',
])('ordinary words stay: %s', (text) => {
  expect(redactKeys(text)).toBe(text)
})

test('no key of any known shape survives, wherever it stands', () => {
  const prefix = fc.constantFrom('sk-', 'sk-proj-', 'sk-ant-api03-', 'sk-svcacct-', 'sk_live_')
  const around = fc.constantFrom(' ', '"', '`', ': ', '=', '(', '/', '\n', '')
  fc.assert(
    fc.property(prefix, random(8, 80), around, (prefix, secret, edge) => {
      const clean = redactKeys(`Incorrect key${edge === '' ? ' ' : edge}${prefix}${secret}${edge} given`)
      expect(clean).not.toContain(secret.slice(0, 6))
    }),
  )
})

test('no part of 8 characters of a key we hold survives, whatever its shape', () => {
  fc.assert(
    fc.property(random(12, 60), fc.nat(50), fc.nat(60), fc.string(), (secret, from, length, noise) => {
      const part = secret.slice(from, from + length)
      const clean = redactKeys(`${noise}${part}${noise} ${secret}`, [secret])
      for (let at = 0; at + 8 <= secret.length; at++) expect(clean).not.toContain(secret.slice(at, at + 8))
    }),
  )
})

test('two held keys that overlap in the text', () => {
  const clean = redactKeys('xxABCDEFGHIJ12345678yy', ['ABCDEFGHIJ', 'GHIJ12345678'])
  expect(clean).toBe('xx[removed]yy')
})

test('redacting twice changes nothing more', () => {
  fc.assert(
    fc.property(fc.string(), random(0, 30), (text, secret) => {
      const once = redactKeys(`${text} sk-${secret} Bearer ${secret}`)
      expect(redactKeys(once)).toBe(once)
    }),
  )
})

test('time is linear in what an upstream sends', () => {
  // Each of these takes minutes where a pattern backtracks over the whole text; the test's own time-out is the measure.
  const count = 100_000
  for (const piece of [
    'sk-',
    '*',
    'a',
    'a-',
    'a**',
    'Bearer ',
    'Bearer\t',
    ' ',
    'org-',
    'org-aaaaaaaaaaaaaaa',
    'eyJ',
    '*a',
    '•',
  ]) {
    expect(redactKeys(piece.repeat(count)).length).toBeGreaterThan(0)
    expect(redactKeys(`Bearer${piece.repeat(count)}`, ['aaaaaaaaaaaaaaaa']).length).toBeGreaterThan(0)
  }
})

describe('error bodies', () => {
  test('JSON is redacted as it reads, names too', () => {
    const body =
      '{"error":{"message":"bad sk\\u002dabcdef123","proj_a1b2c3":[1,null,"org-1a2b3c4d"],"__proto__":{"x":true}}}'
    const clean = redactErrorBody(body)
    expect(clean).toBe(
      '{"error":{"message":"bad [removed]","[removed]":[1,null,"[removed]"],"__proto__":{"x":true}}}',
    )
  })

  test('a body with nothing to take out stays the same, byte for byte', () => {
    const body = '{ "error" : {"message":"Country not supported \\u00e9","n":1.0} }'
    expect(redactErrorBody(body)).toBe(body)
  })

  test('what is no JSON is redacted as text', () => {
    expect(redactErrorBody('<html>sk-abcdef</html>')).toBe('<html>[removed]</html>')
    expect(redactErrorBody('')).toBe('')
    const deep = `${'['.repeat(100_000)}"sk-abcdef"${']'.repeat(100_000)}`
    expect(redactErrorBody(deep)).not.toContain('sk-abcdef')
  })

  test('a held key is taken out of JSON', () => {
    expect(redactErrorBody('{"message":"0123456789abcdef is wrong"}', ['0123456789abcdef'])).toBe(
      '{"message":"[removed] is wrong"}',
    )
  })
})
