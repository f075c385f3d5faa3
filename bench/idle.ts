// Memory of a process that has just started and has nothing to do.

import { startHeadgate } from './gates.ts'
import { memoryKb } from './machine.ts'
import type { Plan } from './main.ts'
import { figure, type Figure } from './report.ts'
import { Upstream } from './upstream.ts'

const megabyteKb = 1024
/** The garbage of starting is collected some time after the last of it was made. */
const settleMs = 5000

export async function benchIdle(plan: Plan): Promise<Figure[]> {
  const upstream = new Upstream()
  const gate = await startHeadgate(plan.folder, upstream.port)
  const fresh = memoryKb(gate.pid)
  await Bun.sleep(settleMs)
  const settled = memoryKb(gate.pid)
  upstream.close()
  const label = { bench: 'idle', unit: 'MB' }
  return [
    figure({ ...label, what: 'resident memory after start', atMost: 80 }, [settled.rss / megabyteKb]),
    figure({ ...label, what: '  when it began to listen' }, [fresh.rss / megabyteKb]),
    figure({ ...label, what: '  of it not shared with the file (anonymous)' }, [settled.own / megabyteKb]),
  ]
}
