// Fills in `${env:…}`, `${file:…}` and `${command:…}` in every text of a configuration, before the schema sees it. What
// is filled in is never looked at again for references (a secret may hold `${`), and where it came from is remembered,
// so that a message can name the variable and need not show the value. All references are fetched at the same time.

import { resolve } from 'node:path'
import type { Environment } from './env.ts'
import { pathText } from './problem.ts'
import type { Finding } from './problem.ts'
import { readText } from './read-text.ts'
import { nextReference } from './references.ts'
import { runCommand } from './run-command.ts'

/** Where references are looked up. */
export interface Surroundings {
  readonly env: Environment
  /** Relative paths count from here, and commands run here. */
  readonly folder: string
  readonly commandTimeoutMs?: number
  /** What commands gave before, by their text: these are not run again. */
  readonly commands?: CommandResults
}

/** What `${command:…}` gave, by the command's text. */
export type CommandResults = ReadonlyMap<string, ReturnType<typeof runCommand>>

/** A tree whose texts are filled in. */
export interface FilledIn {
  readonly tree: unknown
  readonly findings: readonly Finding[]
  /** Files read, absolute. */
  readonly files: readonly string[]
  /** Setting → the reference its value came from, such as `${env:OPENAI_API_KEY}`. */
  readonly origins: ReadonlyMap<string, string>
  /** Settings whose reference failed: their value means nothing. */
  readonly failed: ReadonlySet<string>
  readonly commands: CommandResults
}

const notData = Symbol('neither text, number, list nor mapping')
const depthMax = 32
const nodesMax = 100_000
const nestingMax = 8
const secretBytesMax = 64 * 1024

/** Fills in every reference of `tree`, which is left as it was. Never throws; settings that are null are dropped. */
export async function fillIn(tree: unknown, surroundings: Surroundings): Promise<FilledIn> {
  const filler = new Filler(surroundings)
  const copy = filler.copy(tree, [])
  await Promise.all(filler.waiting)
  const { findings, files, origins, failed, commands } = filler
  return { tree: copy, findings, files: [...files], origins, failed, commands }
}

type Path = readonly (string | number)[]

class Filler {
  readonly findings: Finding[] = []
  readonly files = new Set<string>()
  readonly origins = new Map<string, string>()
  readonly failed = new Set<string>()
  readonly waiting: Promise<void>[] = []
  readonly #ancestors = new Set<object>()
  readonly commands = new Map<string, ReturnType<typeof runCommand>>()
  #nodes = 0

  constructor(private readonly surroundings: Surroundings) {}

  /** A copy of `value` whose texts are filled in once `waiting` is done. */
  copy(value: unknown, path: Path): unknown {
    this.#nodes += 1
    const isList = Array.isArray(value)
    // An instance, such as a Map, would pass for a mapping without settings.
    if (!isList && !isPlainObject(value)) return typeof value === 'object' && value !== null ? notData : value
    if (path.length > depthMax || this.#nodes > nodesMax || this.#ancestors.has(value)) {
      const message = this.#ancestors.has(value) ? 'holds itself' : 'is nested too deeply or too large'
      if (this.#nodes <= nodesMax + 1 || path.length > depthMax) this.#fail(path, message)
      return null
    }
    this.#ancestors.add(value)
    const copy: Record<string | number, unknown> | unknown[] = isList ? [] : {}
    const entries: [string | number, unknown][] = isList ? [...value.entries()] : Object.entries(value)
    for (const [key, item] of entries) {
      if (!isList && isAbsent(key, item)) continue
      // Not an assignment: `__proto__` must become an ordinary key, for the schema to refuse.
      const set = (filled: unknown): void => {
        Object.defineProperty(copy, key, {
          value: filled,
          enumerable: true,
          writable: true,
          configurable: true,
        })
      }
      const itemPath = [...path, key]
      if (typeof item === 'string' && item.includes('${')) {
        set('')
        this.waiting.push(this.#expand(item, itemPath, 0).then((filled) => set(filled ?? '')))
      } else set(this.copy(item, itemPath))
    }
    this.#ancestors.delete(value)
    return copy
  }

  /** `text` with its references filled in; null where one failed, which has been said then. */
  async #expand(text: string, path: Path, nesting: number): Promise<string | null> {
    const parts: string[] = []
    let from = 0
    let whole = true
    for (;;) {
      const reference = nextReference(text, from)
      if (reference === null) break
      if (reference === 'open')
        return this.#fail(
          path,
          'a reference ${… is not closed',
          'add the }, or write $${ for the text itself',
        )
      parts.push(text.slice(from, reference.start))
      from = reference.end
      if (reference.escaped) {
        parts.push(text.slice(reference.start + 1, reference.end))
        continue
      }
      const value = await this.#lookUp(reference.body, path, nesting)
      if (value === null) whole = false
      else parts.push(value)
    }
    return whole ? parts.join('') + text.slice(from) : null
  }

