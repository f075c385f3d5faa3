import { expect, test } from 'bun:test'
import { createClientKey } from '../base/client-key.ts'
import { findLiteralKeys, maskKeys } from './literal-keys.ts'

const random = 'aB3dE5gH7jK9mN1pQ3sT5vX7zA2cE4gI6kM8'

test("text of a live key's shape is found, with its place", () => {
  const cases: [string, string][] = [
    [`sk-${random}`, 'an OpenAI key'],
    [`sk-proj-${random}_-${random}`, 'an OpenAI key'],
    [`sk-svcacct-${random}`, 'an OpenAI key'],
    [`sk-ant-api03-${random}`, 'an Anthropic key'],
    [`sk-or-v1-${random}`, 'an OpenRouter key'],
    [createClientKey('live'), 'a Headgate client key'],
    ['AKIAIOSFODNN7EXAMPLE', 'an AWS access key'],
    [`gsk_${random}`, 'a Groq key'],
    [`xai-${random}`, 'an xAI key'],
    [`AIza${random.slice(0, 35)}`, 'a Google API key'],
    [`ghp_${random}`, 'a GitHub token'],
    [`github_pat_${random}`, 'a GitHub token'],
    [`hf_${random}`, 'a Hugging Face token'],
    [`xoxb-${random}`, 'a Slack token'],
    ['-----BEGIN RSA PRIVATE KEY-----', 'a private key'],
  ]
  for (const [key, kind] of cases) {
    expect([key, findLiteralKeys(`# first\n  - "${key}"\n`)]).toEqual([key, [{ line: 2, column: 6, kind }]])
    if (kind !== 'a private key') expect(maskKeys(`before ${key} after`)).toBe('before [key] after')
  }
})

test('placeholders, hashes, names and references are left alone', () => {
  const text = [
    'sk-...',
    'sk-your-openai-api-key-goes-here',
    'sk-test-123',
    `task-${random}`,
    `hg_dev_${'a'.repeat(46)}`,
    `sha256:${'0a'.repeat(32)}`,
    '${env:OPENAI_API_KEY}',
    'AKIA123',
    'risk-assessment-2024-with-numbers-12345678',
  ].join('\n')
  expect(findLiteralKeys(text)).toEqual([])
  expect(maskKeys(text)).toBe(text)
})
