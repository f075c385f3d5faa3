// What the client keys of any store promise, whichever database is below. One suite, run on each.

import { describe, expect, test } from 'bun:test'
import { sql } from 'kysely'
import { isWellFormedClientKey } from '../../src/base/client-key.ts'
import type { Secret } from '../../src/base/secret.ts'
import { KeyFailure, type KeyInfo, type KeySpec } from '../../src/keys/key-service.ts'
import type { StoredKeys } from '../../src/keys/stored-keys.ts'
import { audit, readAudit } from '../../src/storage/audit.ts'
import type { Storage } from '../../src/storage/open.ts'

/** A process that has the store open. */
export interface Opened {
  readonly storage: Storage
  readonly keys: StoredKeys
  readonly revoked: string[]
  readonly events: string[]
}

export interface World {
  /** Another process on the same store. */
  open(): Promise<Opened>
  /** Wall clock of all processes. */
  time: { ms: number }
  /** All that the database holds, as text. */
  dump(): Promise<string>
}

let count = 0
const fresh = (): string => `key number ${++count}`

/** Text that has broken others: quotes, SQL, HTML, odd Unicode, printf, paths, very long. */
const naughty = [
  `'; DROP TABLE keys; --`,
  `" OR ""="`,
  `Robert'); DELETE FROM audit;--`,
  `$1 $2 ? :name @p`,
  `\\'; select pg_sleep(10)--`,
  `%s%n%00 {{7*7}} \${7*7}`,
  `<script>alert(1)</script>`,
  `../../etc/passwd`,
  `=cmd|' /C calc'!A0`,
  `Ω≈ç√∫˜µ≤≥÷ 社會科學院 👩‍👩‍👧‍👦 é é`,
  `null`,
  `__proto__`,
  `x`.repeat(128),
]

async function failure(promise: Promise<unknown>): Promise<KeyFailure> {
  const cause = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(cause).toBeInstanceOf(KeyFailure)
  return cause as KeyFailure
}

async function eventually(done: () => boolean): Promise<void> {
  const endsAtMs = performance.now() + 20_000
  while (!done()) {
    if (performance.now() > endsAtMs) throw new Error('waited 20 s')
    await Bun.sleep(10)
  }
}

/** The suite. `world` is asked for inside the tests, once the store is there. */
export function keysContract(name: string, world: () => World): void {
  describe(name, () => {
    oneProcess(world)
    texts(world)
    atOnce(world)
    severalProcesses(world)
    secrecy(world)
  })
}

