// What each upstream has cost today and this month (UTC), from the ledger's sums. Whoever looks at upstreams may do so
// because something is broken: a ledger that cannot be read, or not soon, takes the figures away and nothing else.

import { periodOf } from '../reports/period.ts'
import { Zone } from '../reports/zone.ts'
import type { AdminWorld } from './route.ts'

/** Nano-dollars since the start of the day and of the month, UTC. */
export interface UpstreamSpend {
  readonly todayNanoUsd: number
  readonly monthNanoUsd: number
}

const waitMs = 2000

/** By name of the upstream; null = not known now. Never rejects. */
export async function spendOfUpstreams(world: AdminWorld): Promise<Map<string, UpstreamSpend> | null> {
  if (world.reports === null) return null
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<null>((resolve) => (timer = setTimeout(resolve, waitMs, null)))
  return Promise.race([read(world).catch(() => null), late]).finally(() => clearTimeout(timer))
}

async function read({ reports, clock }: AdminWorld): Promise<Map<string, UpstreamSpend> | null> {
  const nowMs = clock.wallMs()
  const zone = new Zone('UTC')
  const month = periodOf({ from: 'this-month' }, zone, nowMs)
  if ('wrong' in month) return null
  const { rows } = await reports!.usage({ by: ['upstream', 'day'], ...month, zone: 'UTC', filter: {} })
  const today = zone.label(nowMs, 'day')
  const spent = new Map<string, UpstreamSpend>()
  for (const { upstream, day, costNanoUsd } of rows) {
    if (upstream === null || upstream === undefined) continue
    const before = spent.get(upstream) ?? { todayNanoUsd: 0, monthNanoUsd: 0 }
    spent.set(upstream, {
      todayNanoUsd: day === today ? costNanoUsd : before.todayNanoUsd,
      monthNanoUsd: Math.min(before.monthNanoUsd + costNanoUsd, Number.MAX_SAFE_INTEGER),
    })
  }
  return spent
}
