// Time that a gate adds to a call, at 200 calls a second: far from saturation, so this is the length of the path and not
// of a queue. Calls are sent by the clock, not after the answer of the one before, in turn to the upstream itself, to
// Headgate and to NGINX; what is added is the difference of the quantiles.

import { Pool, type Timing } from './client.ts'
import { startHeadgate, startNginx } from './gates.ts'
import type { Plan } from './main.ts'
import { jsonCall, shortStreamCall } from './messages.ts'
import { figure, quantile, type Figure, type Label } from './report.ts'
import { Upstream } from './upstream.ts'

const perSecond = 200
const warmUpCalls = 600

interface Target {
  readonly name: string
  readonly pool: Pool
}

interface Kind {
  readonly name: string
  readonly request: Uint8Array
  readonly read: (timing: Timing) => number
}

const kinds: readonly Kind[] = [
  { name: 'JSON answer', request: jsonCall, read: (timing) => timing.wholeMs },
  { name: 'first byte of a stream', request: shortStreamCall, read: (timing) => timing.firstByteMs },
]

export async function benchLatency(plan: Plan): Promise<Figure[]> {
  const upstream = new Upstream()
  const headgate = await startHeadgate(plan.folder, upstream.port)
  const nginx = await startNginx(plan.folder, upstream.port, true)
  const targets: Target[] = [
    { name: 'direct', pool: new Pool(upstream.port) },
    { name: 'headgate', pool: new Pool(headgate.port) },
    { name: 'nginx', pool: new Pool(nginx.port) },
  ]
  const figures: Figure[] = []
  for (const kind of kinds) {
    await schedule(targets, kind, warmUpCalls)
    const rounds: number[][][] = []
    for (let index = 0; index < plan.rounds; index++) {
      rounds.push(await schedule(targets, kind, Math.ceil(perSecond * plan.roundSeconds)))
    }
    figures.push(...added(kind.name, rounds))
  }
  for (const { pool } of targets) pool.close()
  upstream.close()
  return figures
}

/** Sends `calls` calls to each target. @returns their times, by target */
async function schedule(targets: readonly Target[], kind: Kind, calls: number): Promise<number[][]> {
  const times = targets.map((): number[] => [])
  const running: Promise<void>[] = []
  const gapMs = 1000 / perSecond / targets.length
  const startMs = performance.now()
  for (let index = 0; index < calls * targets.length; index++) {
    const waitMs = startMs + index * gapMs - performance.now()
    if (waitMs > 0) await Bun.sleep(waitMs)
    const at = index % targets.length
    running.push(
      targets[at]!.pool.call(kind.request).then((timing) => void times[at]!.push(kind.read(timing))),
    )
  }
  await Promise.all(running)
  return times
}

function added(name: string, rounds: readonly number[][][]): Figure[] {
  const difference = (target: number, part: number) =>
    rounds.map((times) => quantile(times[target]!, part) - quantile(times[0]!, part))
  const label = (what: string): Label => ({ bench: 'latency', what, unit: 'ms' })
  return [
    figure({ ...label(`${name}: added by headgate, p50`), atMost: 0.5 }, difference(1, 0.5)),
    figure(label(`  ${name}: added by headgate, p99`), difference(1, 0.99)),
    figure(label(`  ${name}: added by nginx, p50`), difference(2, 0.5)),
    figure(label(`  ${name}: added by nginx, p99`), difference(2, 0.99)),
    figure(
      label(`  ${name}: upstream itself, p50`),
      rounds.map((times) => quantile(times[0]!, 0.5)),
    ),
  ]
}
