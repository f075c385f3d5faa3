// Where the gateway listens: the proxy port's addresses and the admin port's one. A change keeps what stays the same,
// opens what is new before it closes what is gone, and leaves everything as it was where an address cannot be had.

import { isIP } from 'node:net'
import { AdminServer, type AdminParts } from './admin/admin.ts'
import { CidrSet, parsePeerAddress } from './base/address.ts'
import { formatListenAddress } from './config/listen-address.ts'
import type { Config } from './config/schema.ts'
import { HttpServer, type ServerHandler, type ServerLimits } from './net/wire/server.ts'
import type { ProxyProtocol } from './net/wire/proxy-protocol.ts'
import type { Sweeper } from './net/wire/sweeper.ts'

/** An address, or a file the process needs, that cannot be had: one clear line, for exit code 1. */
export class StartFailure extends Error {}

/** What `make` gives. @throws StartFailure in place of any other error */
export function startable<T>(make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new StartFailure((cause as Error).message)
  }
}

export interface ListenersParts {
  readonly handler: ServerHandler
  readonly sweeper: Sweeper
  readonly admin: AdminParts
}

export class Listeners {
  #proxy: readonly HttpServer[] = []
  #admin: AdminServer | null = null

  constructor(private readonly parts: ListenersParts) {}

  /** Addresses of the proxy port, as bound. */
  get proxy(): readonly HttpServer[] {
    return this.#proxy
  }

  /** The admin port, as bound. */
  get admin(): AdminServer {
    return this.#admin!
  }

  get openConnections(): number {
    return this.#proxy.reduce((sum, server) => sum + server.counts().open, 0)
  }

  /** Listens as configured. @throws StartFailure; then nothing has changed */
  move(config: Config): void {
    const limits = serverLimits(config)
    const opened: HttpServer[] = []
    const kept: HttpServer[] = []
    try {
      for (const address of config.server.listen) {
        const same = this.#proxy.find((each) => each.requested === keyOf(address) && !kept.includes(each))
        if (same === undefined)
          opened.push(bind(proxyPort, address, () => new HttpServer(address, limits, this.parts)))
        else kept.push(same)
      }
      this.#moveAdmin(config)
    } catch (cause) {
      for (const server of opened) server.stop()
      throw cause
    }
    for (const server of kept) server.limits = limits
    for (const server of this.#proxy) if (!kept.includes(server)) void server.drain()
    this.#proxy = [...kept, ...opened]
  }

  /** Accepts no more and resolves when the last connection of the proxy port has closed. */
  async drain(): Promise<void> {
    await Promise.all(this.#proxy.map((server) => server.drain()))
  }

  /** Cuts what is open and frees every address. */
  stop(): void {
    for (const server of this.#proxy) server.stop()
    this.#admin?.stop()
  }

  #moveAdmin(config: Config): void {
    const address = config.admin.listen
    if (this.#admin !== null && this.#admin.requested === keyOf(address)) {
      this.#admin.configure(config.admin)
      return
    }
    const next = bind(adminPort, address, () => new AdminServer(config.admin, this.parts.admin))
    this.#admin?.retire()
    this.#admin = next
  }
}

interface Address {
  readonly hostname: string
  readonly port: number
}

function keyOf(address: Address): string {
  return `${address.hostname} ${address.port}`
}

/** How a user moves an address, for the message that says it is taken. */
const proxyPort = 'set server.listen, or --listen'
const adminPort = 'set admin.listen'

function bind<T>(remedy: string, address: Address, start: () => T): T {
  try {
    return start()
  } catch (cause) {
    const place = formatListenAddress(address)
    throw new StartFailure(`cannot listen on ${place}: ${reason(cause as Error, address)} (${remedy})`)
  }
}

function reason(cause: Error & { readonly code?: string }, address: Address): string {
  if (cause.code === 'EADDRINUSE') return 'the port is in use'
  if (cause.code === 'EACCES') return 'not permitted, as ports below 1024 are not'
  if (cause.code === 'EADDRNOTAVAIL') return 'this machine has no such address'
  return isIP(address.hostname) === 0
    ? 'the name cannot be resolved to an address of this machine'
    : cause.message
}

function serverLimits(config: Config): ServerLimits {
  const { limits, timeouts } = config.server
  return {
    headerBytesMax: limits.headerBytes,
    headerFieldsMax: limits.headers,
    connectionsPerAddressMax: limits.connectionsPerAddress,
    headerMs: timeouts.header,
    idleMs: timeouts.idle,
    proxyProtocol: proxyProtocol(config),
  }
}

function proxyProtocol({ server }: Config): ProxyProtocol | null {
  if (server.proxyProtocol === 'off') return null
  const trusted = CidrSet.of(server.trustedProxies)
  const trusts = (peerAddress: string): boolean => {
    const peer = parsePeerAddress(peerAddress)
    return peer !== null && trusted.has(peer)
  }
  return { mode: server.proxyProtocol, trusts }
}
