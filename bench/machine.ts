// Processes and what the kernel knows of them. Processor time comes from /proc/PID/stat, not from a clock: on a machine
// that others use too, requests per second say as much about them as about us, time spent per request does not.

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import type { Subprocess } from 'bun'

/** Core of what is measured; the load is on the other (see run.mjs). */
const measuredCore = 0

const started: Subprocess[] = []

/** Starts a program on the measured core. `log` is a file for what it prints. */
export function startMeasured(argv: readonly string[], log: string): Subprocess {
  const out = Bun.file(log)
  const child = Bun.spawn(['taskset', '-c', String(measuredCore), ...argv], {
    stdin: 'ignore',
    stdout: out,
    stderr: out,
  })
  started.push(child)
  return child
}

/** Starts a program beside the load. */
export function startBeside(argv: readonly string[], log: string): Subprocess {
  const out = Bun.file(log)
  const child = Bun.spawn([...argv], { stdin: 'ignore', stdout: out, stderr: out })
  started.push(child)
  return child
}

/** Ends everything that was started, at once. */
export function stopAll(): void {
  for (const child of started.splice(0)) {
    // The gate runs behind a launcher, which passes SIGTERM on but not SIGKILL; the gate sees the launcher's end.
    child.kill('SIGKILL')
  }
}

/** The only child of a process, or the process itself where it has none. */
export function innermost(pid: number): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    if (statFields(Number(entry))?.[1] === String(pid)) return innermost(Number(entry))
  }
  return pid
}

/** Fields of /proc/PID/stat behind the name: state, parent, … */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

/** Processor time of all threads so far, user and system. The kernel counts in hundredths of a second. */
export function cpuMs(pid: number): number {
  const fields = statFields(pid)
  if (fields === null) throw new Error(`process ${pid} has ended`)
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function kilobytes(path: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(path, 'utf8'))
  if (found === null) throw new Error(`${path} has no ${name}`)
  return Number(found[1])
}

/** Memory in KB: `rss` as seen by ps, `pss` with shared pages counted in part, `own` without file pages. */
export function memoryKb(pid: number): { rss: number; pss: number; own: number } {
  return {
    rss: kilobytes(`/proc/${pid}/status`, 'VmRSS'),
    pss: kilobytes(`/proc/${pid}/smaps_rollup`, 'Pss'),
    own: kilobytes(`/proc/${pid}/status`, 'RssAnon'),
  }
}

/** Forgets the peak so far; `peakRssKb` then tells the peak since. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

export function peakRssKb(pid: number): number {
  return kilobytes(`/proc/${pid}/status`, 'VmHWM')
}

/** Open sockets of a process. */
export function socketCount(pid: number): number {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).filter((entry) => {
    try {
      return readlinkSync(`${folder}/${entry}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

export function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const { port } = listener
  listener.stop(true)
  return port
}

/** Waits until something listens there. @throws where nothing does within 10 s, or its process has ended */
export async function listening(port: number, process: Subprocess, log: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (process.exitCode !== null) break
    try {
      const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } })
      socket.end()
      return
    } catch {
      await Bun.sleep(50)
    }
  }
  throw new Error(
    `${process.exitCode === null ? 'nothing listens' : 'a server did not start'}: ${readFileSync(log, 'utf8')}`,
  )
}
