// What the ledger costs a proxied call: the same gateway with it and without it, by turns on one pinned core, with the load
// and the upstream on the other. `bun bench/ledger.ts [rounds]` gives processor time for each call, which a machine that
// others use changes less than requests per second, and requests per second.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import { systemClock } from '../src/base/clock.ts'
import { loadConfig } from '../src/config/load.ts'
import { Gateway, openLog } from '../src/gateway.ts'
import { openLedger } from '../src/ledger/open-ledger.ts'
import { Prices } from '../src/prices/prices.ts'
import { openStorage } from '../src/storage/open.ts'
import { memory } from '../scripts/launch.mjs'
import { cpuMs } from './machine.ts'
import { jsonAnswer } from './messages.ts'

const rounds = Number(process.argv[2] ?? 11)
const seconds = 1
const warmSeconds = 20

if (process.argv[2] === 'gate') await gate(process.argv[3] === 'on', process.argv[4]!)
else await measure()

async function gate(on: boolean, file: string): Promise<void> {
  const { config } = await loadConfig({ file, env: {} })
  const log = openLog(config.log, {
    clock: systemClock,
    stdout: { fd: 1, isTty: false },
    stderr: { isTty: false, write: (text) => process.stderr.write(text) },
    colour: false,
  })
  const upstreams = [{ name: 'main', provider: 'openai', baseUrl: 'https://api.openai.com/v1' }]
  const prices = new Prices(upstreams, null)
  const pricing = {
    version: prices.version,
    price: (call: Parameters<typeof prices.price>[0]) => prices.price(call),
    worst: () => null,
  }
  const { path } = config.storage
  const ledger = on
    ? await openLedger(await openStorage({ path, postgres: null }, systemClock), {
        path,
        durability: () => 'process',
        retentionMs: () => 400 * 86_400_000,
        clock: systemClock,
        event: log.event,
      })
    : null
  const gateway = await Gateway.start(config, {
    clock: systemClock,
    log,
    sandbox: () => Promise.reject(new Error('none')),
    pricing,
    ...(ledger === null ? {} : { ledger }),
  })
  process.stdout.write(`${gateway.addresses.proxy[0]!.port}\n`)
}

async function measure(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-ledger-bench-'))
  const upstream = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: async (request) => {
      await request.arrayBuffer()
      return new Response(jsonAnswer, { headers: { 'content-type': 'application/json' } })
    },
  })
  const script = join(folder, 'post.lua')
  const body = JSON.stringify({
    model: 'gpt-4o-mini',
    messages: [{ role: 'user', content: 'hello '.repeat(150) }],
  })
  writeFileSync(
    script,
    `wrk.method="POST"; wrk.headers["Content-Type"]="application/json"; wrk.body=[[${body}]]`,
  )
  const gates = [await start(folder, false, upstream.port!), await start(folder, true, upstream.port!)]
  // Until everything is compiled: a short warm-up measures the compiler.
  for (const one of gates) await load(one, script, warmSeconds)
  const cpu: number[] = []
  const speed: number[] = []
  for (let round = 0; round < rounds; round++) {
    const seen: Figures[] = []
    for (const which of round % 2 === 0 ? [0, 1] : [1, 0])
      seen[which] = await load(gates[which]!, script, seconds)
    const [without, with_] = seen as [Figures, Figures]
    cpu.push(with_.cpuUs / without.cpuUs)
    speed.push(with_.perSecond / without.perSecond)
    process.stdout.write(
      `round ${round + 1}: ${without.cpuUs.toFixed(1)} µs without, ${with_.cpuUs.toFixed(1)} µs with; ` +
        `${without.perSecond.toFixed(0)} and ${with_.perSecond.toFixed(0)} a second\n`,
    )
  }
  process.stdout.write(
    `processor time with ÷ without: ${spread(cpu)}\nthroughput with ÷ without: ${spread(speed)}\n`,
  )
  for (const one of gates) {
    one.child.kill('SIGKILL')
    await one.child.exited
  }
  await upstream.stop(true)
  rmSync(folder, { recursive: true, force: true })
}

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  return `${sorted[Math.floor(sorted.length / 2)]!.toFixed(3)} (${sorted[0]!.toFixed(3)} to ${sorted.at(-1)!.toFixed(3)})`
}

interface Gate {
  readonly child: Subprocess
  readonly url: string
}

interface Figures {
  /** Processor time for each call. */
  readonly cpuUs: number
  readonly perSecond: number
}

async function start(folder: string, on: boolean, port: number): Promise<Gate> {
  const data = mkdtempSync(join(folder, 'data-'))
  const file = join(data, 'headgate.yaml')
  writeFileSync(
    file,
    JSON.stringify({
      server: { listen: '127.0.0.1:0', overload: { mode: 'off' } },
      admin: { listen: '127.0.0.1:0' },
      storage: { path: data },
      upstreams: [
        { name: 'main', provider: 'openai', baseUrl: `http://127.0.0.1:${port}/v1`, keys: ['sk-bench-key'] },
      ],
      access: { anonymous: 'allow' },
    }),
  )
  const argv = ['taskset', '-c', '0', process.execPath, import.meta.path, 'gate', on ? 'on' : 'off', file]
  const env = { ...memory, ...process.env }
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit', env })
  const first = await child.stdout.getReader().read()
  const proxy = Buffer.from(first.value ?? [])
    .toString()
    .trim()
  return { child, url: `http://127.0.0.1:${proxy}/v1/chat/completions` }
}

async function load({ child, url }: Gate, script: string, forSeconds: number): Promise<Figures> {
  const before = cpuMs(child.pid)
  // Not spawnSync: the upstream is in this process.
  const argv = ['taskset', '-c', '1', 'wrk', '-t1', '-c32', `-d${forSeconds}s`, '-s', script, url]
  const told = await new Response(Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe' }).stdout).text()
  const calls = Number(/(\d+) requests in/.exec(told)![1])
  const perSecond = Number(/Requests\/sec: *([\d.]+)/.exec(told)![1])
  return { cpuUs: ((cpuMs(child.pid) - before) * 1000) / calls, perSecond }
}
