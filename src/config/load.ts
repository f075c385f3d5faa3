// From a file (or none) to a checked configuration: find, read, fill in references, check, settle paths. Problems are
// gathered on the way and thrown at once; only a file that cannot be read as a tree at all ends the way early.

import { stat } from 'node:fs/promises'
import { basename, dirname, extname, isAbsolute, join, relative, resolve } from 'node:path'
import { dataDirectory, hasAdminToken, hasOpenAiKey, processEnvironment } from './env.ts'
import type { Environment } from './env.ts'
import { fillIn, isPlainObject, type CommandResults } from './fill-in.ts'
import { parseListenAddress } from './listen-address.ts'
import { findLiteralKeys, isTracked, maskKeys } from './literal-keys.ts'
import { loadModule } from './load-module.ts'
import { ConfigProblems, pathText } from './problem.ts'
import type { Finding, Problem } from './problem.ts'
import { readText } from './read-text.ts'
import type { Config, ParsedConfig } from './schema.ts'
import { settleUpstream } from '../stages/7-upstream/options.ts'
import { validate } from './validate.ts'
import { parseYaml } from './yaml-source.ts'
import type { Locate } from './yaml-source.ts'

export interface LoadOptions {
  /** Configuration file; absent = headgate.yaml, headgate.yml or headgate.config.ts in `cwd`, else the defaults. */
  file?: string | undefined
  /** Data directory from the command line: over $HEADGATE_DATA and `storage.path`. */
  data?: string | undefined
  /** Proxy address from the command line, `host:port`: over `server.listen`. */
  listen?: string | undefined
  cwd?: string | undefined
  /** The environment for `${env:…}`; absent = the process's own. */
  env?: Environment | undefined
  /** Commands whose output is known are not run again. */
  commandsOf?: LoadedConfig | undefined
  /** The configuration file itself is not read again either: only what its references name. */
  textOf?: LoadedConfig | undefined
}

/** A configuration and where it came from. */
export interface LoadedConfig {
  config: Config
  /** Absolute; null = no file, only defaults. */
  file: string | null
  /** Files whose change means a reload: the configuration, what it imports, every `${file:…}` and caFile. Absolute. */
  watched: string[]
  /** A file was read and held no setting at all: empty, only comments, or sections without anything in them. */
  empty: boolean
  /** Those of them that `${file:…}` names: read again without `--watch` too, so that a secret can be replaced. Absolute. */
  secretFiles: string[]
  /** The data directory is one that was asked for: by --data, $HEADGATE_DATA or `storage.path`. */
  dataNamed: boolean
  warnings: Problem[]
  /** A finding made later, such as by verify.ts, as a problem with its place in the file. */
  place(finding: Finding): Problem
  /** What a later load may go by; see `LoadOptions`. */
  readonly kept: { readonly source: Source; readonly commands: CommandResults }
}

const fileBytesMax = 1024 * 1024
const fileNames = ['headgate.yaml', 'headgate.yml', 'headgate.config.ts']

