// Where a listener listens: `host:port`, with IPv6 in brackets. A bare port is refused rather than guessed: some
// servers take it as loopback, others as every interface, and for a gate that holds keys the difference matters.

import { isIP, isIPv4, isIPv6 } from 'node:net'

/** A listener's address; `hostname` is a name, an IPv4 or an IPv6 address without brackets. Port 0 = any free one. */
export interface ListenAddress {
  readonly hostname: string
  readonly port: number
}

const namePattern = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i

/** Whether `text` can be a host: a DNS name or an IPv4 address. `1.2.3` and `256.1.1.1` are neither. */
export function isHostName(text: string): boolean {
  return /^[\d.]+$/.test(text) ? isIPv4(text) : namePattern.test(text)
}

/** `127.0.0.1:8080` or `[::1]:8080` as an address; otherwise what is wrong, in words. */
export function parseListenAddress(
  text: string,
): ListenAddress | { readonly wrong: string; readonly hint: string } {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text)
  if (match === null) return explain(text)
  const [, bracketed, plain, digits] = match
  const port = Number(digits)
  if (port > 65_535)
    return { wrong: 'the port is above 65535', hint: 'ports go from 0, any free one, to 65535' }
  if (bracketed !== undefined) {
    if (!isIPv6(bracketed))
      return { wrong: 'only an IPv6 address stands in brackets', hint: 'write [::1]:8080' }
    return { hostname: bracketed, port }
  }
  if (plain === '')
    return {
      wrong: 'the host is missing',
      hint: `write 127.0.0.1:${port}, or 0.0.0.0:${port} for every interface`,
    }
  if (!isHostName(plain!))
    return {
      wrong: 'the host is neither a name nor an IP address',
      hint: 'write host:port, such as 127.0.0.1:8080',
    }
  return { hostname: plain!, port }
}

function explain(text: string): { wrong: string; hint: string } {
  if (/^\d{1,5}$/.test(text)) return { wrong: 'the host is missing', hint: `write 127.0.0.1:${text}` }
  if (/^[a-z]+:\/\//i.test(text))
    return { wrong: 'expected host:port, not a URL', hint: 'leave the scheme and the path away' }
  if (isIP(text) === 6 || /^[0-9a-f:]+:\d+$/i.test(text)) {
    return { wrong: 'an IPv6 address needs brackets', hint: 'write [::1]:8080' }
  }
  return { wrong: 'expected host:port', hint: 'such as 127.0.0.1:8080 or [::1]:8080' }
}

/** Whether only this machine can reach the address: 127.0.0.0/8, ::1 and `localhost`. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.toLowerCase()
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/** The address as it is written: IPv6 in brackets. */
export function formatListenAddress(address: ListenAddress): string {
  const host = address.hostname.includes(':') ? `[${address.hostname}]` : address.hostname
  return `${host}:${address.port}`
}
