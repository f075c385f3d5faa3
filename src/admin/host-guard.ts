// Against DNS rebinding: a web page whose name is turned to 127.0.0.1 reaches a loopback port from the operator's own
// browser, and the browser takes it for the page's own server. The Host it sends still names the page.

import { isLoopback } from '../config/listen-address.ts'

/** Whether `host`, a Host field, may be answered by a listener on `listen`; names in `publicHosts` always may. */
export function mayAsk(host: string | null, listen: string, publicHosts: readonly string[]): boolean {
  const loopback = isLoopback(listen)
  if (!loopback && publicHosts.length === 0) return true
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(host ?? '')
  const name = (match?.[1] ?? match?.[2] ?? '').toLowerCase()
  if (name === '') return false
  return isLoopback(name) || publicHosts.includes(name) || (!loopback && name === listen.toLowerCase())
}
