// The ledger against an oracle: an upstream that keeps its own books of every call, and clients that behave badly. For each
// operation there must be exactly one last row, and for each settled row the tokens and the cost must be the upstream's.
// `bun bench/truth.ts [calls]`; ends with 1 where anything differs.

import { Database } from 'bun:sqlite'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { servedFolder, servedKey, startServed } from './served.ts'

const calls = Number(process.argv[2] ?? 100_000)
const lanes = 48

/** What the upstream has written down, by the number of the call; a repeat is another answer to the same call. */
interface Entry {
  readonly input: number
  readonly cached: number
  readonly output: number
  readonly finished: boolean
}
const books = new Map<number, Entry[]>()

/** A number that looks random and is the same for the same call. */
function mix(number: number, salt: number): number {
  let value = Math.imul(number ^ (salt * 0x9e3779b9), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}

const kindOf = (number: number): 'json' | 'stream' | 'error' | 'cut' | 'silent' => {
  const share = mix(number, 1) % 1000
  return share < 450
    ? 'json'
    : share < 900
      ? 'stream'
      : share < 950
        ? 'error'
        : share < 975
          ? 'cut'
          : 'silent'
}
const usageOf = (number: number) => {
  const input = 1 + (mix(number, 2) % 5000)
  return { input, cached: mix(number, 3) % (input + 1), output: mix(number, 4) % 3000 }
}

/** Asked with the words of others: from the cache, where it is there by then. */
const isShared = (number: number): boolean => kindOf(number) === 'json' && mix(number, 6) % 9 < 4

function book(number: number, finished: boolean): void {
  const entries = books.get(number) ?? []
  entries.push({ ...usageOf(number), finished })
  books.set(number, entries)
}

const upstream = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 60,
  async fetch(request) {
    const body = (await request.json()) as { user: string; stream?: boolean }
    const number = Number(body.user)
    const kind = kindOf(number)
    if (kind === 'error')
      return Response.json(
        { error: { message: 'on purpose', type: 'server_error' } },
        { status: [500, 400, 503][number % 3]! },
      )
    const { input, cached, output } = usageOf(number)
    const usage = {
      prompt_tokens: input,
      completion_tokens: output,
      total_tokens: input + output,
      prompt_tokens_details: { cached_tokens: cached },
    }
    const base = { id: `c-${number}`, model: 'gpt-4o-mini-2024-07-18' }
    if (body.stream !== true) {
      book(number, true)
      return Response.json({
        ...base,
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }],
        usage,
      })
    }
    return new Response(streamOf(number, kind, { base, usage }), {
      headers: { 'content-type': 'text/event-stream' },
    })
  },
})

async function* streamOf(number: number, kind: string, { base, usage }: { base: object; usage: object }) {
  const event = (more: object): string =>
    `data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', ...more })}\n\n`
  const words = 2 + (number % 6)
  for (let word = 0; word < words; word++) {
    yield event({
      choices: [{ index: 0, delta: { content: `word${word} ` }, finish_reason: null }],
      usage: null,
    })
    if (kind === 'cut' && word === 1) throw new Error('cut on purpose')
    if (number % 3 === 0) await Bun.sleep(1)
  }
  yield event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: null })
  if (kind !== 'silent') yield event({ choices: [], usage })
  book(number, kind !== 'silent')
  yield 'data: [DONE]\n\n'
}

const cache = { mode: 'exact', normalize: { ignore: ['user'] } }
const folder = servedFolder('truth', upstream.port!, { cache })
const { gate, url, said } = await startServed(folder)

const aborted = new Set<number>()
/** What the gateway shed before any upstream was asked: owed no row. */
const shed = new Set<number>()
let next = 0
const startedAtMs = performance.now()

