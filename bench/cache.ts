// Stored answers: the same chat call again and again, answered from memory, beside NGINX with `proxy_cache` keyed by the
// request's body; then many different calls, answered from disk on both sides. Headgate checks the key, holds two limits, and
// keeps a row in the ledger and a line in the log of each call; NGINX does nothing of the kind.
// Then single calls at half of the load that a core takes, and look-ups among a million answers in a file.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startCachingHeadgate, startCachingNginx, startFixedUpstream, type Gate } from './gates.ts'
import { cpuMs } from './machine.ts'
import type { Plan } from './main.ts'
import { jsonCall, jsonRequest, requestHeaders } from './messages.ts'
import { PacedLoad } from './paced.ts'
import { figure, median, quantile, type Figure } from './report.ts'
import { fillCacheFile, lookUpTimes } from './cache-file.ts'

const connections = 32
const warmUpSeconds = 4
/** Calls a second that the load sends in time, with its core to itself. */
const loadMax = 10_000
/** Different calls in the rounds on disk: more than fit into the memory given. */
const differentCalls = 10_000

interface Round {
  readonly perSecond: number
  readonly cpuUs: number
}

export async function benchCache(plan: Plan): Promise<Figure[]> {
  const upstream = await startFixedUpstream(plan.folder)
  const gates = [
    await startCachingHeadgate(plan.folder, upstream.port, 'memory: 256MB'),
    await startCachingNginx(plan.folder, upstream.port, false),
  ]
  const memory = await rounds(plan, gates, writeScript(plan, 'same', 1))
  const half = Math.min(loadMax, median(memory[0]!.map((one) => one.perSecond)) / 2)
  const latencies = await roundsAtHalfLoad(gates, plan, half)
  const onDisk = [
    await startCachingHeadgate(plan.folder, upstream.port, 'memory: 1MB, disk: 10GB'),
    await startCachingNginx(plan.folder, upstream.port, true),
  ]
  const script = writeScript(plan, 'many', differentCalls)
  // Every call once, so that all of them are stored, and a moment for the writes.
  for (const gate of onDisk) await round(gate, script, Math.max(8, plan.roundSeconds))
  await Bun.sleep(2000)
  const disk = await rounds(plan, onDisk, script)
  return [
    ...figures('memory', memory, 0.9),
    figure({ bench: 'cache', what: 'p99 of a hit at half load', unit: 'ms', atMost: 1 }, latencies[0]!),
    figure({ bench: 'cache', what: '  nginx: the same, at the same rate', unit: 'ms' }, latencies[1]!),
    figure({ bench: 'cache', what: '  hits a second at half load', unit: '' }, [half]),
    ...figures('disk', disk, 0.6),
    ...(await fileFigures(plan)),
  ]
}

function figures(what: string, [headgate, nginx]: readonly Round[][], atLeast: number): Figure[] {
  const label = { bench: 'cache', unit: '' }
  const ratio = (key: keyof Round) => headgate!.map((one, at) => one[key] / nginx![at]![key])
  const shown = (name: string, list: readonly Round[]) => [
    figure(
      { ...label, what: `  ${name}: requests/s` },
      list.map((one) => one.perSecond),
    ),
    figure(
      { ...label, what: `  ${name}: CPU per call`, unit: 'µs' },
      list.map((one) => one.cpuUs),
    ),
  ]
  return [
    figure({ ...label, what: `${what}: requests/s ÷ NGINX`, atLeast }, ratio('perSecond')),
    figure({ ...label, what: `${what}: CPU per call ÷ NGINX` }, ratio('cpuUs')),
    ...shown('headgate', headgate!),
    ...shown('nginx', nginx!),
  ]
}

async function rounds(plan: Plan, gates: readonly Gate[], script: string): Promise<Round[][]> {
  for (const gate of gates) await round(gate, script, warmUpSeconds)
  const all = gates.map((): Round[] => [])
  for (let index = 0; index < plan.rounds; index++) {
    for (const [at, gate] of gates.entries()) {
      const one = await round(gate, script, plan.roundSeconds)
      all[at]!.push(one)
      plan.say(`  ${gate.name}: ${one.perSecond.toFixed(0)} requests/s, ${one.cpuUs.toFixed(1)} µs each`)
    }
  }
  return all
}

