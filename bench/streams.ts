// A thousand open streams with a steady trickle: processor time per chunk, and memory per open stream. Time per chunk
// counts only where the gate keeps up: one that falls behind passes several chunks at once and looks cheap. So the rate
// is lowered until both keep up with time to spare, and the table says which rate it was.

import { startPatientHeadgate, startNginx, type Gate } from './gates.ts'
import { cpuMs, memoryKb } from './machine.ts'
import type { Plan } from './main.ts'
import { openStreamCall, streamChunk } from './messages.ts'
import { Readers } from './client.ts'
import { figure, type Figure } from './report.ts'
import { Upstream } from './upstream.ts'

const streams = 1000
const intervalsMs = [20, 30, 45, 70, 100, 150]
/** Above this part of the core's time a gate counts as saturated. */
const busyMax = 0.9
const openingMsMax = 20_000
/** Connections are opened in groups of this size: a listener's queue is finite. */
const group = 50
const settleMs = 3000

interface Round {
  readonly chunkUs: number
  readonly rssKb: number
  readonly pssKb: number
  readonly keptUp: boolean
}

interface Base {
  readonly rss: number
  readonly pss: number
}

export async function benchStreams(plan: Plan): Promise<Figure[]> {
  const upstream = new Upstream()
  const gates = [
    await startPatientHeadgate(plan.folder, upstream.port),
    await startNginx(plan.folder, upstream.port, true),
  ]
  await Bun.sleep(settleMs)
  const bases = gates.map((gate) => memoryKb(gate.pid))
  let intervalMs = 0
  const rounds = gates.map((): Round[] => [])
  const run = async (seconds: number): Promise<boolean> => {
    let keptUp = true
    for (const [at, gate] of gates.entries()) {
      const one = await round(gate, bases[at]!, { upstream, intervalMs, seconds, say: plan.say })
      rounds[at]!.push(one)
      keptUp &&= one.keptUp
    }
    return keptUp
  }
  for (intervalMs of intervalsMs) if (await run(Math.min(2, plan.roundSeconds))) break
  // The search also warmed both up.
  for (const list of rounds) list.length = 0
  for (let index = 0; index < plan.rounds; index++) await run(plan.roundSeconds)
  upstream.close()
  const [headgate, nginx] = rounds as [Round[], Round[]]
  const label = { bench: 'streams', unit: '' }
  const of = (list: readonly Round[], key: 'chunkUs' | 'rssKb' | 'pssKb') => list.map((one) => one[key])
  // A pair counts only where both kept up: a gate that falls behind looks cheap.
  const pairs = headgate.map((one, at) => [one, nginx[at]!] as const)
  const sound = pairs.filter(([ours, theirs]) => ours.keptUp && theirs.keptUp)
  return [
    figure(
      { ...label, what: 'CPU per chunk ÷ NGINX', atMost: 1.25 },
      sound.map(([ours, theirs]) => ours.chunkUs / theirs.chunkUs),
    ),
    figure({ ...label, what: 'memory per open stream (RSS)', unit: 'KB', atMost: 45 }, of(headgate, 'rssKb')),
    figure({ ...label, what: '  headgate: PSS per stream', unit: 'KB' }, of(headgate, 'pssKb')),
    figure({ ...label, what: '  nginx: RSS per stream', unit: 'KB' }, of(nginx, 'rssKb')),
    figure({ ...label, what: '  headgate: CPU per chunk', unit: 'µs' }, of(headgate, 'chunkUs')),
    figure({ ...label, what: '  nginx: CPU per chunk', unit: 'µs' }, of(nginx, 'chunkUs')),
    figure({ ...label, what: '  chunks/s asked for' }, [(streams * 1000) / intervalMs]),
    figure({ ...label, what: '  rounds in which a gate did not keep up' }, [pairs.length - sound.length]),
  ]
}

interface Load {
  readonly upstream: Upstream
  readonly intervalMs: number
  readonly seconds: number
  readonly say: (text: string) => void
}

async function round(gate: Gate, base: Base, load: Load): Promise<Round> {
  const { upstream, intervalMs, seconds } = load
  const readers = new Readers()
  await openAll(gate, readers, upstream)
  upstream.pump(intervalMs)
  await Bun.sleep(1000)
  const before = {
    cpu: cpuMs(gate.pid),
    sent: upstream.chunksSent,
    held: upstream.chunksHeldBack,
    bytes: readers.bytes,
    at: performance.now(),
  }
  await Bun.sleep(seconds * 1000)
  const usedMs = cpuMs(gate.pid) - before.cpu
  const wallMs = performance.now() - before.at
  const sent = upstream.chunksSent - before.sent
  const received = (readers.bytes - before.bytes) / streamChunk.length
  const memory = memoryKb(gate.pid)
  const lost = readers.closed
  upstream.stop()
  readers.close()
  for (let tries = 0; upstream.openStreams > 0 && tries < 100; tries++) await Bun.sleep(50)
  if (lost > 0) throw new Error(`${gate.name} closed ${lost} of ${streams} streams`)
  const asked = (streams * wallMs) / intervalMs
  const busy = usedMs / wallMs
  const one: Round = {
    chunkUs: (usedMs * 1000) / sent,
    rssKb: (memory.rss - base.rss) / streams,
    pssKb: (memory.pss - base.pss) / streams,
    keptUp:
      sent > 0.97 * asked &&
      Math.abs(received - sent) < 0.03 * sent &&
      upstream.chunksHeldBack === before.held &&
      busy < busyMax,
  }
  load.say(
    `  ${gate.name}: every ${intervalMs} ms, ${one.chunkUs.toFixed(1)} µs a chunk, core ${(busy * 100).toFixed(0)} %, ` +
      `${one.rssKb.toFixed(1)} KB a stream, ${((100 * received) / asked).toFixed(0)} % arrived${one.keptUp ? '' : ' (did not keep up)'}`,
  )
  return one
}

async function openAll(gate: Gate, readers: Readers, upstream: Upstream): Promise<void> {
  for (let opened = 0; opened < streams; opened += group) {
    await Promise.all(Array.from({ length: group }, () => readers.add(gate.port, openStreamCall)))
  }
  const untilMs = performance.now() + openingMsMax
  // An upstream's head alone may wait for its first byte of body: what counts is that the upstream has them all.
  while (upstream.openStreams < streams) {
    if (performance.now() > untilMs)
      throw new Error(`${gate.name}: only ${upstream.openStreams} of ${streams} streams opened`)
    await Bun.sleep(20)
  }
}
