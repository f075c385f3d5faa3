// What stands in texts: links that lead somewhere, no loose ends, no paths of one machine, a reason for each package
// and for each test that may be skipped. The words looked for are written so that this file has none of them.

import { posix } from 'node:path'
import type { Finding, Project, Rule, SourceFile } from './project.ts'
import { isTest } from './project.ts'

function findLines(project: Project, pattern: RegExp, mend: string): Finding[] {
  return project.files.flatMap((file) =>
    file.text.split('\n').flatMap((line, index): Finding[] => {
      const found = pattern.exec(line)
      return found === null ? [] : [`${file.path}:${index + 1}: says "${found[0].trim()}". ${mend}`]
    }),
  )
}

const looseEnds: Rule = {
  name: 'no loose ends are marked in the tree',
  find: (project) =>
    findLines(project, /\b(?:TOD[O]|FIXM[E]|XX[X])\b/, 'Do it now, or write it down as an issue.'),
}

const machinePaths: Rule = {
  name: 'no paths of one machine',
  find: (project) => {
    const start = /(?<![\w/.-])(?:\/wor[k]\/|\/roo[t]\/|\/tmp\/bas[h]|\/home\/[a-z]+\/|\/User[s]\/)/
    return findLines(project, start, 'Write a path that holds on every machine.')
  },
}

const links: Rule = {
  name: 'links between documents lead to a file',
  find: (project) => {
    const known = new Set(project.files.flatMap(({ path }) => [path, ...parents(path)]))
    for (const extra of ['LICENSE', 'NOTICE', 'package-lock.json']) known.add(extra)
    return documents(project).flatMap((file) =>
      [...file.text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']): Finding[] => {
        if (/^(?:[a-z]+:|#)/.test(target)) return []
        const path = posix.join(posix.dirname(file.path), target.replace(/#.*$/, '')).replace(/\/$/, '')
        return known.has(path)
          ? []
          : [`${file.path}: links to ${target}, which is not there. Correct the link.`]
      }),
    )
  },
}

const decisions: Rule = {
  name: 'docs/decisions/README.md lists every decision',
  find: (project) => {
    const index = project.files.find((file) => file.path === 'docs/decisions/README.md')?.text ?? ''
    return project.files
      .map((file) => /^docs\/decisions\/(?!README\.md)(.+\.md)$/.exec(file.path)?.[1] ?? '')
      .filter((name) => name !== '' && !index.includes(`(${name})`))
      .map(
        (name): Finding => `docs/decisions/${name}: is not listed in docs/decisions/README.md. Add its line.`,
      )
  },
}

const dependencies: Rule = {
  name: 'each runtime dependency has its line in docs/decisions/dependencies.md',
  find: (project) => {
    const text = project.files.find((file) => file.path === 'docs/decisions/dependencies.md')?.text ?? ''
    return Object.keys(manifest(project).dependencies ?? {})
      .filter((name) => !text.includes(`\`${name}\``))
      .map(
        (name): Finding =>
          `package.json: depends on ${name}. Add a line to docs/decisions/dependencies.md: why, size, licence, what would replace it.`,
      )
  },
}

const declared: Rule = {
  name: 'the program imports only packages it depends on, and those are pinned',
  find: (project) => {
    const wanted = manifest(project).dependencies ?? {}
    const builtIn = /^(?:node:.+|bun|bun:.+)$/
    const imported = project.files
      .filter((file) => file.path.startsWith('src/') && !isTest(file))
      .flatMap((file) =>
        file.packages
          .filter((name) => !builtIn.test(name) && !(name in wanted))
          .map(
            (name): Finding =>
              `${file.path}: imports ${name}, which package.json does not list under dependencies.`,
          ),
      )
    const loose = Object.entries(wanted).filter(([, range]) => !/^\d+\.\d+\.\d+$/.test(range))
    return [
      ...imported,
      ...loose.map(([name, range]): Finding => `package.json: asks for ${name} ${range}. Pin one version.`),
    ]
  },
}

const tests: Rule = {
  name: 'no test is left out without a reason',
  find: (project) => project.files.filter(isTest).flatMap(leftOut),
}

function leftOut(file: SourceFile): Finding[] {
  const calls =
    /^\s*(?:test|it|describe)\.(only|skip|todo|skipIf|if)\b(\([^\n]*?\))?\(\s*(['"`])((?:(?!\3).)*)\3/gm
  return [...file.code.matchAll(calls)].flatMap(([, how = '', , , name = '']): Finding[] => {
    if (how === 'only') return [`${file.path}: "${name}" runs alone. Remove .only.`]
    if (/\(needs [^)]+\)/.test(name)) return []
    return [
      `${file.path}: "${name}" may be skipped and does not say why. End its name with the reason: "(needs nginx)".`,
    ]
  })
}

function documents(project: Project): SourceFile[] {
  return project.files.filter((file) => file.path.endsWith('.md'))
}

function manifest(project: Project): { dependencies?: Record<string, string> } {
  const file = project.files.find((one) => one.path === 'package.json')
  return file === undefined ? {} : (JSON.parse(file.text) as { dependencies?: Record<string, string> })
}

function parents(path: string): string[] {
  const folder = posix.dirname(path)
  return folder === '.' ? [] : [folder, ...parents(folder)]
}

/** Rules on texts, packages and tests. */
export const wordingRules: readonly Rule[] = [
  looseEnds,
  machinePaths,
  links,
  decisions,
  dependencies,
  declared,
  tests,
]
