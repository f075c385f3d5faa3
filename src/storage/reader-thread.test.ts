import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { systemClock } from '../base/clock.ts'
import { openStorage } from './open.ts'
import { readBeside } from './reader-thread.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-reader-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('reads what others write, beside the thread that asks, and writes nothing', async () => {
  const storage = await openStorage({ path: folder, postgres: null }, systemClock)
  const reader = readBeside(join(folder, 'headgate.db'))
  const fact = () => reader.selectFrom('facts').select('value').where('name', '=', 'a').executeTakeFirst()
  expect(await fact()).toBeUndefined()
  await storage.db.insertInto('facts').values({ name: 'a', value: '1' }).execute()
  expect(await fact()).toEqual({ value: '1' })
  const failed = await sql`insert into facts (name, value) values ('b', '2')`.execute(reader).catch((cause: unknown) => cause)
  expect(failed).toMatchObject({ code: 'SQLITE_READONLY' })

  // A long query does not hold up this thread.
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const long = sql<{ n: number }>`with recursive c(n) as (select 1 union all select n + 1 from c where n < 3000000)
    select count(*) as n from c`.execute(reader)
  const result = await long
  clearInterval(timer)
  expect(result.rows).toEqual([{ n: 3_000_000 }])
  expect(turns).toBeGreaterThan(5)

  const many = await Promise.allSettled(Array.from({ length: 80 }, fact))
  expect(many.filter(({ status }) => status === 'rejected').length).toBe(16)
  await reader.destroy()
  await storage.close()
}) // prettier-ignore
