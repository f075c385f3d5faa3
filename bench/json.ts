// Proxied JSON: one chat call of 1 KB each way, as many as go through one core. wrk drives, 32 kept connections, closed
// loop; the upstream is an NGINX with a fixed answer. Ratios are taken round by round, since the rounds of both sides
// that lie side by side saw the same machine.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startFixedUpstream, startHeadgate, startNginx, type Gate } from './gates.ts'
import { cpuMs } from './machine.ts'
import type { Plan } from './main.ts'
import { jsonRequest, requestHeaders } from './messages.ts'
import { figure, median, type Figure } from './report.ts'

const connections = 32
/** Below this part of its core a gate was held up by others, or by too weak a load. */
const busyMin = 0.85
/** A just-in-time compiler still works on the first tens of thousands of calls, on the same core. */
const warmUpSeconds = 5

interface Round {
  readonly perSecond: number
  readonly cpuUs: number
  /** Part of the core's time that it used: near 1, else something else was the bottleneck. */
  readonly busy: number
}

export async function benchJson(plan: Plan): Promise<Figure[]> {
  const { folder } = plan
  const upstream = await startFixedUpstream(folder)
  const gates = [
    await startHeadgate(folder, upstream.port),
    await startNginx(folder, upstream.port, true),
    await startNginx(folder, upstream.port, false),
  ]
  const script = join(folder, 'chat.lua')
  writeFileSync(script, luaScript())
  for (const gate of gates) await round(gate, script, warmUpSeconds)
  const rounds = gates.map((): Round[] => [])
  for (let index = 0; index < plan.rounds; index++) {
    for (const [at, gate] of gates.entries()) {
      const one = await round(gate, script, plan.roundSeconds)
      rounds[at]!.push(one)
      plan.say(
        `  ${gate.name}: ${one.perSecond.toFixed(0)} requests/s, ${one.cpuUs.toFixed(1)} µs each, core ${(one.busy * 100).toFixed(0)} %`,
      )
    }
  }
  const [headgate, nginx, bare] = rounds as [Round[], Round[], Round[]]
  const ratio = (over: readonly Round[], key: keyof Round) =>
    headgate.map((one, at) => one[key] / over[at]![key])
  const label = { bench: 'json', unit: '' }
  const least = Math.min(...rounds.map((list) => median(list.map((one) => one.busy))))
  if (least < busyMin) {
    plan.say(
      `  a gate had only ${(least * 100).toFixed(0)} % of its core: others use the machine, and requests/s say more about them`,
    )
  }
  return [
    figure({ ...label, what: 'requests/s ÷ NGINX', atLeast: 0.5 }, ratio(nginx, 'perSecond')),
    figure({ ...label, what: 'requests/s ÷ NGINX without log', atLeast: 0.5 }, ratio(bare, 'perSecond')),
    figure({ ...label, what: 'CPU per call ÷ NGINX' }, ratio(nginx, 'cpuUs')),
    ...gates.flatMap((gate, at) => [
      figure(
        { ...label, what: `  ${gate.name}: requests/s` },
        rounds[at]!.map((one) => one.perSecond),
      ),
      figure(
        { ...label, what: `  ${gate.name}: CPU per call`, unit: 'µs' },
        rounds[at]!.map((one) => one.cpuUs),
      ),
      figure(
        { ...label, what: `  ${gate.name}: core in use` },
        rounds[at]!.map((one) => one.busy),
      ),
    ]),
  ]
}

async function round(gate: Gate, script: string, seconds: number): Promise<Round> {
  const beforeMs = cpuMs(gate.pid)
  const url = `http://127.0.0.1:${gate.port}/v1/chat/completions`
  const argv = [
    'wrk',
    '-t',
    '1',
    '-c',
    String(connections),
    '-d',
    `${Math.ceil(seconds)}s`,
    '-s',
    script,
    url,
  ]
  const wrk = Bun.spawn(argv, { stdout: 'pipe', stderr: 'inherit' })
  const output = await new Response(wrk.stdout).text()
  const usedMs = cpuMs(gate.pid) - beforeMs
  const found = /^result (\d+) (\d+) (\d+)$/m.exec(output)
  if (found === null) throw new Error(`wrk gave no result: ${output}`)
  const [requests, durationUs, errors] = found.slice(1).map(Number) as [number, number, number]
  if (errors > 0 || requests === 0) throw new Error(`${gate.name}: ${errors} of ${requests} calls failed`)
  return {
    perSecond: requests / (durationUs / 1e6),
    cpuUs: (usedMs * 1000) / requests,
    busy: (usedMs * 1000) / durationUs,
  }
}

function luaScript(): string {
  const headers = requestHeaders.map(([name, value]) => `wrk.headers["${name}"] = "${value}"`).join('\n')
  return `wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
${headers}
wrk.body = [==[${jsonRequest}]==]
function done(summary)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("\\nresult %d %d %d\\n", summary.requests, summary.duration, failed))
end
`
}
