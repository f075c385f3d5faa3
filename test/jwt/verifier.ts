// A verifier as the gateway has it, in this process, with its keys in a file and a clock that tests set.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/base/clock.ts'
import { Failure } from '../../src/failure.ts'
import type { Principal } from '../../src/exchange.ts'
import { invalidKey } from '../../src/stages/2-authenticate/invalid-key.ts'
import { createTokens, type IssuerOptions, type Tokens } from '../../src/stages/2-authenticate/jwt.ts'
import { JwtKeeper } from '../../src/stages/2-authenticate/jwt-keeper.ts'
import { audience, issuer } from './tokens.ts'

export const plainIssuer: Omit<IssuerOptions, 'jwksFile' | 'jwksUrl'> = {
  issuer,
  audience: [audience],
  tls: { caFile: null },
  algorithms: ['RS256'],
  claims: { user: 'sub', team: 'org' },
  required: [],
  clockTolerance: 30_000,
  refresh: 300_000,
  stale: 86_400_000,
  revoked: [],
}

/** A clock whose two hands are set by hand. */
export class HandClock implements Clock {
  elapsedMs = 1_000
  shownMs: number

  constructor(wallMs = Date.now()) {
    this.shownMs = wallMs
  }

  nowMs(): number {
    return this.elapsedMs
  }

  wallMs(): number {
    return this.shownMs
  }

  /** Time passes. */
  pass(ms: number): void {
    this.elapsedMs += ms
    this.shownMs += ms
  }
}

/** Tokens of issuers, each with these keys. */
export function verifierOf(
  jwks: unknown,
  more: Partial<IssuerOptions> = {},
  clock: Clock = new HandClock(),
  keeper = new JwtKeeper({ clock, tell: () => {} }),
): Tokens {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-jwks-'))
  try {
    const jwksFile = join(folder, 'jwks.json')
    writeFileSync(jwksFile, JSON.stringify(jwks))
    return createTokens([{ ...plainIssuer, jwksFile, ...more }], keeper)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The principal behind a token; or why it was refused; or 'not a token' where it is left to other kinds. */
export function judge(tokens: Tokens, token: string): Principal | string {
  try {
    const found = tokens.identify(token)
    if (found === null) return 'not a token'
    if (found instanceof Promise) throw new Error('it waits for keys')
    return found
  } catch (cause) {
    if (!(cause instanceof Failure) || cause.code !== 'invalid_api_key') throw cause
    if (cause.message !== invalidKey().message) throw new Error(`the text differs: ${cause.message}`)
    return cause.detail ?? ''
  }
}