function oneProcess(world: () => World): void {
  test('a new key opens, with what it was given', async () => {
    const { keys } = await world().open()
    const spec: KeySpec = {
      name: fresh(),
      team: 'core',
      app: 'web',
      user: 'ann',
      env: 'prod',
      models: ['gpt-4o*', 'gpt-4o*', 'o3'],
      endpoints: ['chat.completions', 'vector_stores.*'],
      addresses: ['10.0.0.0/8', '2001:DB8::1'],
      userAgents: ['curl/*'],
      expiresAtMs: world().time.ms + 1000,
      budget: '$50/month',
      metadata: { cost: 'R&D' },
      mayName: true,
    }
    const { id, secret, key } = await keys.create(spec, 'cli:ann')
    expect(secret.reveal()).toMatch(/^hg_prod_[A-Za-z0-9]{46}$/)
    expect(isWellFormedClientKey(secret.reveal())).toBe(true)
    expect(key).toMatchObject({
      id,
      name: spec.name,
      state: 'active',
      models: ['gpt-4o*', 'o3'],
      addresses: ['10.0.0.0/8', '2001:db8::1/128'],
      budget: '$50/month',
      metadata: { cost: 'R&D' },
      createdBy: 'cli:ann',
      previousUntilMs: null,
    })
    expect(await keys.show(id)).toEqual(key)
    expect(keys.lookup(secret.reveal())).toEqual({
      kind: 'key',
      key: spec.name,
      budget: '$50/month',
      keyId: id,
      team: 'core',
      app: 'web',
      user: 'ann',
      env: 'prod',
      models: ['gpt-4o*', 'o3'],
      endpoints: ['chat.completions', 'vector_stores.*'],
      addresses: ['10.0.0.0/8', '2001:db8::1/128'],
      userAgents: ['curl/*'],
      mayName: true,
      expiresAtMs: spec.expiresAtMs!,
    })
    world().time.ms += 1000
    expect(keys.lookup(secret.reveal())).toBe('expired')
    expect((await keys.show(id)).state).toBe('expired')
    expect(await failure(keys.rotate(id, { graceMs: 0 }, 'x'))).toMatchObject({ code: 'conflict' })
  })

  test('what is left away bounds nothing', async () => {
    const { keys } = await world().open()
    const { secret, key } = await keys.create({ name: fresh() }, 'cli:ann')
    expect(key).toMatchObject({
      env: 'dev',
      models: null,
      endpoints: null,
      addresses: null,
      metadata: {},
      mayName: false,
    })
    expect(keys.lookup(secret.reveal())).toMatchObject({
      models: null,
      addresses: null,
      expiresAtMs: null,
      team: null,
    })
  })

  test('one changed character, a look-alike, an unknown key: nothing', async () => {
    const { keys } = await world().open()
    const { secret } = await keys.create({ name: fresh() }, 'x')
    const text = secret.reveal()
    for (let at = 0; at < text.length; at++)
      expect(keys.lookup(text.slice(0, at) + (text[at] === 'a' ? 'b' : 'a') + text.slice(at + 1))).toBeNull()
    for (const other of [
      '',
      'x',
      text.slice(0, -1),
      `${text}0`,
      ` ${text}`,
      text.toUpperCase(),
      'hg_dev_',
      ...naughty,
    ])
      expect(keys.lookup(other)).toBeNull()
  })

  test('a rotated key works with both secrets until the grace ends', async () => {
    const { keys } = await world().open()
    const { id, secret: first } = await keys.create({ name: fresh() }, 'x')
    const { secret: second } = await keys.rotate(id, { graceMs: 5000 }, 'x')
    expect(second.reveal()).not.toBe(first.reveal())
    expect(await keys.show(id)).toMatchObject({
      previousUntilMs: world().time.ms + 5000,
      rotatedAtMs: world().time.ms,
    })
    for (const secret of [first, second]) expect(keys.lookup(secret.reveal())).toMatchObject({ keyId: id })
    world().time.ms += 5000
    expect(keys.lookup(first.reveal())).toBe('expired')
    expect(keys.lookup(second.reveal())).toMatchObject({ keyId: id })
    const { secret: third } = await keys.rotate(id, { graceMs: 0 }, 'x')
    expect(keys.lookup(second.reveal())).toBe('expired')
    expect(keys.lookup(third.reveal())).toMatchObject({ keyId: id })
  })

  test('a later grace never lengthens an earlier one, and working secrets are counted', async () => {
    const { keys } = await world().open()
    const { id, secret: first } = await keys.create({ name: fresh() }, 'x')
    await keys.rotate(id, { graceMs: 1000 }, 'x')
    for (let more = 0; more < 6; more++) await keys.rotate(id, { graceMs: 60_000 }, 'x')
    expect(await failure(keys.rotate(id, { graceMs: 60_000 }, 'x'))).toMatchObject({ code: 'conflict' })
    world().time.ms += 1000
    expect(keys.lookup(first.reveal())).toBe('expired')
    await keys.rotate(id, { graceMs: 60_000 }, 'x')
  })

  test('a revoked key is refused at once, all its secrets, for good', async () => {
    const { keys, revoked } = await world().open()
    const { id, secret } = await keys.create({ name: fresh() }, 'x')
    const { secret: second } = await keys.rotate(id, { graceMs: 60_000 }, 'x')
    expect(await keys.revoke(id, 'x')).toMatchObject({ state: 'revoked', revokedAtMs: world().time.ms })
    expect([secret, second].map((each) => keys.lookup(each.reveal()))).toEqual(['revoked', 'revoked'])
    expect(revoked).toEqual([id])
    expect(await failure(keys.revoke(id, 'x'))).toMatchObject({
      code: 'conflict',
      message: `the key ${id} is revoked already`,
    })
    expect(await failure(keys.rotate(id, { graceMs: 0 }, 'x'))).toMatchObject({ code: 'conflict' })
  })

  test('a name belongs to one active key', async () => {
    const { keys } = await world().open()
    const name = fresh()
    const { id } = await keys.create({ name, expiresAtMs: world().time.ms + 1000 }, 'x')
    expect(await failure(keys.create({ name }, 'x'))).toMatchObject({ code: 'conflict', field: 'name' })
    world().time.ms += 1000
    const second = await keys.create({ name }, 'x')
    expect(second.id).not.toBe(id)
    await keys.revoke(second.id, 'x')
    await keys.revoke(id, 'x')
    await keys.create({ name }, 'x')
  })

  test('lists go newest first, a page at a time, each key once', async () => {
    const { keys } = await world().open()
    const made: string[] = []
    for (let more = 0; more < 7; more++) made.unshift((await keys.create({ name: fresh() }, 'x')).id)
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page: { rows: KeyInfo[]; next: string | null } = await keys.list({ limit: 3, cursor })
      expect(page.rows.length).toBeLessThanOrEqual(3)
      seen.push(...page.rows.map(({ id }) => id))
      cursor = page.next
    } while (cursor !== null)
    expect(seen.slice(0, 7)).toEqual(made)
    expect(new Set(seen).size).toBe(seen.length)
    for (const limit of [0, 1001, 1.5, Number.NaN])
      expect((await failure(keys.list({ limit, cursor: null }))).field).toBe('limit')
    expect((await failure(keys.list({ limit: 1, cursor: `1' or 1=1` }))).field).toBe('cursor')
  })

  test('ids that are none are told so, and a secret given as one is not repeated', async () => {
    const { keys } = await world().open()
    const { secret } = await keys.create({ name: fresh() }, 'x')
    for (const id of ['', 'key_', `key_${'0'.repeat(20)}`, `' or 1=1 --`, secret.reveal()]) {
      const asks = [
        () => keys.show(id),
        () => keys.revoke(id, 'x'),
        () => keys.rotate(id, { graceMs: 0 }, 'x'),
      ]
      for (const ask of asks) {
        const { code, message } = await failure(ask())
        expect(code).toBe('not_found')
        expect(message).not.toContain(secret.reveal().slice(7, 15))
      }
    }
  })
}

