// What the ledger costs a proxied call: the same gateway with it and without it, one after the other on one pinned core, with
// the load and the upstream on the other. `bun bench/ledger.ts [rounds]`; the figure is processor time for each call, which
// a machine that others use changes less than requests per second.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../src/base/clock.ts'
import { loadConfig } from '../src/config/load.ts'
import { Gateway, openLog } from '../src/gateway.ts'
import { openLedger } from '../src/ledger/open-ledger.ts'
import { Prices } from '../src/prices/prices.ts'
import { openStorage } from '../src/storage/open.ts'
import { cpuMs } from './machine.ts'
import { jsonAnswer } from './messages.ts'

const rounds = Number(process.argv[2] ?? 5)
const seconds = 5

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
  const ratios: number[] = []
  for (let round = 0; round < rounds; round++) {
    const cost: number[] = []
    for (const on of round % 2 === 0 ? [false, true] : [true, false])
      cost[on ? 1 : 0] = await one({ folder, script, on, port: upstream.port! })
    ratios.push(cost[1]! / cost[0]!)
    process.stdout.write(
      `round ${round + 1}: ${cost[0]!.toFixed(1)} µs without, ${cost[1]!.toFixed(1)} µs with\n`,
    )
  }
  const median = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)]!
  process.stdout.write(
    `processor time with ÷ without: ${median.toFixed(3)} (${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)})\n`,
  )
  await upstream.stop(true)
  rmSync(folder, { recursive: true, force: true })
}

interface Run {
  readonly folder: string
  readonly script: string
  readonly on: boolean
  readonly port: number
}

/** µs of processor time for each call. */
async function one({ folder, script, on, port }: Run): Promise<number> {
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
  const child = Bun.spawn(
    ['taskset', '-c', '0', process.execPath, import.meta.path, 'gate', on ? 'on' : 'off', file],
    {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    },
  )
  const first = await child.stdout.getReader().read()
  const at = `http://127.0.0.1:${Buffer.from(first.value ?? [])
    .toString()
    .trim()}/v1/chat/completions`
  // Not spawnSync: the upstream is in this process.
  const load = async (forSeconds: number): Promise<string> => {
    const argv = ['taskset', '-c', '1', 'wrk', '-t1', '-c32', `-d${forSeconds}s`, '-s', script, at]
    return new Response(Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe' }).stdout).text()
  }
  await load(2)
  const before = cpuMs(child.pid)
  const calls = Number(/(\d+) requests in/.exec(await load(seconds))![1])
  const spent = cpuMs(child.pid) - before
  child.kill('SIGKILL')
  await child.exited
  return (spent * 1000) / calls
}
