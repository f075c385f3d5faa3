// A cache file with very many answers, and what looking one up costs.

import { CacheFile } from '../src/storage/cache-file.ts'
import { quantile } from './report.ts'

const body = Buffer.from(JSON.stringify({ choices: 'The second proposal costs less. '.repeat(20) }))
const lookUps = 20_000

function keyOf(number: number): Uint8Array {
  return Bun.SHA256.hash(`answer ${number}`) as unknown as Uint8Array
}

/** Writes `count` answers of some 650 bytes. */
export function fillCacheFile(folder: string, count: number): void {
  const file = CacheFile.open(folder, () => {})
  const nowMs = Date.now()
  const facts = { endpoint: 'chat.completions', model: 'gpt-4o-mini', team: 'core', tags: [] }
  for (let from = 0; from < count; from += 5000) {
    file.together(() => {
      for (let number = from; number < Math.min(count, from + 5000); number++)
        file.keep({
          key: keyOf(number),
          body,
          ...facts,
          keptUntilMs: nowMs + 86_400_000,
          askedAtMs: nowMs,
          nowMs,
        })
    })
  }
  file.close()
}

/** Opens it, and looks answers up that lie all over it. */
export function lookUpTimes(
  folder: string,
  count: number,
): { openMs: number; p99Ms: number; heldMb: number } {
  Bun.gc(true)
  const beforeBytes = process.memoryUsage().rss
  const startedAtMs = performance.now()
  const file = CacheFile.open(folder, () => {})
  file.find(keyOf(0))
  const openMs = performance.now() - startedAtMs
  const times: number[] = []
  for (let number = 0; number < lookUps; number++) {
    const key = keyOf((number * 48_271) % count)
    const fromMs = performance.now()
    if (file.find(key) === null) throw new Error('an answer that was written is not there')
    times.push(performance.now() - fromMs)
  }
  const heldMb = (process.memoryUsage().rss - beforeBytes) / 1_048_576
  file.close()
  return { openMs, p99Ms: quantile(times, 0.99), heldMb }
}