function texts(world: () => World): void {
  test.each(naughty)('any text comes back as it was: %p', async (text) => {
    const { keys, storage } = await world().open()
    const name = `${text.slice(0, 100)}${++count}`
    const named = text === '__proto__' ? 'constructor' : text.slice(0, 64)
    const spec: KeySpec = {
      name,
      team: text,
      app: text,
      user: text,
      userAgents: [text],
      metadata: { [named]: text },
    }
    const { id, secret } = await keys.create(spec, text)
    const metadata = { [named]: text }
    const shown = await keys.show(id)
    expect(shown).toMatchObject({
      name,
      team: text,
      app: text,
      user: text,
      userAgents: [text],
      createdBy: text,
    })
    expect(Object.entries(shown.metadata)).toEqual(Object.entries(metadata))
    expect(keys.lookup(secret.reveal())).toMatchObject({ key: name, team: text, app: text, user: text })
    const [entry] = await readAudit(storage.db, { limit: 1, before: null })
    expect(entry).toMatchObject({ by: text, action: 'key.create', target: id, details: { name, team: text } })
  })

  test.each<[string, KeySpec]>([
    ['name', { name: '' }],
    ['name', { name: 'a\nb' }],
    ['name', { name: 'a\u0000b' }],
    ['name', { name: 'a\u202eb' }],
    ['name', { name: 'a\ud800' }],
    ['name', { name: ' a' }],
    ['name', { name: 'x'.repeat(129) }],
    ['team', { name: 'n', team: '\u001b[31mred' }],
    ['env', { name: 'n', env: 'Prod' }],
    ['env', { name: 'n', env: 'a-b' }],
    ['env', { name: 'n', env: 'x'.repeat(17) }],
    ['models', { name: 'n', models: [] }],
    ['models', { name: 'n', models: ['a b'] }],
    ['models', { name: 'n', models: Array.from({ length: 257 }, (_, at) => `m${at}`) }],
    ['endpoints', { name: 'n', endpoints: ['chat'] }],
    ['addresses', { name: 'n', addresses: ['10.0.0.0/33'] }],
    ['addresses', { name: 'n', addresses: ['0x7f.1'] }],
    ['expiresAtMs', { name: 'n', expiresAtMs: 1 }],
    ['expiresAtMs', { name: 'n', expiresAtMs: 9e15 }],
    ['budget', { name: 'n', budget: '50 dollars' }],
    [
      'metadata',
      { name: 'n', metadata: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, 'v'])) },
    ],
    ['metadata', { name: 'n', metadata: { a: 'x'.repeat(513) } }],
    ['metadata', { name: 'n', metadata: Object.fromEntries([['__proto__', 'x']]) }],
  ])('a bad %s is refused by name: %p', async (field, spec) => {
    const { keys } = await world().open()
    const before = await keys.list({ limit: 1, cursor: null })
    expect(await failure(keys.create(spec, 'x'))).toMatchObject({ code: 'invalid', field })
    expect(await keys.list({ limit: 1, cursor: null })).toEqual(before)
  })
}

