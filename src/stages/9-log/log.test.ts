import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { systemClock } from '../../base/clock.ts'
import { Exchange } from '../../exchange.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import type { LogIo, LogSettings } from './log.ts'
import { createLog, eventsOf } from './log.ts'

let folder = ''
let said = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-log-'))
  said = ''
})

afterEach(() => rmSync(folder, { recursive: true }))

function io(terminal = false): LogIo {
  return {
    clock: systemClock,
    stdout: { fd: -1, isTty: terminal },
    stderr: { isTty: terminal, write: (text) => void (said += text) },
    colour: true,
  }
}

function settings(more: Partial<LogSettings> = {}): LogSettings {
  return { file: join(folder, 'access.log'), format: 'auto', rotate: 1e6, keep: 2, ...more }
}

function exchange(id: string): Exchange {
  const request = {
    method: 'GET',
    path: '/v1/models',
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '::1',
    upgrade: null,
  }
  const x = new Exchange(id, request, systemClock)
  x.status = 200
  return x
}

const lines = (name = 'access.log'): string[] =>
  readFileSync(join(folder, name), 'utf8').trimEnd().split('\n')
const ids = (name?: string): unknown[] => lines(name).map((line) => (JSON.parse(line) as { id: unknown }).id)

test('a file gets JSON lines, also when the terminal is one', async () => {
  const log = createLog(settings(), io(true))
  for (let count = 0; count < 1000; count++) log.write(exchange(`hgr_${count}`))
  await log.flush()
  expect(ids()).toEqual(Array.from({ length: 1000 }, (_, count) => `hgr_${count}`))
  await log.close()
  expect(said).toBe('')
})

test('a file gets human lines without colour when asked for', async () => {
  const log = createLog(settings({ format: 'human' }), io(true))
  log.write(exchange('hgr_1'))
  await log.close()
  expect(lines()[0]).toMatch(/^\d\d:\d\d:\d\d 200 GET \/v1\/models /)
})

test('stages may be called without their object', async () => {
  const { write, bug, flush, close } = createLog(settings(), io())
  write(exchange('hgr_1'))
  bug(new Error('broken'))
  await flush()
  await close()
  expect(ids()).toEqual(['hgr_1'])
  expect(JSON.parse(said)).toMatchObject({ level: 'error', message: 'This is a bug: please report it.' })
  expect(said).toContain('Error: broken')
})

test('reopen begins the file anew', async () => {
  const log = createLog(settings(), io())
  log.write(exchange('hgr_1'))
  await log.flush()
  renameSync(join(folder, 'access.log'), join(folder, 'moved'))
  log.reopen()
  log.write(exchange('hgr_2'))
  await log.close()
  expect([ids('moved'), ids()]).toEqual([['hgr_1'], ['hgr_2']])
})

test('lines are set aside by size, none is lost', async () => {
  const log = createLog(settings({ rotate: 1000, keep: 50 }), io())
  for (let count = 0; count < 40; count++) {
    log.write(exchange(`hgr_${count}`))
    if (count % 4 === 3) await log.flush()
  }
  await log.close()
  const all = Array.from({ length: 20 }, (_, index) => (index === 0 ? 'access.log' : `access.log.${index}`))
  const found = all.flatMap((name) => {
    try {
      return ids(name)
    } catch {
      return []
    }
  })
  expect(found.length).toBe(40)
  expect(new Set(found).size).toBe(40)
})

test('a file that cannot be opened is one line for the operator', () => {
  expect(() => createLog(settings({ file: folder }), io())).toThrow(
    /^The access log .* cannot be opened \(.+\)\. Set log\.file/,
  )
})

test('standard output that is broken is said once, and closing says what is lost', async () => {
  const log = createLog(settings({ file: null }), io())
  log.write(exchange('hgr_1'))
  await log.flush()
  log.write(exchange('hgr_2'))
  await log.close()
  const events = said
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { message: string })
  expect(events.map(({ message }) => message.slice(0, 24))).toEqual([
    'The access log cannot be',
    'The end of the access lo',
  ])
})

test('events are for people on a terminal, for programs elsewhere, or as told', () => {
  eventsOf('auto', io(true))('info', 'ready')
  expect(said).toContain('\u001b[36minfo')
  said = ''
  eventsOf('auto', io(false))('info', 'ready')
  expect(JSON.parse(said)).toMatchObject({ message: 'ready' })
  said = ''
  eventsOf('human', io(false))('info', 'ready')
  expect(said).toEndWith('info  ready\n')
})
