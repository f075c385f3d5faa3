// What the tidy rules look at: the text files of the project, with the imports of each. A rule is a plain function of
// this, so that a made-up list of files shows that it finds what it should. Imports are read from the text and from
// Bun's own parser together: the parser knows every way to import, but leaves out imports of types alone.

import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'

/** One file of the project. */
export interface SourceFile {
  /** From the project's folder, with `/`: `src/base/id.ts`. */
  readonly path: string
  readonly text: string
  /** Project files it imports, as paths like `path`; types count too. */
  readonly imports: readonly string[]
  /** Packages it imports, by name: `zod`, `node:fs`. */
  readonly packages: readonly string[]
  /** For code: the text without comments and types. Otherwise ''. */
  readonly code: string
}

/** All files that a rule may look at. */
export interface Project {
  readonly files: readonly SourceFile[]
}

/** What a rule has found: where, what is wrong, and what to do about it. */
export type Finding = `${string}: ${string}`

/** One rule of the house. */
export interface Rule {
  readonly name: string
  readonly find: (project: Project) => Finding[]
}

const ignored = new Set([
  'node_modules',
  '.git',
  'dist',
  '.cache',
  '.headgate',
  'package-lock.json',
  'LICENSE',
])
const textual =
  /(?:\.(?:ts|tsx|mjs|cjs|js|json|jsonc|md|yaml|yml|toml|sh|conf|css|html|service)|Caddyfile|Dockerfile|run|headgate)$/
const script = /\.(?:ts|tsx|mjs)$/
const transpiler = new Bun.Transpiler({ loader: 'ts', target: 'bun' })

/** Reads the project's text files from disk. */
export function readProject(root: string): Project {
  const files: SourceFile[] = []
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (ignored.has(entry.name)) continue
      const path = posix.join(folder, entry.name)
      if (entry.isDirectory()) visit(path)
      else if (textual.test(entry.name)) files.push(sourceFile(path, readFileSync(join(root, path), 'utf8')))
    }
  }
  visit('')
  return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) }
}

/** A project made of the texts given by path. */
export function madeUp(texts: Record<string, string>): Project {
  return { files: Object.entries(texts).map(([path, text]) => sourceFile(path, text)) }
}

/** One file, its imports read. */
export function sourceFile(path: string, text: string): SourceFile {
  const specifiers = script.test(path) ? importsOf(text) : []
  const inProject = specifiers.filter((one) => one.startsWith('.'))
  return {
    path,
    text,
    imports: inProject.map((one) => posix.join(posix.dirname(path), one)),
    packages: specifiers.filter((one) => !one.startsWith('.')).map(packageName),
    code: script.test(path) ? transpiler.transformSync(text) : '',
  }
}

/** Code of the program itself: under src/, without tests. */
export function program(project: Project): SourceFile[] {
  return project.files.filter((file) => file.path.startsWith('src/') && isCode(file) && !isTest(file))
}

/** Whether a file is TypeScript or JavaScript. */
export function isCode(file: SourceFile): boolean {
  return script.test(file.path)
}

/** Whether a file holds tests. */
export function isTest(file: SourceFile): boolean {
  return /\.test\.tsx?$/.test(file.path)
}

/** Number of lines of a file. */
export function lineCount(file: SourceFile): number {
  return file.text.replace(/\n$/, '').split('\n').length
}

function importsOf(text: string): string[] {
  const statement = /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"\n]+)['"]/gm
  const call = /^(?!\s*(?:\/\/|\*)).*?\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/gm
  const found = [...text.matchAll(statement), ...text.matchAll(call)].map((match) => match[1]!)
  return [...new Set([...found, ...transpiler.scanImports(text).map((one) => one.path)])]
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
