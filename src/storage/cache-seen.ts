// Requests that a cache could have answered, as the cache's file keeps them for `cache simulate`.

import type { SQLQueryBindings, Statement } from 'bun:sqlite'

const rowsMax = 200_000

/** A request that could be answered from a cache: no body, and of its digest as much as tells requests apart. */
export interface SeenRequest {
  readonly atMs: number
  readonly key: string
  readonly endpoint: string
  readonly model: string
  /** Size of its answer. */
  readonly bytes: number
  readonly tokens: number
  /** Nano-dollars; null = not known. */
  readonly costNanoUsd: number | null
  readonly status: string
  /** How many requests it stands for: under load only those of some digests are kept, and all of theirs. */
  readonly weight: number
  /** How many more of the same digest came within moments of it. */
  repeats: number
}

type Ask = (sql: string) => Statement<Record<string, unknown>, SQLQueryBindings[]>

/** Adds them, and keeps no more than the newest 200,000. @throws SQLite's error */
export function addSeen(ask: Ask, requests: Iterable<SeenRequest>): void {
  const add = ask(
    'insert into seen (at_ms, key, endpoint, model, bytes, tokens, cost_nano, status, weight, repeats) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  )
  let last = 0
  for (const one of requests) {
    const { atMs, key, endpoint, model, bytes, tokens, costNanoUsd, status, weight, repeats } = one
    const row = [atMs, key, endpoint, model, bytes, tokens, costNanoUsd, status, weight, repeats]
    last = Number(add.run(...row).lastInsertRowid)
  }
  ask('delete from seen where number <= ?').run(last - rowsMax)
}

/** Those since a moment, oldest first. @throws SQLite's error */
export function* seenSince(ask: Ask, fromMs: number): Generator<SeenRequest> {
  const rows = ask('select * from seen where at_ms >= ? order by number').iterate(fromMs)
  for (const row of rows as Iterable<Record<string, string | number | null>>) {
    yield {
      atMs: Number(row['at_ms']),
      key: String(row['key']),
      endpoint: String(row['endpoint']),
      model: String(row['model']),
      bytes: Number(row['bytes']),
      tokens: Number(row['tokens']),
      costNanoUsd: row['cost_nano'] === null ? null : Number(row['cost_nano']),
      status: String(row['status']),
      weight: Number(row['weight']),
      repeats: Number(row['repeats']),
    }
  }
}
