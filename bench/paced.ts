// Load at a rate, whether or not answers come, by a program in Go (bench/load): one in TypeScript pauses for its own garbage,
// and takes so much of its core that it measures itself.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Times in microseconds. */
export interface Heard {
  readonly good: number[]
  readonly shed: number[]
  readonly other: number
  readonly notSent: number
  /** How late requests were sent, at the 99th percentile: the figures are no more exact than that. */
  readonly lateP99: number
  /** Processor time of the load. */
  readonly usedMs: number
}

export interface Pace {
  readonly perSecond: number
  readonly seconds: number
  /** Part of the time whose answers do not count. */
  readonly warmUpShare: number
}

export class PacedLoad {
  private constructor(
    readonly program: string,
    private readonly request: string,
  ) {}

  /** Builds the program. `request`: what is sent, again and again. */
  static build(folder: string, request: Uint8Array): PacedLoad {
    const program = join(folder, 'load')
    const file = join(folder, 'request.bin')
    writeFileSync(file, request)
    const sources = ['main.go', 'drive.go'].map((name) => join(import.meta.dir, 'load', name))
    const built = Bun.spawnSync(['go', 'build', '-o', program, ...sources])
    if (!built.success) throw new Error(`go build: ${built.stderr.toString()}`)
    return new PacedLoad(program, file)
  }

  /** Sends to a port of this machine, on kept connections, as many as are needed. */
  async drive(port: number, { perSecond, seconds, warmUpShare }: Pace): Promise<Heard> {
    const argv = [
      'drive',
      String(port),
      this.request,
      String(perSecond),
      String(seconds),
      String(warmUpShare),
    ]
    const child = Bun.spawn([this.program, ...argv], { stdout: 'pipe', stderr: 'inherit' })
    const heard = (await new Response(child.stdout).json()) as Omit<Heard, 'usedMs'>
    await child.exited
    return { ...heard, usedMs: Number(child.resourceUsage()!.cpuTime.total) / 1000 }
  }
}
