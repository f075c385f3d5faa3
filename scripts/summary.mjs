// Reads what `bun test` prints. Its JUnit report was refused as the source: a file that fails while it loads, and a
// run that crashes, are missing from it, and those are the failures that must not be lost.

/** @typedef {{ passed: number, failed: number, skipped: number, skippedNames: string[], complete: boolean }} Counts */

const escapes = new RegExp('\u001B\\[[0-9;]*m', 'g')

/**
 * Counts of one run of `bun test`.
 * @param {string} output all that it printed
 * @returns {Counts} `complete` = false where Bun ended before its summary: then the counts are those of the tests that
 *   had ended, and one failure more for the end itself. `skippedNames`: tests skipped or left to do; empty
 *   where Bun prints in colour, since it then leaves out the words that tell them.
 */
export function readCounts(output) {
  const lines = output.replace(escapes, '').split('\n')
  const skippedNames = lines.flatMap(
    (line) => /^\((?:skip|todo)\) (.+?)(?: \[[\d.]+m?s\])?$/.exec(line)?.[1] ?? [],
  )
  const end = lines.findLastIndex((line) => /^Ran \d+ tests? across \d+ files?\./.test(line))
  if (end === -1) {
    const count = (/** @type {string} */ word) => lines.filter((line) => line.startsWith(`(${word}) `)).length
    return {
      passed: count('pass'),
      failed: count('fail') + 1,
      skipped: skippedNames.length,
      skippedNames,
      complete: false,
    }
  }
  /** @type {Record<string, number>} */
  const numbers = {}
  for (const line of lines.slice(Math.max(0, end - 10), end)) {
    const found = /^ *(\d+) (pass|fail|skip|todo|error)s?$/.exec(line)
    if (found?.[1] && found[2]) numbers[found[2]] = Number(found[1])
  }
  const { pass = 0, fail = 0, error = 0, skip = 0, todo = 0 } = numbers
  return { passed: pass, failed: Math.max(fail, error), skipped: skip + todo, skippedNames, complete: true }
}

/**
 * The line a run ends with: `N passed, N failed, N skipped`.
 * @param {{ passed: number, failed: number, skipped: number }} counts
 */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}
