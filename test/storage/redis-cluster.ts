// A Redis Cluster of three masters on free ports of this machine, gone with the tests.

import { freePort } from '../free-port.ts'
import { startRedis, type RedisServer } from './redis-server.ts'

/** A running cluster. */
export interface RedisCluster {
  readonly nodes: readonly RedisServer[]
  readonly urls: readonly string[]
  /** The node that keeps a key. */
  nodeOf(key: string): Promise<RedisServer>
  /** Resolves when all nodes agree that every slot is served. */
  whole(): Promise<void>
  remove(): Promise<void>
}

const slots = 16_384

/** Makes and starts one. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const buses = [freePort(), freePort(), freePort()]
  const nodes = await Promise.all(
    buses.map((bus) => startRedis('--cluster-enabled', 'yes', '--cluster-port', String(bus))),
  )
  const share = Math.ceil(slots / nodes.length)
  const rangeOf = (index: number) => [index * share, Math.min(slots, (index + 1) * share) - 1] as const
  for (const [index, node] of nodes.entries()) {
    await node.cli('cluster', 'addslotsrange', ...rangeOf(index).map(String))
    // Else each is of epoch 0, and they only agree once they have found that out.
    await node.cli('cluster', 'set-config-epoch', String(index + 1))
  }
  for (const [index, node] of nodes.slice(1).entries())
    await nodes[0]!.cli('cluster', 'meet', '127.0.0.1', String(portOf(node)), String(buses[index + 1]))
  const whole = async (): Promise<void> => {
    const endsAtMs = performance.now() + 30_000
    for (;;) {
      const infos = await Promise.all(nodes.map((node) => node.cli('cluster', 'info')))
      if (infos.every((info) => /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info))) return
      if (performance.now() > endsAtMs) throw new Error(`the cluster does not come up: ${infos[0]}`)
      await Bun.sleep(50)
    }
  }
  await whole()
  return {
    nodes,
    urls: nodes.map(({ url }) => url),
    whole,
    nodeOf: async (key) => nodes[Math.floor(Number(await nodes[0]!.cli('cluster', 'keyslot', key)) / share)]!,
    remove: async () => {
      await Promise.all(nodes.map((node) => node.remove()))
    },
  }
}

function portOf({ url }: RedisServer): number {
  return Number(new URL(url).port)
}
