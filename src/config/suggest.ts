// "Did you mean": the nearest known name, where one is near enough to be what was meant.

/** The name out of `known` that `text` is most likely a slip of, or null. */
export function nearestName(text: string, known: readonly string[]): string | null {
  const wanted = text.toLowerCase()
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(Math.min(wanted.length, 24) / 3)) + 1
  for (const name of known) {
    const distance = editDistance(wanted, name.toLowerCase(), bestDistance)
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** What to say of a name that is not known: the one that was meant, or null. */
export function didYouMean(text: string, known: readonly string[]): string | null {
  const near = nearestName(text, known)
  return near === null ? null : `did you mean \`${near}\`?`
}

/** Insertions, deletions, replacements and swaps of neighbours between two words; anything from `limit` on is `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return Math.min(last[b.length]!, limit)
}
