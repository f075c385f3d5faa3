// What happens at twice the load the gateway can take: goodput beside its peak, and the latency of what is admitted beside
// that at 80 % of the peak. Load comes at a rate, whether or not answers do, as it does from many clients, and the upstream
// takes as long for an answer as a short one of a model takes. Run it with `taskset -c 1 bun bench/overload.ts [seconds] [shares] [peak]`:
// the gateway runs on core 0, load and upstream on core 1. Both are a program in Go (bench/load), since one in TypeScript
// measured itself: how late it sends is shown, and the share of core 1 that they need.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startHeadgate, type Gate } from './gates.ts'
import { cpuMs, startBeside, stopAll } from './machine.ts'
import { answer, jsonAnswer, jsonCall } from './messages.ts'
import { PacedLoad, type Heard } from './paced.ts'

const seconds = Number(process.argv[2] ?? 3)
const upstreamMs = 200
const warmUpShare = 0.3
const shares = (process.argv[3] ?? '0.8,1,2').split(',').map(Number)

interface Result extends Heard {
  readonly goodPerSecond: number
  readonly shedPerSecond: number
  /** Part of the time that the gateway, and load with upstream, were on their cores. */
  readonly gateShare: number
  readonly loadShare: number
}

class Load {
  #upstream = -1

  constructor(
    private readonly folder: string,
    private readonly paced: PacedLoad,
  ) {}

  /** Gives the upstream's port. */
  async startUpstream(): Promise<number> {
    const file = join(this.folder, 'answer.bin')
    const log = join(this.folder, 'upstream.txt')
    writeFileSync(file, answer(jsonAnswer))
    this.#upstream = startBeside([this.paced.program, 'upstream', file, String(upstreamMs)], log).pid
    for (;;) {
      const port = /^\d+\n/.exec(await Bun.file(log).text())
      if (port !== null) return Number(port[0])
      await Bun.sleep(20)
    }
  }

  /** Sends at a rate for a time. */
  async run(gate: Gate, perSecond: number): Promise<Result> {
    const before = [cpuMs(gate.pid), cpuMs(this.#upstream)] as const
    const heard = await this.paced.drive(gate.port, { perSecond, seconds, warmUpShare })
    const measuredS = seconds * (1 - warmUpShare)
    const gateMs = cpuMs(gate.pid) - before[0]
    const loadMs = cpuMs(this.#upstream) - before[1] + heard.usedMs
    // What is under way ends before the next run.
    await Bun.sleep(1500)
    return {
      ...heard,
      goodPerSecond: heard.good.length / measuredS,
      shedPerSecond: heard.shed.length / measuredS,
      gateShare: gateMs / (seconds * 1000),
      loadShare: loadMs / (seconds * 1000),
    }
  }

  /** The most that is answered as it comes: steps of a quarter more, until answers fall behind. */
  async peak(gate: Gate): Promise<number> {
    let best = 0
    let failed = 0
    for (let perSecond = 1600; ; perSecond *= failed === 0 ? 1.25 : 1) {
      const { goodPerSecond } = await this.run(gate, perSecond)
      best = Math.max(best, goodPerSecond)
      // A machine that others use too may have had a bad moment.
      failed = goodPerSecond < perSecond * 0.95 ? failed + 1 : 0
      if (failed === 2) return best
    }
  }
}

/** Milliseconds that so large a share of all took less than. */
function at(micros: readonly number[], share: number): string {
  if (micros.length === 0) return '-'
  return (micros.toSorted((a, b) => a - b)[Math.floor((micros.length - 1) * share)]! / 1000).toFixed(1)
}

function line(name: string, result: Result): string {
  const { good, shed, other, notSent } = result
  const rates = `${result.goodPerSecond.toFixed(0).padStart(7)}/s good  ${result.shedPerSecond.toFixed(0).padStart(7)}/s shed`
  const times = `p50 ${at(good, 0.5)} ms  p99 ${at(good, 0.99)} ms  shed p50 ${at(shed, 0.5)} ms  p99 ${at(shed, 0.99)} ms`
  const cores = `cores ${(result.gateShare * 100).toFixed(0)} % and ${(result.loadShare * 100).toFixed(0)} %, load late by ${(result.lateP99 / 1000).toFixed(1)} ms (p99)`
  return `  ${name.padEnd(16)} ${rates}  ${times}  ${cores}${notSent + other > 0 ? `  (${notSent} not sent, ${other} otherwise)` : ''}`
}

const folder = mkdtempSync(join(tmpdir(), 'headgate-bench-overload-'))
try {
  const load = new Load(folder, PacedLoad.build(folder, jsonCall))
  const gate = await startHeadgate(folder, await load.startUpstream())
  const peak = Number(process.argv[4] ?? (await load.peak(gate)))
  console.log(`peak: ${peak.toFixed(0)}/s`)
  for (const share of shares) console.log(line(`${share} × peak`, await load.run(gate, peak * share)))
} finally {
  stopAll()
  rmSync(folder, { recursive: true, force: true })
}
process.exit(0)
