// What happens at twice the load the gateway can take: goodput beside its peak, and the latency of what is admitted beside
// that at 80 % of the peak. Load comes at a rate, whether or not answers do, as it does from many clients, and the upstream
// takes as long for an answer as a short one of a model takes. Run it with `taskset -c 1 bun bench/overload.ts [seconds] [shares] [peak]`:
// the gateway runs on core 0, load and upstream on core 1. The share of core 1 that they need is shown: near 100 % the
// figures say more of them than of the gateway.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Socket } from 'bun'
import { startHeadgate, type Gate } from './gates.ts'
import { cpuMs, stopAll } from './machine.ts'
import { answer, jsonAnswer, jsonCall } from './messages.ts'

const seconds = Number(process.argv[2] ?? 3)
const upstreamMs = 200
const connectionsMax = 12_000
const warmUpShare = 0.3
const shares = (process.argv[3] ?? '0.8,1,2').split(',').map(Number)
const reply = answer(jsonAnswer)
const closingBrace = 125

/** Answers each request the same, after a while. Requests come one at a time on a connection, and end with their body. */
class SlowUpstream {
  readonly #due: { readonly socket: Socket; readonly atMs: number }[] = []
  readonly #listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket, bytes) => {
        if (bytes.at(-1) === closingBrace) this.#due.push({ socket, atMs: performance.now() + upstreamMs })
      },
      error: () => {},
    },
  })
  readonly #timer = setInterval(() => this.#answer(), 1)
  #next = 0

  get port(): number {
    return this.#listener.port
  }

  close(): void {
    clearInterval(this.#timer)
    this.#listener.stop(true)
  }

  #answer(): void {
    const nowMs = performance.now()
    while (this.#next < this.#due.length && this.#due[this.#next]!.atMs <= nowMs)
      this.#due[this.#next++]!.socket.write(reply)
    if (this.#next > 10_000) this.#next -= this.#due.splice(0, this.#next).length
  }
}

interface Link {
  socket: Socket
  sentAtMs: number
}

interface Result {
  readonly goodPerSecond: number
  readonly shedPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly shedP50Ms: number
  readonly shedP99Ms: number
  readonly late: number
  /** Part of the time that the gateway, and load with upstream, were on their cores. */
  readonly gateShare: number
  readonly loadShare: number
}

class Load {
  readonly #idle: Link[] = []
  #open = 0
  #recording = false
  #good: number[] = []
  #shed: number[] = []
  #late = 0

  constructor(private readonly gate: Gate) {}

  /** Sends at a rate for a time. */
  async run(perSecond: number): Promise<Result> {
    this.#good = []
    this.#shed = []
    this.#late = 0
    const before = [cpuMs(this.gate.pid), cpuMs(process.pid)] as const
    const startedAtMs = performance.now()
    const recordFromMs = startedAtMs + seconds * 1000 * warmUpShare
    const endsAtMs = startedAtMs + seconds * 1000
    let sent = 0
    for (;;) {
      const nowMs = performance.now()
      if (nowMs >= endsAtMs) break
      this.#recording = nowMs >= recordFromMs
      const due = Math.floor(((nowMs - startedAtMs) * perSecond) / 1000)
      for (; sent < due; sent++) this.#send()
      await Bun.sleep(1)
    }
    this.#recording = false
    const share = (pid: number, from: number): number => (cpuMs(pid) - from) / (seconds * 1000)
    const [gateShare, loadShare] = [share(this.gate.pid, before[0]), share(process.pid, before[1])]
    await Bun.sleep(1500)
    const measuredS = seconds * (1 - warmUpShare)
    const at = (values: number[], share: number): number =>
      values.length === 0 ? 0 : values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]!
    return {
      goodPerSecond: this.#good.length / measuredS,
      shedPerSecond: this.#shed.length / measuredS,
      p50Ms: at(this.#good, 0.5),
      p99Ms: at(this.#good, 0.99),
      shedP50Ms: at(this.#shed, 0.5),
      shedP99Ms: at(this.#shed, 0.99),
      late: this.#late,
      gateShare,
      loadShare,
    }
  }

  /** The most that is answered as it comes: steps of a quarter more, until answers fall behind. */
  async peak(): Promise<number> {
    let best = 0
    let failed = 0
    for (let perSecond = 1600; ; perSecond *= failed === 0 ? 1.25 : 1) {
      const { goodPerSecond } = await this.run(perSecond)
      best = Math.max(best, goodPerSecond)
      // A machine that others use too may have had a bad moment.
      failed = goodPerSecond < perSecond * 0.95 ? failed + 1 : 0
      if (failed === 2) return best
    }
  }

  #send(): void {
    const link = this.#idle.pop()
    if (link !== undefined) return this.#write(link)
    if (this.#open >= connectionsMax) {
      if (this.#recording) this.#late += 1
      return
    }
    this.#connect((each) => void this.#idle.push(each))
  }

  #write(link: Link): void {
    link.sentAtMs = performance.now()
    link.socket.write(jsonCall)
  }

  #connect(done: (link: Link) => void): void {
    this.#open += 1
    const link = { sentAtMs: 0 } as Link
    void Bun.connect({
      hostname: '127.0.0.1',
      port: this.gate.port,
      socket: {
        open: (socket) => {
          link.socket = socket
          this.#write(link)
        },
        data: (_, bytes) => {
          // Answers are short, and come in one piece.
          const tookMs = performance.now() - link.sentAtMs
          if (this.#recording) (bytes[9] === 50 ? this.#good : this.#shed).push(tookMs)
          done(link)
        },
        close: () => void (this.#open -= 1),
        error: () => {},
      },
    }).catch(() => (this.#open -= 1))
  }
}

function line(name: string, result: Result): string {
  const { goodPerSecond, shedPerSecond, p50Ms, p99Ms, shedP50Ms, shedP99Ms, late, gateShare, loadShare } =
    result
  return (
    `  ${name.padEnd(16)} ${goodPerSecond.toFixed(0).padStart(7)}/s good  ${shedPerSecond.toFixed(0).padStart(7)}/s shed  ` +
    `p50 ${p50Ms.toFixed(1)} ms  p99 ${p99Ms.toFixed(1)} ms  shed p50 ${shedP50Ms.toFixed(1)} ms  p99 ${shedP99Ms.toFixed(1)} ms  cores ${(gateShare * 100).toFixed(0)} % and ${(loadShare * 100).toFixed(0)} %${late > 0 ? `  (${late} not sent)` : ''}`
  )
}

const folder = mkdtempSync(join(tmpdir(), 'headgate-bench-overload-'))
const upstream = new SlowUpstream()
try {
  const gate: Gate = await startHeadgate(folder, upstream.port)
  const load = new Load(gate)
  const peak = Number(process.argv[4] ?? (await load.peak()))
  console.log(`peak: ${peak.toFixed(0)}/s`)
  for (const share of shares) console.log(line(`${share} × peak`, await load.run(peak * share)))
} finally {
  stopAll()
  upstream.close()
  rmSync(folder, { recursive: true, force: true })
}
process.exit(0)