function atOnce(world: () => World): void {
  test('twenty creates of one name: one key, nineteen clear refusals', async () => {
    const [one, two] = [await world().open(), await world().open()]
    const name = fresh()
    const done = await Promise.allSettled(
      Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? one : two).keys.create({ name }, 'x')),
    )
    expect(done.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const each of done)
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'conflict', field: 'name' })
  })

  test('revoked twice at once: once done, once told so', async () => {
    const [one, two] = [await world().open(), await world().open()]
    const { id } = await one.keys.create({ name: fresh() }, 'x')
    const done = await Promise.allSettled([
      one.keys.revoke(id, 'a'),
      two.keys.revoke(id, 'b'),
      one.keys.revoke(id, 'c'),
    ])
    expect(done.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const each of done)
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'conflict' })
    const entries = await readAudit(one.storage.db, { limit: 50, before: null })
    expect(entries.filter(({ action, target }) => action === 'key.revoke' && target === id)).toHaveLength(1)
  })

  test('rotated twice at once without grace: one secret works', async () => {
    const [one, two] = [await world().open(), await world().open()]
    const { id, secret } = await one.keys.create({ name: fresh() }, 'x')
    const made = await Promise.all(
      [one, two, one, two].map(({ keys }) => keys.rotate(id, { graceMs: 0 }, 'x')),
    )
    const third = await world().open()
    const secrets: Secret[] = [secret, ...made.map((each) => each.secret)]
    expect(
      secrets.filter(
        (each) =>
          typeof third.keys.lookup(each.reveal()) === 'object' && third.keys.lookup(each.reveal()) !== null,
      ),
    ).toHaveLength(1)
  })

  test('many changes at once lose none, and each is in the audit', async () => {
    const opened = await Promise.all([world().open(), world().open(), world().open()])
    const made = await Promise.all(
      Array.from({ length: 45 }, (_, at) => opened[at % 3]!.keys.create({ name: fresh() }, 'x')),
    )
    const gone = made.filter((_, at) => at % 2 === 0)
    await Promise.all(gone.map(({ id }, at) => opened[(at + 1) % 3]!.keys.revoke(id, 'x')))
    const { keys, storage } = await world().open()
    for (const each of made) {
      const wanted = gone.includes(each) ? 'revoked' : { keyId: each.id }
      for (const process of [...opened.map((one) => one.keys), keys]) {
        await eventually(() => typeof process.lookup(each.secret.reveal()) === typeof wanted)
        expect(process.lookup(each.secret.reveal())).toEqual(
          typeof wanted === 'string' ? wanted : expect.objectContaining(wanted),
        )
      }
    }
    const entries = await readAudit(storage.db, { limit: 200, before: null })
    for (const { id } of made)
      expect(entries.filter(({ target }) => target === id).map(({ action }) => action)).toEqual(
        gone.some((each) => each.id === id) ? ['key.revoke', 'key.create'] : ['key.create'],
      )
  })
}

