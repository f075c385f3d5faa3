// Runs the benches asked for, one after the other, and prints one table. Runs under bench/run.mjs, which has bound this
// process, and with it the load it makes, to core 1; what is measured is bound to core 0.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchCache } from './cache.ts'
import { benchIdle } from './idle.ts'
import { benchJson } from './json.ts'
import { benchJwt } from './jwt.ts'
import { benchLatency } from './latency.ts'
import { stopAll } from './machine.ts'
import { formatTable, type Figure } from './report.ts'
import { benchSoak } from './soak.ts'
import { benchStreams } from './streams.ts'
import { benchUpload } from './upload.ts'

/** What a bench is given: where it may write, and how long to measure. */
export interface Plan {
  readonly folder: string
  readonly rounds: number
  readonly roundSeconds: number
  readonly soakSeconds: number
  /** Says what is going on, on stderr. */
  readonly say: (text: string) => void
}

const benches: Readonly<Record<string, (plan: Plan) => Promise<Figure[]>>> = {
  idle: benchIdle,
  json: benchJson,
  cache: benchCache,
  jwt: benchJwt,
  streams: benchStreams,
  latency: benchLatency,
  upload: benchUpload,
  soak: benchSoak,
}

/** However the benches hang, the run ends. */
const wholeRunMs = 20 * 60_000

const usage = `usage: node bench/run.mjs [${Object.keys(benches).join('|')} …] [options]
  --rounds <n>    rounds of each side, alternating (5)
  --seconds <n>   length of one round (4)
  --soak <n>      length of the soak in seconds (60)
  --json          figures as JSON on stdout
Without names: all of them, in this order.
`

function number(text: string, name: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`--${name} must be a number above 0`)
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      soak: { type: 'string', default: '60' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const unknown = positionals.find((name) => !(name in benches))
  if (values.help || unknown !== undefined) {
    process.stderr.write(unknown === undefined ? usage : `bench: there is no bench "${unknown}"\n${usage}`)
    return values.help ? 0 : 1
  }
  const folder = mkdtempSync(join(tmpdir(), 'headgate-bench-'))
  const plan: Plan = {
    folder,
    rounds: Math.ceil(number(values.rounds, 'rounds')),
    roundSeconds: number(values.seconds, 'seconds'),
    soakSeconds: number(values.soak, 'soak'),
    say: (text) => void process.stderr.write(`${text}\n`),
  }
  process.on('exit', () => {
    stopAll()
    rmSync(folder, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  setTimeout(() => {
    plan.say('bench: the run took too long and was stopped')
    process.exit(1)
  }, wholeRunMs).unref()

  const figures: Figure[] = []
  for (const name of positionals.length > 0 ? positionals : Object.keys(benches)) {
    plan.say(`${name} …`)
    figures.push(...(await benches[name]!(plan)))
    stopAll()
  }
  process.stdout.write(values.json ? `${JSON.stringify(figures, null, 2)}\n` : formatTable(figures))
  return figures.some((figure) => figure.reached === false) ? 2 : 0
}

main().then(
  (code) => process.exit(code),
  (cause: unknown) => {
    process.stderr.write(`bench: ${cause instanceof Error ? cause.message : String(cause)}\n`)
    process.exit(1)
  },
)