async function round(gate: Gate, script: string, seconds: number): Promise<Round> {
  const beforeMs = cpuMs(gate.pid)
  const url = `http://127.0.0.1:${gate.port}/v1/chat/completions`
  const time = `${Math.ceil(seconds)}s`
  const wrk = Bun.spawn(['wrk', '-t', '1', '-c', String(connections), '-d', time, '-s', script, url], {
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const output = await new Response(wrk.stdout).text()
  const usedMs = cpuMs(gate.pid) - beforeMs
  const found = /^result (\d+) (\d+) (\d+)$/m.exec(output)
  if (found === null) throw new Error(`wrk gave no result: ${output}`)
  const [requests, durationUs, errors] = found.slice(1).map(Number) as [number, number, number]
  if (errors > 0 || requests === 0) throw new Error(`${gate.name}: ${errors} of ${requests} calls failed`)
  return { perSecond: requests / (durationUs / 1e6), cpuUs: (usedMs * 1000) / requests }
}

function writeScript({ folder }: Plan, name: string, count: number): string {
  const headers = requestHeaders.map(([field, value]) => `wrk.headers["${field}"] = "${value}"`).join('\n')
  const script = join(folder, `cache-${name}.lua`)
  const [before, after] = jsonRequest.split('"temperature"')
  writeFileSync(
    script,
    `wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
${headers}
local calls = {}
local at = 0
function init()
  for number = 1, ${count} do
    calls[number] = wrk.format(nil, nil, nil, [==[${before}]==] .. '"seed":' .. number .. ',"temperature"' .. [==[${after}]==])
  end
end
function request()
  at = at % ${count} + 1
  return calls[at]
end
function done(summary)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("\\nresult %d %d %d\\n", summary.requests, summary.duration, failed))
end
`,
  )
  return script
}

/** For each gate, of each round, the time of the slowest in a hundred. NGINX's shows what of it is the machine's. */
async function roundsAtHalfLoad(
  gates: readonly Gate[],
  { folder, say, rounds: count }: Plan,
  perSecond: number,
): Promise<number[][]> {
  const load = PacedLoad.build(folder, jsonCall)
  const all = gates.map((): number[] => [])
  for (let round = 0; round < count; round++) {
    for (const [at, { name, port }] of gates.entries()) {
      const { good, other, lateP99 } = await load.drive(port, { perSecond, seconds: 4, warmUpShare: 0.25 })
      if (other > 0 || good.length === 0)
        throw new Error(`${other} of ${good.length} calls at half load failed`)
      const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => quantile(good, share) / 1000)
      all[at]!.push(p99!)
      say(
        `  ${name} at ${perSecond.toFixed(0)}/s: p50 ${p50!.toFixed(2)} ms, p90 ${p90!.toFixed(2)} ms, p99 ${p99!.toFixed(2)} ms; load late by ${(lateP99 / 1000).toFixed(2)} ms (p99)`,
      )
    }
  }
  return all
}

async function fileFigures({ folder, say }: Plan): Promise<Figure[]> {
  const own = join(folder, 'million')
  mkdirSync(own)
  const entries = 1_000_000
  say(`  writing ${entries} answers`)
  fillCacheFile(own, entries)
  const { openMs, p99Ms, heldMb } = lookUpTimes(own, entries)
  const label = { bench: 'cache' }
  return [
    figure({ ...label, what: 'a million on disk: look-up, p99', unit: 'ms', atMost: 1 }, [p99Ms]),
    figure({ ...label, what: 'a million on disk: start', unit: 'ms', atMost: 2000 }, [openMs]),
    figure({ ...label, what: 'a million on disk: memory', unit: 'MB' }, [heldMb]),
  ]
}
