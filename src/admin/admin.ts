// The other port: for operators, their probes and tools. Not on the data path, so it is Bun's own server.

/** What the probes report; asked anew at every call. */
export interface Health {
  /** Why new requests should go elsewhere; empty = ready. */
  notReady(): string[]
  /** Open connections and exchanges under way, for people who look. */
  counts(): { readonly connections: number; readonly exchanges: number }
}

export interface AdminServer {
  readonly hostname: string
  readonly port: number
  /** The address asked for, as `hostname port`. */
  readonly requested: string
  stop(): void
}

/** Starts the admin port. @throws the system's error where the address cannot be had */
export function startAdmin(
  listen: { readonly hostname: string; readonly port: number },
  health: Health,
): AdminServer {
  const server = Bun.serve({
    hostname: listen.hostname,
    port: listen.port,
    development: false,
    // Without `development` Bun shares the port by default: two gateways would answer on it in turns.
    reusePort: false,
    routes: {
      '/healthz': { GET: () => Response.json({ status: 'ok' }) },
      '/readyz': {
        GET: () => {
          const reasons = health.notReady()
          const ready = reasons.length === 0
          const body = { status: ready ? 'ready' : 'not ready', reasons, ...health.counts() }
          return Response.json(body, { status: ready ? 200 : 503 })
        },
      },
    },
    fetch: () =>
      Response.json(
        { error: { message: 'There is nothing at this path. Try /healthz or /readyz.' } },
        { status: 404 },
      ),
  })
  return {
    hostname: server.hostname!,
    port: server.port!,
    requested: `${listen.hostname} ${listen.port}`,
    stop: () => void server.stop(true),
  }
}
