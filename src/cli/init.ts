// `headgate init`: a configuration, a data directory and a first client key. The key is shown once and kept nowhere;
// the file holds its hash, so it may be committed and read by others.

import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { createClientKey, hashClientKey } from '../base/client-key.ts'
import { newId } from '../base/id.ts'
import { dataDirectory, hasOpenAiKey } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { formatListenAddress } from '../config/listen-address.ts'
import { ConfigProblems } from '../config/problem.ts'
import { fileTrouble } from '../config/read-text.ts'
import { configJsonSchema } from '../config/reference.ts'
import { starterConfig } from '../config/starter.ts'

/** Options of `headgate init`. */
export interface InitOptions {
  force?: boolean | undefined
  /** Where to write; `headgate.yaml` where absent. */
  config?: string | undefined
  data?: string | undefined
}

/** Writes the configuration, makes the data directory, prints both and the key. @returns exit code 0 or 1 */
export async function runInit(options: InitOptions): Promise<number> {
  const file = resolve(options.config ?? 'headgate.yaml')
  const shown = relativeTo(process.cwd(), file).replace(/^\.\//, '')
  const openai = hasOpenAiKey()
  const key = createClientKey('dev')
  const dataPath = resolve(options.data ?? dataDirectory() ?? '.headgate')
  const schemaFile = join(dataPath, 'config.schema.json')
  const text = starterConfig({
    openai,
    keyHash: hashClientKey(key),
    schemaPath: relativeTo(dirname(file), schemaFile),
    dataPath: options.data === undefined ? null : dataPath,
  })
  const wrong = await write(file, text, options.force === true)
  if (wrong !== null) return refuse(`cannot write ${shown}: ${wrong}`)
  try {
    const { config } = await loadConfig({ file, data: options.data })
    await mkdir(config.storage.path, { recursive: true, mode: 0o700 })
    await writeFile(schemaFile, configJsonSchema())
    const url = `http://${formatListenAddress(config.server.listen[0]!)}`
    console.log(report({ shown, data: config.storage.path, key, openai, url }))
    return 0
  } catch (cause) {
    if (cause instanceof ConfigProblems) return refuse(cause.format())
    return refuse(`cannot make the data directory: ${fileTrouble(cause)}`)
  }
}

/** Writes beside the place and renames: a file is whole or absent. Gives what went wrong, or null. */
async function write(file: string, text: string, force: boolean): Promise<string | null> {
  const fresh = `${file}.${newId('new')}`
  try {
    await mkdir(dirname(file), { recursive: true })
    if (!force) {
      // `wx` is the check and the claim in one step: two runs at once cannot both win.
      const handle = await open(file, 'wx', 0o644)
      await handle.writeFile(text)
      await handle.close()
      return null
    }
    const handle = await open(fresh, 'wx', 0o644)
    await handle.writeFile(text)
    await handle.close()
    await rename(fresh, file)
    return null
  } catch (cause) {
    await rm(fresh, { force: true }).catch(() => {})
    const { code } = cause as NodeJS.ErrnoException
    return code === 'EEXIST' ? 'it is there already; --force replaces it' : fileTrouble(cause)
  }
}

/** `./below` for what lies below `folder`, the absolute path for anything else. */
function relativeTo(folder: string, path: string): string {
  const way = relative(folder, path)
  return way.startsWith('..') ? path : `./${way}`
}

function refuse(message: string): number {
  console.error(`headgate init: ${message}`)
  return 1
}

interface Report {
  readonly shown: string
  readonly data: string
  readonly key: string
  readonly openai: boolean
  readonly url: string
}

function report({ shown, data, key, openai, url }: Report): string {
  const upstream = openai
    ? 'OpenAI, with the key in $OPENAI_API_KEY'
    : 'the built-in sandbox, since OPENAI_API_KEY is not set; the file shows how to change that'
  return `Wrote    ${shown}
Data     ${data}
Upstream ${upstream}
Key      ${key}
         shown this once: the file holds only its hash

Start it:   headgate serve
Then try:   curl ${url}/v1/chat/completions \\
              -H "Authorization: Bearer ${key}" \\
              -H "Content-Type: application/json" \\
              -d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}'`
}
