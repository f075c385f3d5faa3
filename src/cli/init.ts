// `headgate init`: a configuration, a data directory and a first client key. The key is shown once and kept nowhere;
// the file holds its hash, so it may be committed and read by others.

import { link, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { createClientKey, hashClientKey } from '../base/client-key.ts'
import { newId } from '../base/id.ts'
import { dataDirectory, hasOpenAiKey } from '../config/env.ts'
import { findConfigFile } from '../config/load.ts'
import { fileTrouble } from '../config/read-text.ts'
import { configJsonSchema } from '../config/reference.ts'
import { starterConfig, starterUrl } from '../config/starter.ts'
import { commandName } from './command-name.ts'
import { print, printError } from './print.ts'

/** Options of `headgate init`. */
export interface InitOptions {
  force?: boolean | undefined
  /** Where to write; `headgate.yaml` where absent. */
  config?: string | undefined
  data?: string | undefined
}

/** Makes the data directory, writes the configuration, prints both and the key. @returns exit code 0 or 1 */
export async function runInit(options: InitOptions): Promise<number> {
  const folder = process.cwd()
  const force = options.force === true
  const file = resolve(options.config ?? 'headgate.yaml')
  const taken = options.config === undefined ? await findConfigFile(folder) : await existing(file)
  if (taken !== null && !force)
    return refuse(`${relativeTo(folder, taken)} is there already; --force replaces it`)
  const openai = hasOpenAiKey()
  const key = createClientKey('dev')
  const data = resolve(options.data ?? dataDirectory() ?? '.headgate')
  const schemaFile = join(data, 'config.schema.json')
  const text = starterConfig({
    openai,
    keyHash: hashClientKey(key),
    schemaPath: relativeTo(dirname(file), schemaFile),
    dataPath: options.data === undefined ? null : data,
  })
  const wrong = (await write(schemaFile, configJsonSchema(), true)) ?? (await write(file, text, force))
  if (wrong !== null) return refuse(wrong)
  const shown = relativeTo(folder, file).replace(/^\.\//, '')
  const start = startCommand(options.config === undefined ? null : shown)
  if (print(report({ file: shown, data, key, openai, start }))) return 0
  // Nobody has seen the key, and nothing else holds it: a file with its hash would only be in the way.
  await rm(file, { force: true })
  return refuse('standard output cannot be written, so the key could not be shown: nothing was kept')
}

async function existing(file: string): Promise<string | null> {
  return (await stat(file).catch(() => null)) === null ? null : file
}

/** Writes `file` whole or not at all, making its folder for this user alone. Gives what went wrong, or null. */
async function write(file: string, text: string, force: boolean): Promise<string | null> {
  const fresh = `${file}.${newId('new')}`
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(fresh, text, { flag: 'wx', mode: 0o644 })
    // A link fails where the place is taken: of two runs at once only one wins.
    await (force ? rename(fresh, file) : link(fresh, file))
    return null
  } catch (cause) {
    // A folder that is a file in truth is told to be there already.
    const code = (cause as NodeJS.ErrnoException).code
    return `cannot write ${file}: ${code === 'EEXIST' ? 'a file is in the way' : fileTrouble(cause)}`
  } finally {
    await rm(fresh, { force: true }).catch(() => {})
  }
}

/** `./below` for what lies below `folder`, the absolute path for anything else. */
function relativeTo(folder: string, path: string): string {
  const way = relative(folder, path)
  return way.startsWith('..') ? path : `./${way}`
}

function refuse(message: string): number {
  printError(`headgate init: ${message}\n`)
  return 1
}

function startCommand(config: string | null): string {
  const file = config === null ? '' : ` --config ${/\s/.test(config) ? `'${config}'` : config}`
  return `${commandName()} serve${file}`
}

interface Report {
  readonly file: string
  readonly data: string
  readonly key: string
  readonly openai: boolean
  /** The command that serves this configuration. */
  readonly start: string
}

function report({ file, data, key, openai, start }: Report): string {
  const upstream = openai
    ? 'OpenAI, with the key in $OPENAI_API_KEY'
    : 'the built-in sandbox, since OPENAI_API_KEY is not set; the file shows how to change that'
  return `Wrote    ${file}
Data     ${data}
Upstream ${upstream}
Key      ${key}
         shown this once: the file holds only its hash

Start it:   ${start}
Then try:   export HEADGATE_KEY=${key}
            curl ${starterUrl}/v1/chat/completions \\
              -H "Authorization: Bearer $HEADGATE_KEY" \\
              -H "Content-Type: application/json" \\
              -d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}'`
}
