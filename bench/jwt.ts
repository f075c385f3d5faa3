// What a JSON web token costs in stage 2: one that was seen before, and a new one, beside the library `jose` on the same
// tokens. In this process, without a socket: the question is what is added to a request. RS256 with 2048 bits, a key of
// ES256 for comparison; tokens of some 800 bytes, as identity providers make them.

import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { systemClock } from '../src/base/clock.ts'
import { createTokens, type Tokens } from '../src/stages/2-authenticate/jwt.ts'
import { JwtKeeper } from '../src/stages/2-authenticate/jwt-keeper.ts'
import type { Plan } from './main.ts'
import { figure, type Figure } from './report.ts'

const issuer = 'https://idp.bench'
const audience = 'headgate'
const tokenCount = 1_000
const repeats = 200
type Alg = 'RS256' | 'ES256'

export async function benchJwt(plan: Plan): Promise<Figure[]> {
  const pairs: Record<Alg, { publicKey: KeyObject; privateKey: KeyObject }> = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  }
  const keys = Object.entries(pairs).map(([alg, { publicKey }]) => ({
    ...publicKey.export({ format: 'jwk' }),
    kid: alg,
    alg,
  }))
  const jwksFile = join(plan.folder, 'jwks.json')
  writeFileSync(jwksFile, JSON.stringify({ keys }))
  const ours = () => verifier(jwksFile)
  const theirs = createLocalJWKSet({ keys })
  const tokens = {
    RS256: make('RS256', pairs.RS256.privateKey),
    ES256: make('ES256', pairs.ES256.privateKey),
  }
  const us = { seen: [] as number[], RS256: [] as number[], ES256: [] as number[], jose: [] as number[] }
  // The first rounds warm up what is measured in the others.
  for (let round = -2; round < plan.rounds; round++) {
    const verify = ours()
    const fresh = (alg: Alg) => each(tokens[alg], (token) => verify.identify(token))
    const one = { RS256: fresh('RS256'), ES256: fresh('ES256'), seen: 0, jose: 0 }
    for (let repeat = 0; repeat < repeats; repeat++) one.seen += fresh('RS256') / repeats
    one.jose = await eachAsync(tokens.RS256, (token) => jwtVerify(token, theirs, { issuer, audience }))
    if (round >= 0) for (const key of ['seen', 'RS256', 'ES256', 'jose'] as const) us[key].push(one[key])
  }
  const label = { bench: 'jwt', unit: 'µs CPU' }
  return [
    figure({ ...label, what: 'a token seen before', atMost: 3 }, us.seen),
    figure({ ...label, what: 'a new RS256 token', atMost: 300 }, us.RS256),
    figure({ ...label, what: 'a new ES256 token' }, us.ES256),
    figure({ ...label, what: 'a new RS256 token, jose' }, us.jose),
    figure(
      { ...label, unit: '', what: 'new RS256 ÷ jose' },
      us.RS256.map((value, at) => value / us.jose[at]!),
    ),
  ]
}

function verifier(jwksFile: string): Tokens {
  const keeper = new JwtKeeper({ clock: systemClock, tell: () => {} })
  const rules = { claims: { user: 'sub', team: 'org', models: 'models' }, required: [], revoked: [] }
  const times = { clockTolerance: 30_000, refresh: 300_000, stale: 86_400_000 }
  const options = { issuer, audience: [audience], jwksFile, tls: { caFile: null }, ...rules, ...times }
  return createTokens([{ ...options, algorithms: ['RS256', 'ES256'] }], keeper)
}

function make(alg: Alg, privateKey: KeyObject): string[] {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(systemClock.wallMs() / 1000) + 3600
  return Array.from({ length: tokenCount }, (_, index) => {
    const claims = { iss: issuer, aud: audience, sub: `user-${index}`, org: 'core', exp, iat: exp - 3600 }
    const more = {
      jti: `id-${index}`,
      scope: 'openid profile email',
      models: ['gpt-4o*', 'o3'],
      pad: 'x'.repeat(120),
    }
    const text = `${encode({ alg, kid: alg, typ: 'JWT' })}.${encode({ ...claims, ...more })}`
    const key = alg === 'ES256' ? { key: privateKey, dsaEncoding: 'ieee-p1363' as const } : privateKey
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  })
}

/** µs of processor time since the process began: what others do meanwhile on this machine is not counted. */
function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** µs a token. */
function each(tokens: readonly string[], act: (token: string) => unknown): number {
  const begunUs = cpuUs()
  for (const token of tokens) act(token)
  return (cpuUs() - begunUs) / tokens.length
}

async function eachAsync(
  tokens: readonly string[],
  act: (token: string) => Promise<unknown>,
): Promise<number> {
  const begunUs = cpuUs()
  for (const token of tokens) await act(token)
  return (cpuUs() - begunUs) / tokens.length
}
