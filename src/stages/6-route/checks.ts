// Active checks: a GET to each upstream of a route now and then, so that one that is broken is left alone before a request
// finds out, and comes back without one being risked. Three checks in a row that fail take it out, one that works brings
// it back. Only what could not be answered at all, or with 5xx, counts as failed.

import type { Target } from './choice.ts'
import type { AccountMemory } from './health.ts'
import type { Route } from './plan.ts'

/** The status an upstream answers to GET of a path. May reject. */
export type Probe<T extends Target> = (target: T, path: string) => Promise<number>

const failuresMax = 3

/** Starts the checks of all routes; gives what ends them. An upstream of several routes is checked as the first says. */
export function startChecks<T extends Target>(
  routes: readonly Route<T>[],
  parts: { readonly memory: AccountMemory; readonly probe: Probe<T> },
): () => void {
  const checked = new Map<T, ReturnType<typeof setInterval>>()
  for (const { config, stops } of routes) {
    if (config.check === undefined) continue
    const { path, every } = config.check
    for (const { target } of stops) {
      if (checked.has(target)) continue
      const timer = setInterval(checker(target, path, parts), every)
      timer.unref()
      checked.set(target, timer)
    }
  }
  return () => {
    for (const [target, timer] of checked) {
      clearInterval(timer)
      parts.memory.of(target.name).down = false
    }
  }
}

function checker<T extends Target>(
  target: T,
  path: string,
  { memory, probe }: { readonly memory: AccountMemory; readonly probe: Probe<T> },
): () => void {
  let failures = 0
  let running = false
  const told = (works: boolean): void => {
    running = false
    failures = works ? 0 : failures + 1
    if (works || failures >= failuresMax) memory.of(target.name).down = !works
  }
  return () => {
    // One that hangs is not asked twice: its own time-outs end it.
    if (running) return
    running = true
    probe(target, path).then(
      (status) => told(status < 500),
      () => told(false),
    )
  }
}