/**
 * Loads the configuration.
 * @throws ConfigProblems with everything that is wrong, in the order of the file
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadedConfig> {
  const cwd = resolve(options.cwd ?? process.cwd())
  const env = options.env ?? processEnvironment()
  const found = options.file === undefined ? await configFiles(cwd) : [resolve(cwd, options.file)]
  const file = found[0] ?? null
  const folder = file === null ? cwd : dirname(file)
  const name = file === null ? null : shownName(file, cwd)
  const source = options.textOf?.kept.source ?? (file === null ? noSource : await readSource(file, cwd))
  const literals = file === null ? [] : await literalKeys(file, source.text)
  const inFile = (fault: Fault): Problem => ({ ...blank, file: name, ...fault })
  const place = (finding: Finding): Problem => inFile(toFault(finding, source.locate))
  const problems = [...found.slice(1).map(unread), ...[...source.faults, ...literals].map(inFile)]
  if (source.faults.length > 0) throw new ConfigProblems(inOrder(problems))

  const listen = options.listen === undefined ? undefined : parseListenAddress(options.listen)
  if (listen !== undefined && 'wrong' in listen) {
    problems.push({ ...blank, path: '--listen', message: listen.wrong, suggestion: listen.hint })
  }
  const commands = options.commandsOf?.kept.commands ?? new Map()
  const filled = await fillIn(prepare(source.tree, options.listen, env), { env, folder, commands })
  const checked = validate(filled)
  for (const finding of [...filled.findings, ...checked.findings]) {
    // An address from the command line stands in no line of the file, and is judged above.
    if (listen !== undefined && pathText(finding.path) === 'server.listen') continue
    problems.push(place(finding))
  }
  const { config } = checked
  if (config === null || problems.some(({ severity }) => severity === 'error'))
    throw new ConfigProblems(inOrder(problems))
  const data = options.data ?? dataDirectory(env)
  const settled = settle(config, { folder, cwd, data })
  const implied = impliedPlaces(config, options.data, env)
  const placeLater = (finding: Finding): Problem => {
    const path = implied.get(pathText(finding.path))
    return path === undefined
      ? place(finding)
      : { ...place(finding), file: null, line: null, column: null, path }
  }
  const watched = [
    ...(file === null ? [] : [file]),
    ...source.modules,
    ...filled.files,
    ...caFiles(settled),
    ...tokenFiles(settled),
    ...(settled.meter.prices === null ? [] : [settled.meter.prices]),
  ]
  return {
    config: settled,
    file,
    watched: [...new Set(watched)],
    secretFiles: [...filled.files],
    dataNamed: data !== null || config.storage.path !== undefined,
    empty: file !== null && holdsNothing(source.tree),
    warnings: inOrder(problems),
    place: placeLater,
    kept: { source, commands: filled.commands },
  }
}

/** The configuration file that `cwd` has, absolute; null where it has none. */
export async function findConfigFile(cwd: string): Promise<string | null> {
  return (await configFiles(cwd))[0] ?? null
}

/** All that `cwd` has; the first is read. */
async function configFiles(cwd: string): Promise<string[]> {
  const files = fileNames.map((name) => join(cwd, name))
  const found = await Promise.all(files.map((file) => stat(file).catch(() => null)))
  return files.filter((_, index) => found[index] !== null)
}

/** Said aloud, since whoever edits the other file would wait for an effect. */
function unread(file: string): Problem {
  const message = 'is not read: another configuration file comes first'
  return {
    ...blank,
    file: basename(file),
    message,
    suggestion: 'remove one of them, or name one with --config',
    severity: 'warning',
  }
}

/** Places that stand in no line of the file, by setting, and what named them. */
function impliedPlaces(
  config: ParsedConfig,
  data: string | undefined,
  env: Environment,
): Map<string, string> {
  const implied = new Map<string, string>()
  if (config.log.file === undefined) implied.set('log.file', 'log.file')
  if (data !== undefined) implied.set('storage.path', '--data')
  else if (dataDirectory(env) !== null) implied.set('storage.path', '$HEADGATE_DATA')
  else if (config.storage.path === undefined) implied.set('storage.path', 'the default ./.headgate')
  return implied
}

/** Asked only of a tree without cycles: fill-in refuses those. */
function holdsNothing(tree: unknown): boolean {
  return (
    tree === null || tree === undefined || (isPlainObject(tree) && Object.values(tree).every(holdsNothing))
  )
}

type Fault = Pick<Problem, 'message'> & Partial<Problem>

interface Source {
  readonly tree: unknown
  readonly text: string
  readonly faults: readonly Fault[]
  readonly modules: readonly string[]
  readonly locate: Locate
}

const noSource: Source = { tree: null, text: '', faults: [], modules: [], locate: () => null }
const blank: Problem = {
  file: null,
  line: null,
  column: null,
  path: '',
  message: '',
  suggestion: null,
  severity: 'error',
}

async function readSource(file: string, cwd: string): Promise<Source> {
  const read = await readText(file, fileBytesMax)
  if ('wrong' in read) {
    const usual = fileNames.includes(relative(cwd, file))
    const suggestion = usual && read.wrong === 'no such file' ? '`headgate init` writes one' : null
    return { ...noSource, faults: [{ message: `cannot read the file: ${read.wrong}`, suggestion }] }
  }
  const { text } = read
  if (['.ts', '.mts', '.js', '.mjs'].includes(extname(file))) {
    const loaded = await loadModule(file)
    if ('tree' in loaded) return { ...noSource, ...loaded, text }
    const { wrong, suggestion, position } = loaded
    return { ...noSource, text, faults: [{ message: wrong, suggestion, ...position }] }
  }
  return { ...noSource, ...parseYaml(text), text }
}