function severalProcesses(world: () => World): void {
  test('what one process changes, another follows by itself', async () => {
    const [one, two] = [await world().open(), await world().open()]
    const { id, secret } = await one.keys.create({ name: fresh() }, 'x')
    await eventually(() => two.keys.lookup(secret.reveal()) !== null)
    const { secret: second } = await two.keys.rotate(id, { graceMs: 60_000 }, 'x')
    await eventually(() => one.keys.lookup(second.reveal()) !== null)
    expect(one.keys.lookup(secret.reveal())).toMatchObject({ keyId: id })
    await two.keys.revoke(id, 'x')
    await eventually(() => one.keys.lookup(secret.reveal()) === 'revoked')
    expect(one.keys.lookup(second.reveal())).toBe('revoked')
    expect(one.revoked).toContain(id)
  })

  test('a store put back to an older state is read anew, and what it no longer has ends', async () => {
    const one = await world().open()
    const kept = await one.keys.create({ name: fresh() }, 'x')
    const lost = await one.keys.create({ name: fresh() }, 'x')
    const { db } = (await world().open()).storage
    await db.deleteFrom('key_digests').where('key_id', '=', lost.id).execute()
    await db.deleteFrom('keys').where('id', '=', lost.id).execute()
    await db
      .updateTable('counters')
      .set((set) => ({ value: set('value', '-', 1) }))
      .where('name', '=', 'keys')
      .execute()
    await eventually(() => one.keys.lookup(lost.secret.reveal()) === null)
    expect(one.keys.lookup(kept.secret.reveal())).toMatchObject({ keyId: kept.id })
    expect(one.revoked).toContain(lost.id)
  })
}

function secrecy(world: () => World): void {
  test('the database holds no secret, nor an unkeyed digest of one', async () => {
    const { keys } = await world().open()
    const texts: string[] = []
    for (let more = 0; more < 3; more++) {
      const { id, secret } = await keys.create({ name: fresh() }, 'x')
      texts.push(secret.reveal(), (await keys.rotate(id, { graceMs: 1000 }, 'x')).secret.reveal())
    }
    const dump = await world().dump()
    expect(dump.length).toBeGreaterThan(1000)
    for (const text of texts) {
      const random = text.slice('hg_dev_'.length)
      for (let at = 0; at + 8 <= random.length; at++) expect(dump).not.toContain(random.slice(at, at + 8))
      for (const algorithm of ['sha1', 'sha256', 'sha512', 'md5'] as const)
        for (const form of ['hex', 'base64'] as const)
          expect(dump).not.toContain(new Bun.CryptoHasher(algorithm).update(text).digest(form).slice(0, 16))
      expect(dump).not.toContain(Buffer.from(text).toString('base64').slice(12, 40))
      expect(dump).not.toContain(Buffer.from(text).toString('hex').slice(14))
    }
  })

  test('the audit can only be added to', async () => {
    const { storage } = await world().open()
    await audit(storage.db, { by: 'x', action: 'test', target: 't', details: { a: 1 } }, 5)
    const before = await readAudit(storage.db, { limit: 1000, before: null })
    for (const change of [
      sql`update audit set actor = 'nobody'`,
      sql`delete from audit`,
      ...(storage.kind === 'postgres'
        ? [sql`truncate audit`]
        : [
            sql`insert or replace into audit select number, 0, 'y', action, target, details from audit limit 1`,
          ]),
    ]) {
      const refused = await change.execute(storage.db).then(
        () => null,
        (cause: Error) => cause.message,
      )
      expect(refused).toContain('append-only')
    }
    expect(await readAudit(storage.db, { limit: 1000, before: null })).toEqual(before)
    expect(before[0]).toMatchObject({ by: 'x', action: 'test', target: 't', details: { a: 1 }, atMs: 5 })
    const [older] = await readAudit(storage.db, { limit: 1, before: before[0]!.number })
    expect(older).toEqual(before[1])
  })
}