  async #lookUp(body: string, path: Path, nesting: number): Promise<string | null> {
    if (nesting > nestingMax) return this.#fail(path, 'references are nested too deeply')
    const colon = body.indexOf(':')
    const scheme = colon < 0 ? '' : body.slice(0, colon)
    const rest = body.slice(colon + 1)
    if (scheme === 'env') return this.#fromEnvironment(rest, path, nesting)
    if (scheme === 'file') return this.#fromFile(rest, path, nesting)
    if (scheme === 'command') return this.#fromCommand(rest, path)
    const hint = /^[A-Za-z_][A-Za-z0-9_]*(:-.*)?$/.test(body)
      ? `write \${env:${body.replace(/:-.*$/, '')}}, or $\${ for the text itself`
      : 'references are ${env:NAME}, ${file:/path} and ${command:…}; $${ stands for the text itself'
    return this.#fail(path, 'an unknown kind of reference', hint)
  }

  async #fromEnvironment(body: string, path: Path, nesting: number): Promise<string | null> {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/.exec(body)
    if (match === null) {
      return this.#fail(
        path,
        'not the name of an environment variable',
        'write ${env:NAME} or ${env:NAME:-default}',
      )
    }
    const [, name, fallback] = match
    const value = Object.hasOwn(this.surroundings.env, name!) ? this.surroundings.env[name!] : undefined
    this.#cameFrom(path, `\${env:${name}}`)
    if (fallback !== undefined)
      return value === undefined || value === '' ? this.#expand(fallback, path, nesting + 1) : value
    if (value !== undefined) return value
    return this.#fail(
      path,
      `environment variable ${name} is not set`,
      `set it, or give a default: \${env:${name}:-…}`,
    )
  }

  async #fromFile(body: string, path: Path, nesting: number): Promise<string | null> {
    const name = await this.#expand(body, path, nesting + 1)
    if (name === null) return null
    if (name.trim() === '') return this.#fail(path, 'the reference names no file', 'write ${file:/path}')
    const file = resolve(this.surroundings.folder, name.trim())
    this.files.add(file)
    this.#cameFrom(path, `\${file:${body}}`)
    const read = await readText(file, secretBytesMax)
    if ('wrong' in read) return this.#fail(path, `cannot read \${file:${body}}: ${read.wrong}`)
    return read.text.replace(/[\r\n]+$/, '')
  }

  async #fromCommand(body: string, path: Path): Promise<string | null> {
    this.#cameFrom(path, '${command:…}')
    let run = this.commands.get(body) ?? this.surroundings.commands?.get(body)
    if (run === undefined) {
      const { env, folder, commandTimeoutMs = 10_000 } = this.surroundings
      run = runCommand(body, { env, folder, timeoutMs: commandTimeoutMs, outputBytesMax: secretBytesMax })
    }
    this.commands.set(body, run)
    const result = await run
    return 'wrong' in result ? this.#fail(path, result.wrong) : result.output
  }

  #cameFrom(path: Path, reference: string): void {
    const key = pathText(path)
    if (!this.origins.has(key)) this.origins.set(key, reference)
  }

  #fail(path: Path, message: string, suggestion: string | null = null): null {
    this.findings.push({ path, message, suggestion })
    this.failed.add(pathText(path))
    return null
  }
}

/** `key:` says nothing; but `{listen:127.0.0.1:1}` is a key as a whole to YAML, and must not be dropped in silence. */
function isAbsent(key: string | number, value: unknown): boolean {
  return value === undefined || (value === null && !String(key).includes(':'))
}

/** Whether `value` is an object literal, not an instance of anything. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
