// A gateway that is killed with SIGKILL at random moments under 50 parallel calls, again and again on one data directory:
// `bun bench/chaos.ts [times]`. Every answer a client has seen to its end must have its row, and no operation two.
// Ends with 1 where one is missing. The suite does the same with the ledger alone, 30 times.

import { Database } from 'bun:sqlite'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { servedFolder, servedKey, startServed } from './served.ts'

const times = Number(process.argv[2] ?? 1000)
const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }

const upstream = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request) {
    const { stream } = (await request.json()) as { stream?: boolean }
    const base = { id: 'c', model: 'gpt-4o-mini' }
    if (stream !== true) return Response.json({ ...base, choices: [], usage })
    const events = [
      { ...base, choices: [{ index: 0, delta: { content: 'x' } }] },
      { ...base, choices: [], usage },
    ]
    const text = `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`
    return new Response(text, { headers: { 'content-type': 'text/event-stream' } })
  },
})
const folder = servedFolder('chaos', upstream.port!)
const answered: string[] = []

async function lane(url: string, number: number): Promise<void> {
  for (;;) {
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${servedKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'gpt-4o-mini', messages: [], stream: number % 2 === 0 }),
      })
      const text = await answer.text()
      if (answer.status === 200 && (number % 2 === 1 || text.endsWith('data: [DONE]\n\n')))
        answered.push(answer.headers.get('x-headgate-id')!)
    } catch {
      return
    }
  }
}

for (let round = 0; round < times; round++) {
  const { gate, url } = await startServed(folder)
  const lanes = Array.from({ length: 50 }, (_, number) => lane(url, number))
  await Bun.sleep(5 + Math.random() * 400)
  gate.kill('SIGKILL')
  await gate.exited
  await Promise.all(lanes)
}
// One more start brings what the last kill left into the database.
const last = await startServed(folder)
last.gate.kill('SIGTERM')
await last.gate.exited

const db = new Database(join(folder, 'data', 'headgate.db'), { readonly: true })
const rows = db
  .query<{ operation_id: string; state: string }, []>('select operation_id, state from ledger')
  .all()
const count = new Map<string, number>()
for (const { operation_id: id } of rows) count.set(id, (count.get(id) ?? 0) + 1)
const missing = answered.filter((id) => !count.has(id)).length
const twice = [...count.values()].filter((each) => each > 1).length
const estimated = rows.filter(({ state }) => state === 'estimated').length
process.stdout.write(
  `${times} kills, ${answered.length} answers seen to their end, ${rows.length} rows, ${estimated} of them estimated: ` +
    `${missing} answers without a row, ${twice} operations with two\n`,
)
await upstream.stop(true)
rmSync(folder, { recursive: true, force: true })
process.exitCode = missing + twice === 0 ? 0 : 1
