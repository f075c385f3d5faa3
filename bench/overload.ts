// What happens at twice the load the gateway can take: goodput beside its peak, and the latency of what is admitted beside
// that at 80 % of the peak. Load comes at a rate, whether or not answers do, as it does from many clients. Run it with
// `bun bench/overload.ts [seconds]`; the gateway runs on core 0, load and upstream on core 1.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Socket } from 'bun'
import { startHeadgate, type Gate } from './gates.ts'
import { stopAll } from './machine.ts'
import { jsonCall } from './messages.ts'
import { Upstream } from './upstream.ts'

const seconds = Number(process.argv[2] ?? 4)
const connectionsMax = 3000
const warmUpShare = 0.25

interface Link {
  socket: Socket
  sentAtMs: number
}

interface Result {
  readonly goodPerSecond: number
  readonly shedPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly shedP99Ms: number
  readonly late: number
}

class Load {
  readonly #idle: Link[] = []
  #open = 0
  #recording = false
  #good: number[] = []
  #shed: number[] = []
  #late = 0

  constructor(private readonly port: number) {}

  /** Sends at a rate for a time. */
  async run(perSecond: number): Promise<Result> {
    this.#good = []
    this.#shed = []
    this.#late = 0
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
    await Bun.sleep(500)
    const measuredS = seconds * (1 - warmUpShare)
    const at = (values: number[], share: number): number =>
      values.length === 0 ? 0 : values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]!
    return {
      goodPerSecond: this.#good.length / measuredS,
      shedPerSecond: this.#shed.length / measuredS,
      p50Ms: at(this.#good, 0.5),
      p99Ms: at(this.#good, 0.99),
      shedP99Ms: at(this.#shed, 0.99),
      late: this.#late,
    }
  }

  /** As many at a time as given, each after the other: what the gateway can do at most. */
  async peak(connections: number): Promise<number> {
    let answered = 0
    const until = performance.now() + seconds * 1000
    const again = (link: Link): void => {
      answered += 1
      if (performance.now() < until) this.#write(link)
    }
    for (let at = 0; at < connections; at++) this.#connect(again)
    await Bun.sleep(seconds * 1000 + 300)
    return answered / seconds
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
      port: this.port,
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
  const { goodPerSecond, shedPerSecond, p50Ms, p99Ms, shedP99Ms, late } = result
  return (
    `  ${name.padEnd(16)} ${goodPerSecond.toFixed(0).padStart(7)}/s good  ${shedPerSecond.toFixed(0).padStart(7)}/s shed  ` +
    `p50 ${p50Ms.toFixed(1)} ms  p99 ${p99Ms.toFixed(1)} ms  shed p99 ${shedP99Ms.toFixed(1)} ms${late > 0 ? `  (${late} not sent)` : ''}`
  )
}

const folder = mkdtempSync(join(tmpdir(), 'headgate-bench-overload-'))
const upstream = new Upstream()
try {
  const gate: Gate = await startHeadgate(folder, upstream.port)
  const load = new Load(gate.port)
  await load.peak(64)
  const peak = await new Load(gate.port).peak(64)
  console.log(`peak with 64 connections: ${peak.toFixed(0)}/s`)
  for (const share of [0.5, 0.8, 1, 1.5, 2])
    console.log(line(`${share} × peak`, await load.run(peak * share)))
} finally {
  stopAll()
  upstream.close()
  rmSync(folder, { recursive: true, force: true })
}
process.exit(0)
