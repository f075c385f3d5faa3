// An upstream that takes no connection and refuses none. Bun cannot call a connect off, so each one given up keeps its
// socket until the kernel gives up too: how many may hang is bounded. The black hole is a stopped process whose listen
// queue is full.

import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import { Http1Wire } from '../../src/net/wire/client.ts'
import { Sweeper } from '../../src/net/wire/sweeper.ts'
import { optionsFor } from './kinds.ts'
import { exchange } from './outcome.ts'
import { until } from './raw-upstream.ts'

// Generous: these tests wait for conditions, never for the clock of a busy machine.
setDefaultTimeout(60_000)

const listener = `
  const server = require('node:http').createServer((_, answer) => answer.end('ok'))
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))
`
const cleanups: (() => void)[] = []

afterEach(() => {
  for (const clean of cleanups.splice(0)) clean()
})

/** Port of a server that is stopped with its queue full, and the way to wake it. */
async function blackHole(): Promise<{ port: number; wake: () => void }> {
  const child = Bun.spawn([process.execPath, '-e', listener], { stdout: 'pipe' })
  cleanups.push(() => child.kill('SIGKILL'))
  const { value } = await child.stdout.getReader().read()
  const port = Number(new TextDecoder().decode(value))
  child.kill('SIGSTOP')
  await sleep(50)
  const fillers: Socket[] = []
  cleanups.push(() => fillers.forEach((each) => each.destroy()))
  // More than one that waits: behind a standstill of this process the time is over though it was connected.
  for (let waiting = 0; waiting < 3 && fillers.length < 2000;) {
    const filler = connect(port, '127.0.0.1').on('error', () => {})
    fillers.push(filler)
    const connected = await Promise.race([
      new Promise<boolean>((resolve) => filler.once('connect', () => resolve(true))),
      sleep(300).then(() => false),
    ])
    waiting = connected ? 0 : waiting + 1
  }
  return { port, wake: () => child.kill('SIGCONT') }
}

test('beyond 128 hanging connects the next one fails at once, and a late success frees its place', async () => {
  const { port, wake } = await blackHole()
  const options = optionsFor(new URL(`http://127.0.0.1:${port}`), { timeouts: { connectMs: 100 } })
  const wire = new Http1Wire(options, new Sweeper(systemClock))
  const many = await Promise.all(Array.from({ length: 200 }, () => exchange(wire)))
  expect(new Set(many.map((each) => each.ending))).toEqual(new Set(['connect_timeout']))
  expect(wire.hangingConnects).toBe(200)
  expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
  for (let round = 0; round < 50; round++) expect((await exchange(wire)).ending).toBe('connect_timeout')
  expect(wire.hangingConnects).toBe(200)
  wake()
  await until('they settle', () => wire.hangingConnects < 128)
  await until('all settle', () => wire.hangingConnects === 0)
  wire.close()
})

test('connects that fail, or stand, do not count', async () => {
  const closed = new Http1Wire(optionsFor(new URL('http://127.0.0.1:1')), new Sweeper(systemClock))
  for (let round = 0; round < 5; round++) expect((await exchange(closed)).ending).toBe('connect_failed')
  expect(closed.hangingConnects).toBe(0)
})
