// Ports for servers that must be told theirs before they start. The kernel gives ports of one range to whoever asks for any,
// connections that go out among them: one of those that was free a moment ago may be taken, or even be connected to itself.
// So these lie below that range.

import { readFileSync } from 'node:fs'

const lowest = 15_000
const triesMax = 1000
const given = new Set<number>()

/** Where the kernel's own range begins. */
function rangeStart(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1').split(/\s+/)[0])
  } catch {
    return 32_768
  }
}

/** A port of 127.0.0.1 that nobody listens on, never the same twice. */
export function freePort(): number {
  const places = Math.max(1, rangeStart() - lowest)
  for (let tries = 0; tries < triesMax; tries++) {
    const port = lowest + Math.floor(Math.random() * places)
    if (given.has(port)) continue
    try {
      Bun.listen({ hostname: '127.0.0.1', port, exclusive: true, socket: { data() {} } }).stop(true)
    } catch {
      continue
    }
    given.add(port)
    return port
  }
  throw new Error(`no port from ${lowest} on is free`)
}
