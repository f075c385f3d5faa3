// How long something took, less the time in which this process stood still: a machine that is busy, or a process that is
// stopped, makes nothing slower that a test is about.

const stepMs = 10
/** More than this between two looks is a standstill. */
const countedMaxMs = 50

/** Starts a stopwatch; what it gives reads and ends it, in milliseconds. */
export function startTiming(): () => number {
  let lookedAtMs = performance.now()
  let ranMs = 0
  const look = (): void => {
    const nowMs = performance.now()
    ranMs += Math.min(countedMaxMs, nowMs - lookedAtMs)
    lookedAtMs = nowMs
  }
  const timer = setInterval(look, stepMs)
  return () => {
    clearInterval(timer)
    look()
    return ranMs
  }
}

/** Watches for standstills of this process; what it gives ends that, and says how long the longest was, in milliseconds. */
export function watchStandstill(): () => number {
  let lookedAtMs = performance.now()
  let longestMs = 0
  const look = (): void => {
    const nowMs = performance.now()
    longestMs = Math.max(longestMs, nowMs - lookedAtMs)
    lookedAtMs = nowMs
  }
  const timer = setInterval(look, stepMs)
  return () => {
    clearInterval(timer)
    look()
    return longestMs
  }
}