async function lane(): Promise<void> {
  for (let number = next++; number < calls; number = next++) {
    const kind = kindOf(number)
    const stream = kind === 'stream' || kind === 'cut' || kind === 'silent'
    const leaves = mix(number, 5) % 10 === 0
    const controller = new AbortController()
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${servedKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'gpt-4o-mini',
          user: String(number),
          messages: [{ role: 'user', content: isShared(number) ? `Say ${number % 100}` : `Tell ${number}` }],
          ...(stream ? { stream } : {}),
        }),
        signal: controller.signal,
      })
      if (answer.status === 503 && answer.headers.has('retry-after')) shed.add(number)
      if (leaves) {
        aborted.add(number)
        if (stream) await answer.body?.getReader().read()
        controller.abort()
      } else await answer.arrayBuffer()
    } catch {
      // The client left, or the answer broke: both on purpose.
    }
  }
}
await Promise.all(Array.from({ length: lanes }, lane))
const tookMs = performance.now() - startedAtMs
gate.kill('SIGTERM')
await gate.exited

interface Row {
  operation_id: string
  end_user: string
  state: string
  is_last: number
  input: number | null
  cached_input: number | null
  output: number | null
  cost_nano: number | null
  cache: string
}
const db = new Database(join(folder, 'data', 'headgate.db'), { readonly: true })
const rows = db
  .query<Row, []>(
    'select operation_id, end_user, state, is_last, input, cached_input, output, cost_nano, cache from ledger',
  )
  .all()
const wrong: string[] = []
let hits = 0
const states: Record<string, number> = {}
const lastOf = new Map<string, number>()
const byCall = new Map<number, Row[]>()
for (const row of rows) {
  states[row.state] = (states[row.state] ?? 0) + 1
  lastOf.set(row.operation_id, (lastOf.get(row.operation_id) ?? 0) + row.is_last)
  const number = Number(row.end_user)
  byCall.set(number, [...(byCall.get(number) ?? []), row])
  if (row.cache === 'HIT' || row.cache === 'COALESCED') {
    hits += 1
    if (row.cost_nano !== 0 || row.input !== null)
      wrong.push(`call ${number}: a stored answer cost ${row.cost_nano}`)
    continue
  }
  if (row.state !== 'settled') continue
  const { input, cached, output } = usageOf(number)
  // gpt-4o-mini: $0.15 a million tokens of input, half of that where they were cached, $0.60 of output.
  const cost = (input - cached) * 150 + cached * 75 + output * 600
  if (row.input !== input || row.cached_input !== cached || row.output !== output || row.cost_nano !== cost)
    wrong.push(`call ${number}: ${JSON.stringify(row)} and not ${input}/${cached}/${output}, ${cost}`)
}
for (const [operation, last] of lastOf) if (last !== 1) wrong.push(`${operation} has ${last} last rows`)
for (let number = 0; number < calls; number++) {
  const found = byCall.get(number) ?? []
  if (found.length === 0 && !aborted.has(number) && !shed.has(number)) wrong.push(`call ${number} has no row`)
  const settled = found.filter(({ state, input }) => state === 'settled' && input !== null).length
  const finished = (books.get(number) ?? []).filter((entry) => entry.finished).length
  if (settled > finished) wrong.push(`call ${number}: ${settled} settled rows, ${finished} finished answers`)
  if (settled < finished && !aborted.has(number))
    wrong.push(`call ${number}: ${finished} finished answers, ${settled} settled rows`)
}
process.stdout.write(
  `${calls} calls, ${rows.length} rows (${Object.entries(states)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ')}), ` +
    `${hits} of them stored answers, ${aborted.size} clients left, ${shed.size} calls shed, ${Math.round(calls / (tookMs / 1000))} calls/s\n` +
    (wrong.length === 0
      ? 'every settled row is the upstream’s own figure, every operation has one end\n'
      : `${wrong.length} differ:\n${wrong.slice(0, 20).join('\n')}\nThe gateway said:\n${(await said()).slice(-4000)}\n`),
)
await upstream.stop(true)
rmSync(folder, { recursive: true, force: true })
process.exitCode = wrong.length === 0 ? 0 : 1
