// An answer given past its time is fetched anew behind it: the same path from the limits on, without a client. It has a row,
// a log line and limits like any other call, and what goes wrong with it is nobody's failure but its own.

import { deliver } from './deliver.ts'
import type { Exchange } from './exchange.ts'
import { readAway } from './net/wire/body.ts'
import type { Stages } from './proxy.ts'
import { refuse } from './refuse.ts'

/** Fetches anew what `x` was given; `finish` ends the exchange made for it. Never rejects. */
export async function revalidate(
  x: Exchange,
  stages: Stages,
  finish: (x: Exchange, stages: Stages) => void,
): Promise<void> {
  const { limit, transform, cache, ask, meter, log } = stages
  const again = cache.renewal(x)
  if (again === null) return
  try {
    const reserved = limit.reserve(again)
    if (reserved !== undefined) await reserved
    const reply = await cache.fetched(again, ask(again))
    const delivered = deliver(again, reply, [
      ...meter.tap(again, reply),
      ...cache.tap(again, reply),
      ...transform.tap(again, reply),
    ])
    if (again.durable !== null) await again.durable
    if (delivered.body !== null && delivered.body.whole === null) await readAway(delivered.body)
  } catch (cause) {
    refuse(again, cause, log.bug)
  } finally {
    finish(again, stages)
  }
}
