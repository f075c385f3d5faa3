// Many calls, and streams whose clients leave in the middle, for a while: memory must stay where it was once warm, and
// every socket must be given back.

import { Connection, Readers } from './client.ts'
import { startHeadgate, type Gate } from './gates.ts'
import { memoryKb, socketCount } from './machine.ts'
import type { Plan } from './main.ts'
import { jsonCall, openStreamCall, shortStreamCall } from './messages.ts'
import { figure, type Figure } from './report.ts'
import { Upstream } from './upstream.ts'

const callers = 24
const leavers = 8
const streamsPerLeaver = 8
/** Part of the time after which the process counts as warm. */
const warmPart = 0.25
const settleMs = 3000
const sampleMs = 1000

interface Counts {
  calls: number
  aborted: number
}

export async function benchSoak(plan: Plan): Promise<Figure[]> {
  const upstream = new Upstream()
  const gate = await startHeadgate(plan.folder, upstream.port)
  upstream.pump(10)
  await Bun.sleep(settleMs)
  const sockets = socketCount(gate.pid)
  const counts: Counts = { calls: 0, aborted: 0 }
  const first = await load(gate, counts, plan.soakSeconds * warmPart)
  await Bun.sleep(settleMs)
  const warmKb = memoryKb(gate.pid).rss
  const second = await load(gate, counts, plan.soakSeconds * (1 - warmPart))
  for (let tries = 0; upstream.openStreams > 0 && tries < 40; tries++) await Bun.sleep(50)
  const openStreams = upstream.openStreams
  await Bun.sleep(settleMs)
  const leftKb = memoryKb(gate.pid).rss
  const socketsLeft = socketCount(gate.pid) - sockets
  upstream.close()
  const label = { bench: 'soak', unit: '' }
  return [
    figure({ ...label, what: 'memory at the end, over warm', unit: 'MB', atMost: 10 }, [
      (leftKb - warmKb) / 1024,
    ]),
    figure(
      { ...label, what: '  resident under load', unit: 'MB' },
      [...first, ...second].map((kb) => kb / 1024),
    ),
    figure({ ...label, what: 'streams left open at the upstream', atMost: 0 }, [openStreams]),
    figure({ ...label, what: 'sockets over base (idle upstream connections: 32)', atMost: 32 }, [
      socketsLeft,
    ]),
    figure({ ...label, what: '  calls answered' }, [counts.calls]),
    figure({ ...label, what: '  streams aborted' }, [counts.aborted]),
  ]
}

/** @returns resident memory in KB, sampled */
async function load(gate: Gate, counts: Counts, seconds: number): Promise<number[]> {
  const untilMs = performance.now() + seconds * 1000
  const goesOn = () => performance.now() < untilMs
  const samples: number[] = []
  const sample = setInterval(() => samples.push(memoryKb(gate.pid).rss), sampleMs)
  await Promise.all([
    ...Array.from({ length: callers }, () => call(gate, counts, goesOn)),
    ...Array.from({ length: leavers }, () => leave(gate, counts, goesOn)),
  ])
  clearInterval(sample)
  return samples.length > 0 ? samples : [memoryKb(gate.pid).rss]
}

/** Calls on kept connections, a new one every hundred calls; every tenth call is a stream that ends. */
async function call(gate: Gate, counts: Counts, goesOn: () => boolean): Promise<void> {
  while (goesOn()) {
    const connection = await Connection.open(gate.port)
    for (let index = 1; index <= 100 && goesOn(); index++) {
      await connection.call(index % 10 === 0 ? shortStreamCall : jsonCall)
      counts.calls++
    }
    connection.close()
  }
}

/** Opens streams and leaves in the middle of them. */
async function leave(gate: Gate, counts: Counts, goesOn: () => boolean): Promise<void> {
  while (goesOn()) {
    const readers = new Readers()
    for (let index = 0; index < streamsPerLeaver; index++) await readers.add(gate.port, openStreamCall)
    for (let tries = 0; readers.answered < streamsPerLeaver && tries < 500; tries++) await Bun.sleep(10)
    if (readers.closed > 0) throw new Error(`${readers.closed} streams were closed by the gate`)
    counts.aborted += readers.answered
    readers.close()
  }
}
