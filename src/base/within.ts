// Waits with an end. Timers run before sockets are read: where this process stood still, a wait is over though the answer
// lies in the kernel. So what came meanwhile is read first, one turn of the event loop, and only then is a peer given up.

/** Calls `over` when the time is over and what had come by then has been read. Gives what calls it off. */
export function whenOver(ms: number, over: () => void): () => void {
  let timer = setTimeout(() => (timer = setTimeout(over, 0)), ms)
  return () => clearTimeout(timer)
}

/** What was promised; `otherwise` where it does not come in time. */
export async function within<V, O>(promised: Promise<V>, ms: number, otherwise: O): Promise<V | O> {
  let callOff = (): void => {}
  const late = new Promise<O>((resolve) => (callOff = whenOver(ms, () => resolve(otherwise))))
  try {
    return await Promise.race([promised, late])
  } finally {
    callOff()
  }
}
