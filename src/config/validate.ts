// A filled-in tree against the schema. zod says what is wrong; here it becomes words: a missing setting `is required`,
// an unknown one gets the nearest known name, one of a later version is refused as such. A union is reported by the
// alternative that was meant, not by all of them. Nothing here repeats a value; names of unknown keys are repeated only
// where they look like names, since a mistyped secret can end up as a key.

import type { z } from 'zod'
import { crossCheck } from './cross-checks.ts'
import type { FilledIn } from './fill-in.ts'
import { knownKeys, knownValues } from './known-keys.ts'
import { isNotYet, notYet, providersNotYet } from './not-yet.ts'
import { pathText } from './problem.ts'
import type { Finding } from './problem.ts'
import { configSchema } from './schema.ts'
import type { ParsedConfig } from './schema.ts'
import { didYouMean, nearestName } from './suggest.ts'

type Path = readonly (string | number)[]
type Issue = z.core.$ZodIssue

/** What a tree amounts to; `config` is null where a finding is an error. */
export interface Validated {
  readonly config: ParsedConfig | null
  readonly findings: readonly Finding[]
}

/** Checks a filled-in tree: all problems at once. */
export function validate(filled: FilledIn): Validated {
  let result = configSchema.safeParse(filled.tree)
  if (!result.success && retype(filled, result.error.issues)) result = configSchema.safeParse(filled.tree)
  const issues = result.success ? [] : result.error.issues.flatMap((issue) => meant(issue))
  const findings = [
    ...issues.flatMap((issue) => toFindings(issue, filled.tree)),
    ...crossCheck(filled.tree, result.success ? result.data : soundSections(filled.tree)),
  ]
    .filter(({ path }) => !filled.failed.has(pathText(path)))
    .map((finding) => withOrigin(finding, filled.origins))
  const wrong = findings.some(({ severity }) => severity !== 'warning') || filled.failed.size > 0
  return { config: result.success && !wrong ? result.data : null, findings }
}

/** The sections that are right by themselves, so that what they say about each other is checked in the same run. */
function soundSections(tree: unknown): Partial<ParsedConfig> {
  const sound: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(configSchema.shape)) {
    const result = schema.safeParse((tree as Record<string, unknown> | null)?.[name])
    if (result.success) sound[name] = result.data
  }
  return sound
}

/** References give text: where a number or a yes/no is wanted and the text is one, make it one. True if any was. */
function retype(filled: FilledIn, issues: readonly Issue[]): boolean {
  let changed = false
  for (const issue of issues.flatMap((candidate) => meant(candidate))) {
    if (issue.code !== 'invalid_type' || !filled.origins.has(pathText(issue.path as Path))) continue
    const text = valueAt(filled.tree, issue.path as Path)
    const wantsNumber = issue.expected === 'number' || issue.expected === 'int'
    const value =
      wantsNumber && /^\d{1,15}$/.test(String(text))
        ? Number(text)
        : text === 'true'
          ? true
          : text === 'false'
            ? false
            : text
    if (value === text || (typeof value === 'boolean') !== (issue.expected === 'boolean')) continue
    const holder = valueAt(filled.tree, (issue.path as Path).slice(0, -1)) as Record<string | number, unknown>
    holder[issue.path.at(-1) as string] = value
    changed = true
  }
  return changed
}

/** The issues of the alternative whose outer type fits, with their full paths; of no union, the issue itself. */
function meant(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue]
  const fits = issue.errors.find((branch) =>
    branch.every((inner) => inner.path.length > 0 || inner.code !== 'invalid_type'),
  )
  if (fits === undefined) return [issue]
  return fits.flatMap((inner) => meant({ ...inner, path: [...issue.path, ...inner.path] }))
}

function toFindings(issue: Issue, tree: unknown): Finding[] {
  const path = issue.path as Path
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], tree))
  if (issue.code === 'invalid_union' && 'discriminator' in issue && issue.errors.length === 0)
    return [unknownKind(path, tree)]
  if (issue.code === 'invalid_value') return [unknownWord(path, issue.message, tree)]
  const key = issue.code === 'invalid_type' ? keyWithoutSpace(valueAt(tree, path), path, tree) : null
  if (key !== null) return [{ path, message: issue.message, suggestion: spaceAfter(key) }]
  const suggestion = issue.code === 'custom' ? issue.params?.['suggestion'] : null
  return [{ path, message: issue.message, suggestion: typeof suggestion === 'string' ? suggestion : null }]
}

function unknownKey(path: Path, tree: unknown): Finding {
  if (isNotYet(path)) return { path, at: 'key', message: notYet(pathText(path)) }
  const key = String(path.at(-1))
  const holder = path.slice(0, -1)
  const known = knownKeys({ schema: configSchema, tree }, holder)
  const joined = keyWithoutSpace(key, holder, tree)
  if (joined !== null)
    return { path: holder, at: 'key', message: 'unknown key', suggestion: spaceAfter(joined) }
  const near = nearestName(key, known)
  const suggestion = near === null ? `known here: ${known.join(', ')}` : `did you mean \`${near}\`?`
  const secretive = /^upstreams\[\d+\]\.keys\[/.test(pathText(path))
  const showable = !secretive && /^[A-Za-z][A-Za-z_-]{0,31}$/.test(key)
  if (showable) return { path, at: 'key', message: 'unknown key', suggestion }
  return { path: holder, at: 'key', message: 'unknown key in this mapping', suggestion }
}

/** The known key that `listen:127.0.0.1:1` or `listen 127.0.0.1:1` begins with: to YAML that is one text. */
function keyWithoutSpace(text: unknown, holder: Path, tree: unknown): string | null {
  const key = typeof text === 'string' ? /^([A-Za-z]+)(?::|\s)/.exec(text)?.[1] : undefined
  return key !== undefined && knownKeys({ schema: configSchema, tree }, holder).includes(key) ? key : null
}

function spaceAfter(key: string): string {
  return `write \`${key}: …\` with a space after the colon`
}

function unknownKind(path: Path, tree: unknown): Finding {
  const known = knownValues({ schema: configSchema, tree }, path)
  const value = valueAt(tree, path)
  const choice = `one of: ${known.join(', ')}`
  if (value === undefined) return { path, message: 'is required', suggestion: choice }
  if (typeof value === 'string' && providersNotYet.includes(value)) {
    return { path, message: notYet(value), suggestion: choice }
  }
  return unknownWord(path, `expected ${choice}`, tree)
}

function unknownWord(path: Path, message: string, tree: unknown): Finding {
  const value = valueAt(tree, path)
  const known = knownValues({ schema: configSchema, tree }, path)
  return { path, message, suggestion: typeof value === 'string' ? didYouMean(value, known) : null }
}

function withOrigin(finding: Finding, origins: ReadonlyMap<string, string>): Finding {
  const origin = origins.get(pathText(finding.path))
  return origin === undefined
    ? finding
    : { ...finding, message: `${finding.message}; the value comes from ${origin}` }
}

function valueAt(tree: unknown, path: Path): unknown {
  let value = tree
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}
