// How long something took, less the time in which this process stood still: a machine that is busy, or a process that is
// stopped, makes nothing slower that a test is about.

const stepMs = 10
/** More than this between two looks is a standstill. */
const countedMaxMs = 50

/** Looks every few milliseconds at how long it was since the last time; what it gives ends that, with one last look. */
function everyStep(look: (passedMs: number) => void): () => void {
  let lookedAtMs = performance.now()
  const step = (): void => {
    const nowMs = performance.now()
    look(nowMs - lookedAtMs)
    lookedAtMs = nowMs
  }
  const timer = setInterval(step, stepMs)
  return () => {
    clearInterval(timer)
    step()
  }
}

/** Starts a stopwatch; what it gives reads and ends it, in milliseconds. */
export function startTiming(): () => number {
  let ranMs = 0
  const end = everyStep((passedMs) => (ranMs += Math.min(countedMaxMs, passedMs)))
  return () => {
    end()
    return ranMs
  }
}

/** Watches for standstills of this process; what it gives ends that, and says how long the longest was, in milliseconds. */
export function watchStandstill(): () => number {
  let longestMs = 0
  const end = everyStep((passedMs) => (longestMs = Math.max(longestMs, passedMs)))
  return () => {
    end()
    return longestMs
  }
}
