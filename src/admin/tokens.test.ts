import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, chmodSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { plainTokenHash, storedTokenHash } from '../base/admin-token.ts'
import { Secret } from '../base/secret.ts'
import { generatedToken } from './token-file.ts'
import { AdminTokens } from './tokens.ts'

const hash = (text: string): string => `sha256:${plainTokenHash(text).toString('hex')}`

test('each token is its own person with a role; the generated one counts only where none is configured', () => {
  const generated = storedTokenHash('made')
  const tokens = AdminTokens.of(
    {
      token: new Secret('main'),
      tokens: [
        { name: 'ann', role: 'admin', value: new Secret('of-ann') },
        { name: 'bob', role: 'viewer', hash: hash('of-bob') },
      ],
    },
    generated,
  )
  expect(tokens.identify('main')).toEqual({ name: 'admin', role: 'admin' })
  expect(tokens.identify('of-ann')).toEqual({ name: 'ann', role: 'admin' })
  expect(tokens.identify('of-bob')).toEqual({ name: 'bob', role: 'viewer' })
  for (const wrong of ['', 'of-an', 'of-anna', 'made', hash('of-bob'), hash('of-bob').slice(7)])
    expect(tokens.identify(wrong)).toBeNull()
  const alone = AdminTokens.of({ tokens: [] }, generated)
  expect(alone.identify('made')).toEqual({ name: 'admin', role: 'admin' })
  expect(alone.identify(generated.toString('hex'))).toBeNull()
  expect(AdminTokens.of({ tokens: [] }, null).identify('')).toBeNull()
})

test('the file is made once, for this user alone, and mended where others could read it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-token-'))
  try {
    const data = join(folder, 'data')
    const first = generatedToken(data)
    expect(first.fresh).not.toBeNull()
    expect(first.digest.equals(storedTokenHash(first.fresh!.reveal()))).toBe(true)
    const file = join(data, 'admin-token')
    expect(readdirSync(data)).toEqual(['admin-token'])
    expect(readFileSync(file, 'utf8')).not.toContain(first.fresh!.reveal())
    chmodSync(file, 0o644)
    const second = generatedToken(data)
    expect({ fresh: second.fresh, same: second.digest.equals(first.digest) }).toEqual({
      fresh: null,
      same: true,
    })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    for (const text of ['', 'hmac-sha256:', `sha256:${'0'.repeat(64)}`, `hmac-sha256:${'0'.repeat(63)}`]) {
      writeFileSync(file, text)
      expect(() => generatedToken(data)).toThrow('is damaged: delete it')
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