/** The tree with what the command line and the defaults say about it. */
function prepare(tree: unknown, listen: string | undefined, env: Environment): unknown {
  const root = tree ?? {}
  if (!isPlainObject(root)) return root
  const prepared = { ...root }
  const server = root['server'] ?? {}
  if (listen !== undefined && isPlainObject(server)) prepared['server'] = { ...server, listen }
  prepared['upstreams'] ??= hasOpenAiKey(env)
    ? [{ name: 'openai', provider: 'openai', keys: ['${env:OPENAI_API_KEY}'] }]
    : [{ name: 'sandbox', provider: 'sandbox' }]
  const admin = root['admin'] ?? {}
  const own = isPlainObject(admin) && (admin['token'] ?? admin['tokens']) !== undefined
  if (!own && isPlainObject(admin) && hasAdminToken(env))
    prepared['admin'] = { ...admin, token: '${env:HEADGATE_ADMIN_TOKEN}' }
  return prepared
}

async function literalKeys(file: string, text: string): Promise<Fault[]> {
  const found = findLiteralKeys(text)
  if (found.length === 0) return []
  const tracked = await isTracked(file)
  return found.map(({ line, column, kind }) => ({
    line,
    column,
    message: tracked
      ? `holds what looks like ${kind}, and git tracks this file`
      : `holds what looks like ${kind}`,
    suggestion: tracked
      ? 'write ${env:NAME} or ${file:/path} in its place, and change the key: git keeps the old text'
      : 'write ${env:NAME} or ${file:/path} in its place',
    severity: tracked ? ('error' as const) : ('warning' as const),
  }))
}

function toFault(finding: Finding, locate: Locate): Fault {
  return {
    ...locate(finding.path, finding.at ?? 'value'),
    path: maskKeys(pathText(finding.path)),
    message: maskKeys(finding.message),
    suggestion: maskKeys(finding.suggestion ?? '') || null,
    severity: finding.severity ?? 'error',
  }
}

/** Paths become absolute: in the file they count from its folder, on the command line from where the user stands. */
function settle(config: ParsedConfig, from: { folder: string; cwd: string; data: string | null }): Config {
  const data =
    from.data ?? (config.storage.path === undefined ? null : resolve(from.folder, config.storage.path))
  const dataPath = resolve(from.cwd, data ?? '.headgate')
  const { file } = config.log
  const { prices } = config.meter
  const logFile = file === undefined ? join(dataPath, 'access.log') : resolve(from.folder, file)
  const upstreams = (config.upstreams ?? []).map(settleUpstream).map((upstream) => {
    if (upstream.provider === 'sandbox' || upstream.tls.caFile === null) return upstream
    return { ...upstream, tls: { caFile: resolve(from.folder, upstream.tls.caFile) } }
  })
  const jwt = config.access.jwt.map((issuer) => ({
    ...issuer,
    jwksFile: issuer.jwksFile === undefined ? undefined : resolve(from.folder, issuer.jwksFile),
    tls: { caFile: issuer.tls.caFile === null ? null : resolve(from.folder, issuer.tls.caFile) },
  }))
  return {
    ...config,
    access: { ...config.access, jwt },
    storage: { ...config.storage, path: dataPath },
    upstreams,
    meter: { ...config.meter, prices: prices === undefined ? null : resolve(from.folder, prices) },
    log: { ...config.log, file: file === 'stdout' ? null : logFile },
  }
}

function caFiles(config: Config): string[] {
  return config.upstreams.flatMap((upstream) =>
    upstream.provider === 'sandbox' || upstream.tls.caFile === null ? [] : [upstream.tls.caFile],
  )
}

function tokenFiles({ access }: Config): string[] {
  return access.jwt.flatMap(({ jwksFile, tls }) =>
    [jwksFile, tls.caFile].filter((file) => typeof file === 'string'),
  )
}

function inOrder(problems: readonly Problem[]): Problem[] {
  const place = ({ line, column }: Problem): number =>
    line === null ? 0 : line * 10_000 + Math.min(column ?? 0, 9_999)
  return problems.toSorted((a, b) => place(a) - place(b))
}

function shownName(file: string, cwd: string): string {
  const name = relative(cwd, file)
  return name === '' || name.startsWith('..') || isAbsolute(name) ? file : name
}
