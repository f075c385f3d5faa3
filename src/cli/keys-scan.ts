// `headgate keys scan PATH`: finds client keys that stand in files, by their shape and checksum, and says by fingerprint
// alone which of them they are. Needs no store; with one it also tells whether a key still counts. For use before a
// commit and over logs, so it reads files of any size in pieces and follows no links.

import { closeSync, existsSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { hashClientKey, isWellFormedClientKey } from '../base/client-key.ts'
import { Secret } from '../base/secret.ts'
import { loadConfig } from '../config/load.ts'
import { ConfigProblems } from '../config/problem.ts'
import { StorageFailure } from '../storage/open.ts'
import type { StoreOptions } from './keys.ts'
import { openStore, type Store } from './store.ts'

/** A key in a file. */
export interface FoundKey {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly text: string
}

const pieceBytes = 1024 * 1024
/** Longer than any key, so that one across the edge of two pieces is seen whole. */
const overlapBytes = 128
const foundMax = 10_000
const pattern = /hg_[a-z0-9][a-z0-9-]{0,31}_[A-Za-z0-9]{46}/g

/** Scans a file or a folder. @returns exit code 1 where a key was found or the path cannot be read, else 0 */
export async function runKeysScan(path: string, options: StoreOptions): Promise<number> {
  const troubles: string[] = []
  const found = scanPath(path, troubles)
  for (const trouble of troubles.slice(0, 20)) console.error(`headgate: ${trouble}`)
  if (troubles.length > 20) console.error(`headgate: ${troubles.length - 20} more places cannot be read`)
  if (found.length === 0) {
    console.log(`no client key in ${path}`)
    return troubles.length > 0 ? 1 : 0
  }
  const known = await knowledge(options)
  for (const { file, line, text } of found) {
    console.log(`${file}:${line}: client key ${new Secret(text).fingerprint} (${known.about(text)})`)
  }
  await known.close()
  const more = found.length === foundMax ? ', and the scan stopped there' : ''
  console.error(
    `headgate: ${found.length} client key${found.length === 1 ? '' : 's'} found${more}: revoke those that count`,
  )
  return 1
}

/** The keys in a file, or in all files below a folder. What cannot be read is added to `troubles`. */
export function scanPath(path: string, troubles: string[]): FoundKey[] {
  const found: FoundKey[] = []
  const queue = [path]
  while (queue.length > 0 && found.length < foundMax) {
    const place = queue.pop()!
    try {
      const kind = lstatSync(place)
      if (kind.isDirectory())
        queue.push(
          ...readdirSync(place)
            .toSorted()
            .toReversed()
            .map((name) => join(place, name)),
        )
      else if (kind.isFile()) scanFile(place, found)
    } catch (cause) {
      troubles.push(`cannot read ${place}: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`)
    }
  }
  return found
}

function scanFile(file: string, found: FoundKey[]): void {
  const fd = openSync(file, 'r')
  const piece = Buffer.alloc(pieceBytes)
  try {
    let carried = ''
    let line = 1
    for (;;) {
      const count = readSync(fd, piece)
      const last = count === 0
      const text = carried + piece.toString('latin1', 0, count)
      // What begins in the overlap is left to the next piece, where it is whole.
      const edge = last ? text.length : Math.max(0, text.length - overlapBytes)
      const from = line
      for (const match of text.matchAll(pattern)) {
        if (match.index >= edge || found.length >= foundMax) break
        if (!isWellFormedClientKey(match[0])) continue
        found.push({ file, line: from + newlines(text.slice(0, match.index)), text: match[0] })
      }
      if (last) return
      line += newlines(text.slice(0, edge))
      carried = text.slice(edge)
    }
  } finally {
    closeSync(fd)
  }
}

function newlines(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++
  return count
}

interface Knowledge {
  /** What is known of a key, without any part of it. */
  about(text: string): string
  close(): Promise<void>
}

/** What configuration and store know; without them the scan has found what it has found. */
async function knowledge(options: StoreOptions): Promise<Knowledge> {
  let store: Store | null = null
  const names = new Map<string, string>()
  try {
    const { config } = await loadConfig({ file: options.config, data: options.data })
    for (const key of config.access.keys) names.set(key.hash ?? hashClientKey(key.value!.reveal()), key.name)
    const { storage } = config
    // A store that is not there is not made for a look.
    if (storage.postgres !== undefined || existsSync(join(storage.path, 'headgate.db')))
      store = await openStore(storage, { event: () => {}, revoked: () => {} })
  } catch (cause) {
    if (!(cause instanceof StorageFailure) && !(cause instanceof ConfigProblems)) throw cause
    console.error(`headgate: keys are not compared with the store: ${cause.message.split('\n')[0]}`)
  }
  return {
    about(text) {
      const name = names.get(hashClientKey(text))
      if (name !== undefined) return `active, "${name}" of the configuration`
      if (store === null) return 'well formed; not compared with a store'
      const verdict = store.keys.lookup(text)
      if (verdict === null) return 'well formed; not in the store'
      return `${typeof verdict === 'string' ? verdict : 'active'}, ${store.keys.idOf(text)}`
    },
    close: async () => store?.close(),
  }
}
