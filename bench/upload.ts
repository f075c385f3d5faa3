// A file of 400 MB through each gate: how fast, for how much processor time, and how far memory rises while it passes.

import type { Socket } from 'bun'
import { startHeadgate, startNginx, type Gate } from './gates.ts'
import { cpuMs, memoryKb, peakRssKb, resetPeak } from './machine.ts'
import type { Plan } from './main.ts'
import { requestHead } from './messages.ts'
import { figure, type Figure } from './report.ts'
import { Upstream } from './upstream.ts'

const megabyte = 1024 * 1024
const fileBytes = 400 * megabyte
const uploadMsMax = 60_000
const settleMs = 2000
/** Enough to be compared; a round is a whole upload, however long it takes. */
const roundsMax = 5

const boundary = 'bench-0123456789abcdef'
const opening = Buffer.from(
  `--${boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n` +
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="bench.jsonl"\r\n` +
    'Content-Type: application/jsonl\r\n\r\n',
)
const closing = Buffer.from(`\r\n--${boundary}--\r\n`)
const piece = Buffer.alloc(256 * 1024, '{"custom_id":"bench","method":"POST"}\n')

interface Round {
  readonly megabytesPerSecond: number
  readonly cpuMs: number
  readonly riseMb: number
}

export async function benchUpload(plan: Plan): Promise<Figure[]> {
  const upstream = new Upstream()
  const gates = [
    await startHeadgate(plan.folder, upstream.port),
    await startNginx(plan.folder, upstream.port, true),
  ]
  await Bun.sleep(settleMs)
  const bases = gates.map((gate) => memoryKb(gate.pid).rss)
  const rounds = gates.map((): Round[] => [])
  for (let index = 0; index < Math.min(plan.rounds, roundsMax); index++) {
    for (const [at, gate] of gates.entries()) {
      const one = await round(gate, upstream, bases[at]!)
      rounds[at]!.push(one)
      plan.say(
        `  ${gate.name}: ${one.megabytesPerSecond.toFixed(0)} MB/s, ${one.cpuMs.toFixed(0)} ms of CPU, memory +${one.riseMb.toFixed(1)} MB`,
      )
    }
  }
  upstream.close()
  const [headgate, nginx] = rounds as [Round[], Round[]]
  const ratio = (key: keyof Round) => headgate.map((one, at) => one[key] / nginx[at]![key])
  const label = { bench: 'upload', unit: '' }
  return [
    figure(
      { ...label, what: 'memory while 400 MB pass, over idle', unit: 'MB', atMost: 40 },
      headgate.map((one) => one.riseMb),
    ),
    figure(
      { ...label, what: '  nginx: the same', unit: 'MB' },
      nginx.map((one) => one.riseMb),
    ),
    figure({ ...label, what: 'throughput ÷ NGINX' }, ratio('megabytesPerSecond')),
    figure({ ...label, what: 'CPU ÷ NGINX' }, ratio('cpuMs')),
    figure(
      { ...label, what: '  headgate: throughput', unit: 'MB/s' },
      headgate.map((one) => one.megabytesPerSecond),
    ),
    figure(
      { ...label, what: '  nginx: throughput', unit: 'MB/s' },
      nginx.map((one) => one.megabytesPerSecond),
    ),
  ]
}

async function round(gate: Gate, upstream: Upstream, baseKb: number): Promise<Round> {
  resetPeak(gate.pid)
  const before = { cpu: cpuMs(gate.pid), at: performance.now(), bytes: upstream.bytesIn }
  await send(gate.port)
  const seconds = (performance.now() - before.at) / 1000
  const arrived = upstream.bytesIn - before.bytes
  if (arrived < fileBytes) throw new Error(`${gate.name}: only ${arrived} bytes of the upload arrived`)
  return {
    megabytesPerSecond: fileBytes / megabyte / seconds,
    cpuMs: cpuMs(gate.pid) - before.cpu,
    riseMb: (peakRssKb(gate.pid) - baseKb) / 1024,
  }
}

/** Sends the file as fast as it is taken. Resolves at the first byte of a 200. */
async function send(port: number): Promise<void> {
  const bodyBytes = opening.length + fileBytes + closing.length
  const head = requestHead('/v1/files', `multipart/form-data; boundary=${boundary}`, bodyBytes)
  const start = Buffer.concat([head, opening])
  const wholeBytes = start.length + fileBytes + closing.length
  let sent = 0
  /** What comes at offset `sent`; null at the end. */
  const next = (): Uint8Array | null => {
    if (sent < start.length) return start.subarray(sent)
    const at = sent - start.length
    if (at < fileBytes)
      return piece.subarray(at % piece.length, Math.min(piece.length, (at % piece.length) + fileBytes - at))
    return sent < wholeBytes ? closing.subarray(at - fileBytes) : null
  }
  const write = (socket: Socket) => {
    for (let part = next(); part !== null; part = next()) {
      const taken = Math.max(0, socket.write(part))
      sent += taken
      if (taken < part.length) return
    }
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error('an upload took too long')), uploadMsMax)
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      open: write,
      drain: write,
      data: (_, bytes) =>
        bytes.toString('latin1', 0, 12) === 'HTTP/1.1 200' ? resolve() : reject(new Error(bytes.toString())),
      close: () => reject(new Error('the connection was closed amid an upload')),
    },
  })
  try {
    await promise
  } finally {
    clearTimeout(timer)
    socket.terminate()
  }
}
