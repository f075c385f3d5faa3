// Loads headgate.config.ts. A module is read once a process, so each load asks for it under a new query and forgets what
// it imported last time: then a reload sees changes. The one thing the runtime does not forget is an imported module
// that failed, which the message says. `headgate` can be imported from anywhere, also beside the single executable.

import { dirname } from 'node:path'
import { defineConfig } from './define.ts'
import type { Position } from './yaml-source.ts'

/** What the module exports; or what went wrong. `modules`: files of the user's that it imports. */
export type LoadedModule =
  | { readonly tree: unknown; readonly modules: readonly string[] }
  | { readonly wrong: string; readonly suggestion: string | null; readonly position: Position | null }

const ownSource = dirname(import.meta.dir)
const importedBefore = new Map<string, string[]>()
let loads = 0

/** Imports `file` afresh and takes its default export; one that is a function is called. Never throws. */
export async function loadModule(file: string): Promise<LoadedModule> {
  provideHeadgate()
  for (const key of importedBefore.get(file) ?? []) delete require.cache[key]
  const before = new Set(Object.keys(require.cache))
  loads += 1
  try {
    // A plain path: the query of a file: URL does not make it another module.
    const module = (await import(`${file}?load=${loads}`)) as { default?: unknown }
    const imported = Object.keys(require.cache).filter((key) => !before.has(key) && isUsers(key))
    importedBefore.set(file, imported)
    const modules = imported.filter((key) => !key.startsWith(`${file}?`))
    if (module.default === undefined) {
      const suggestion = 'write export default defineConfig({ … })'
      return { wrong: 'has no default export', suggestion, position: null }
    }
    const tree: unknown = typeof module.default === 'function' ? await module.default() : module.default
    return { tree, modules }
  } catch (cause) {
    return explain(cause, file)
  }
}

function isUsers(key: string): boolean {
  return key.startsWith('/') && !key.includes('/node_modules/') && !key.startsWith(ownSource)
}

let provided = false

function provideHeadgate(): void {
  if (provided) return
  provided = true
  Bun.plugin({
    name: 'headgate',
    setup(build) {
      build.module('headgate', () => ({ exports: { defineConfig }, loader: 'object' }))
    },
  })
}

/** The parts of what an import throws: an error, a BuildMessage, or an AggregateError of those. */
interface Thrown {
  message?: unknown
  errors?: Thrown[]
  position?: { file?: string; line?: number; column?: number } | null
  stack?: unknown
}

function explain(cause: unknown, file: string): LoadedModule {
  const thrown = (cause ?? {}) as Thrown
  const first = thrown.errors?.[0] ?? thrown
  const said = typeof first.message === 'string' ? first.message : 'a value that is not an error was thrown'
  // The query is ours, and no part of the file's name.
  const wrong = said
    .replaceAll(/\?load=\d+/g, '')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 300)
  const place = placeOf(first)
  if (place === null) return { wrong, suggestion: null, position: null }
  if (place.file === file) {
    return { wrong, suggestion: null, position: { line: place.line, column: place.column } }
  }
  const suggestion = 'a failed import is read again only after a restart'
  return { wrong: `${place.file}:${place.line}: ${wrong}`, suggestion, position: null }
}

function placeOf(thrown: Thrown): (Position & { file: string }) | null {
  const { position } = thrown
  if (typeof position?.file === 'string' && typeof position.line === 'number') {
    return {
      file: position.file.replace(/\?.*$/, ''),
      line: position.line,
      column: (position.column ?? 0) + 1,
    }
  }
  // Bun's stack has `at name (/path/file.ts:3:11)` or `at /path/file.ts:3:11`.
  const match =
    typeof thrown.stack === 'string' ? /at (?:.*\()?(\/[^\s()]+?):(\d+):(\d+)/.exec(thrown.stack) : null
  if (match === null) return null
  return { file: match[1]!.replace(/\?.*$/, ''), line: Number(match[2]), column: Number(match[3]) }
}
