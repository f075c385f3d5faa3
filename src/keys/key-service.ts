// The contract of the client keys kept in the store: what the command line and the admin API may do with them, and what
// the path of a request asks of them. Looking one up is synchronous and in memory; everything else waits for the store.

import type { Secret } from '../base/secret.ts'
import type { Principal } from '../exchange.ts'
import type { OwnerKind } from '../objects/owner.ts'

/** What a new key is to be. What is left away or null sets no bound. */
export interface KeySpec {
  /** One line, 128 characters at most; no two active keys share one. */
  readonly name: string
  readonly team?: string | null | undefined
  readonly app?: string | null | undefined
  readonly user?: string | null | undefined
  /** Environment, part of the secret's text: 1 to 16 of `a-z0-9`. Absent = `dev`. */
  readonly env?: string | undefined
  /** Model globs. */
  readonly models?: readonly string[] | null | undefined
  /** Operations such as `chat.completions`, or globs of them. */
  readonly endpoints?: readonly string[] | null | undefined
  /** Addresses and CIDR blocks it may be used from. */
  readonly addresses?: readonly string[] | null | undefined
  /** User-agent globs it may be used by. */
  readonly userAgents?: readonly string[] | null | undefined
  /** Wall clock. Must lie ahead. */
  readonly expiresAtMs?: number | null | undefined
  /** Money it may spend, such as `$50/month`; stage 3 enforces it. */
  readonly budget?: string | null | undefined
  /** 16 pairs at most. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** Whether the header fields of `access.identity` are believed from it. */
  readonly mayName?: boolean | undefined
}

/** A key without its secret: safe to show, log and send. Moments are wall clock. */
export interface KeyInfo {
  readonly id: string
  readonly name: string
  readonly env: string
  readonly team: string | null
  readonly app: string | null
  readonly user: string | null
  readonly models: readonly string[] | null
  readonly endpoints: readonly string[] | null
  readonly addresses: readonly string[] | null
  readonly userAgents: readonly string[] | null
  readonly budget: string | null
  readonly metadata: Readonly<Record<string, string>>
  readonly mayName: boolean
  readonly state: 'active' | 'expired' | 'revoked'
  readonly createdAtMs: number
  readonly createdBy: string
  readonly expiresAtMs: number | null
  readonly rotatedAtMs: number | null
  /** Until when the secret before the last rotation works too; null = only the newest one works. */
  readonly previousUntilMs: number | null
  readonly revokedAtMs: number | null
}

/** What a credential comes to: who it is, why it no longer counts, or null = never heard of. */
export type KeyVerdict = Principal | 'expired' | 'revoked' | null

/** The part the path of a request needs. */
export interface KeyLookup {
  /** From memory, without waiting; text without a fitting checksum is turned away before anything is looked up. */
  lookup(credential: string): KeyVerdict
  /** The name of a key, whatever its state; null = there is none. */
  nameOf(id: string): string | null
  /** Owners of objects among the keys that are not revoked: all where there is one at most, else two of them. */
  someOwners(kind: OwnerKind): ReadonlySet<string>
}

/**
 * The keys in the store. Every change is one transaction with its line in the audit table, and is in force in this
 * process when its promise resolves; other processes follow within seconds. `by`: who changes it, for the audit.
 * All of it @throws KeyFailure.
 */
export interface KeyService extends KeyLookup {
  create(spec: KeySpec, by: string): Promise<{ id: string; secret: Secret; key: KeyInfo }>
  /** Newest first. `cursor`: `next` of the page before; `limit`: 1 to 1000. */
  list(page: { limit: number; cursor: string | null }): Promise<{ rows: KeyInfo[]; next: string | null }>
  show(id: string): Promise<KeyInfo>
  /** A new secret; the old one works on for `graceMs`. */
  rotate(id: string, options: { graceMs: number }, by: string): Promise<{ id: string; secret: Secret }>
  /** For good. A second time is a `conflict`. */
  revoke(id: string, by: string): Promise<KeyInfo>
  /** Stops following the store. Lookups still answer. */
  close(): Promise<void>
}

/**
 * Why a change was refused: `invalid` (what was asked for is malformed; `field` names the part), `not_found`, `conflict`
 * (the name is taken, the key is revoked already), `unavailable` (the store cannot be reached: nothing has changed).
 */
export class KeyFailure extends Error {
  constructor(
    readonly code: 'invalid' | 'not_found' | 'conflict' | 'unavailable',
    message: string,
    readonly field: string | null = null,
  ) {
    super(message)
  }
}
