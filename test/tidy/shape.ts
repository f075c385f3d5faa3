// Sizes, names and places: the spine stays short, ambient things have one file each, names say what is inside.

import type { Finding, Rule, SourceFile } from './project.ts'
import { isCode, lineCount, program } from './project.ts'

const spineLinesMax = 150
const fileLinesMax = 400

const spine: Rule = {
  name: `proxy.ts, gateway.ts and each verb file stay under ${spineLinesMax} lines`,
  find: (project) =>
    program(project)
      .filter(({ path }) => /^src\/(?:proxy|gateway)\.ts$|^src\/stages\/\d-([a-z]+)\/\1\.ts$/.test(path))
      .filter((file) => lineCount(file) >= spineLinesMax)
      .map(
        (file): Finding =>
          `${file.path}: has ${lineCount(file)} lines. Everyone reads this file: move a kind or a part of the work into a file of its own.`,
      ),
}

const fileSize: Rule = {
  name: `no file has more than ${fileLinesMax} lines`,
  find: (project) =>
    program(project)
      .filter((file) => lineCount(file) > fileLinesMax)
      .map(
        (file): Finding =>
          `${file.path}: has ${lineCount(file)} lines, more than ${fileLinesMax}. Split it by idea, not by size.`,
      ),
}

/** What is ambient, the one file that may touch it, and what others do instead. */
const ambient: readonly { what: string; file: string; pattern: RegExp; instead: string }[] = [
  {
    what: 'the clock',
    file: 'src/base/clock.ts',
    pattern:
      /\bDate\.now\b|\bnew Date(?:\(\)|\b(?!\())|\bDate\(\)|\bperformance\.now\b|\bBun\.nanoseconds\b|\bprocess\.(?:hrtime|uptime)\b/,
    instead: 'Take a Clock as a parameter.',
  },
  {
    what: 'randomness',
    file: 'src/base/id.ts',
    pattern: /\bMath\.random\b|\bcrypto\.getRandomValues\b|\brandom(?:UUID|UUIDv7|Bytes|FillSync|Fill|Int)\b/,
    instead: 'Draw from randomText or newId.',
  },
  {
    what: 'the environment',
    file: 'src/config/env.ts',
    pattern: /\bprocess\.env\b|\bprocess\[['"]env['"]\]|\bBun\.env\b|\bimport\.meta\.env\b/,
    instead: 'Add a function there that says what the variable means.',
  },
]

const ambientOnce: Rule = {
  name: 'the clock, randomness and process.env each have one file',
  find: (project) =>
    ambient.flatMap(({ what, file, pattern, instead }) =>
      program(project)
        .filter(({ path, code }) => path !== file && pattern.test(code))
        .map(
          ({ path, code }): Finding =>
            `${path}: uses ${pattern.exec(code)?.[0]}, but ${what} belongs to ${file}. ${instead}`,
        ),
    ),
}

const bannedFolders = ['util', 'utils', 'helper', 'helpers', 'common', 'type', 'types', 'misc', 'lib']

const folderNames: Rule = {
  name: 'no folder or file is called utils, helpers, common or types',
  find: (project) =>
    project.files.flatMap(({ path }): Finding[] => {
      const names = path.split('/').map((name) => name.replace(/\..*$/, ''))
      const bad = names.find((name) => bannedFolders.includes(name))
      return bad === undefined
        ? []
        : [`${path}: "${bad}" says nothing about what is inside. Name it after the idea.`]
    }),
}

const defaultExports: Rule = {
  name: 'no default exports',
  find: (project) =>
    program(project)
      .filter(({ path }) => !/\/hooks\/|\.config\.ts$/.test(path))
      .filter(({ code }) => /^export default\b|^export \{[^}]*\bas default\b/m.test(code))
      .map(
        ({ path }): Finding =>
          `${path}: has a default export. Export it by name, so that it is called the same everywhere.`,
      ),
}

const barrels: Rule = {
  name: 'no barrels',
  find: (project) =>
    program(project).flatMap((file): Finding[] => {
      // From the text, not from the code: re-exports of types count too.
      const bare = file.text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
      const rest = bare.replace(
        /^export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+['"][^'"]+['"];?/gm,
        '',
      )
      if (rest === bare || rest.trim() !== '') return []
      return [`${file.path}: only passes on what other files export. Import from those files and delete it.`]
    }),
}

const stageOrder: Rule = {
  name: 'the folders under stages/ stand in the order in which proxy.ts calls the stages',
  find: (project) => {
    const folders = [
      ...new Set(project.files.map((file) => /^src\/stages\/([^/]+)\//.exec(file.path)?.[1] ?? '')),
    ].filter((name) => name !== '')
    const findings = numbering(folders)
    const proxy = project.files.find((file) => file.path === 'src/proxy.ts')
    if (proxy === undefined)
      return [...findings, 'src/proxy.ts: is missing. It is the path of one request: nine calls in order.']
    const verbs = folders.toSorted().map((name) => name.slice(2))
    const seen = verbs.map((verb) => ({ verb, at: firstUse(proxy, verb) }))
    for (const { verb, at } of seen) {
      if (at === -1)
        findings.push(
          `src/proxy.ts: never uses the stage "${verb}". Call it where its number says, or remove its folder.`,
        )
    }
    const called = seen.filter(({ at }) => at !== -1)
    for (const [index, { verb, at }] of called.entries()) {
      const before = called[index - 1]
      if (before !== undefined && at < before.at) {
        findings.push(
          `src/proxy.ts: uses "${verb}" before "${before.verb}", but the folders say otherwise. Renumber the folders or move the call.`,
        )
      }
    }
    return findings
  },
}

function numbering(folders: readonly string[]): Finding[] {
  return folders
    .toSorted()
    .flatMap((name, index): Finding[] =>
      new RegExp(`^${index + 1}-[a-z]+$`).test(name)
        ? []
        : [`src/stages/${name}: is not numbered ${index + 1}-<verb>. The folders count from 1 without gaps.`],
    )
}

/** Where proxy.ts first uses a stage: from the function `proxy` on, else from its first line after the imports. */
function firstUse(proxy: SourceFile, verb: string): number {
  // Naming the stages is not calling them: neither an import nor taking them out of `stages` counts.
  const naming = /^import\b[^;]*;$|\b(?:const|let) \{[^}]*\} = stages;/gm
  const code = proxy.code.replace(naming, (statement) => ' '.repeat(statement.length))
  // Not `x.route` or `console.log`: a stage is a name of its own (`...route` is), or a part of `stages`.
  const use = new RegExp(`(?<![\\w$'"\`]|(?<!\\.\\.)\\.)${verb}\\b(?!['":])|\\bstages\\.${verb}\\b`, 'g')
  const start = Math.max(0, code.search(/\bfunction proxy\b/))
  const uses = [...code.matchAll(use)].map((match) => match.index)
  return uses.find((at) => at >= start) ?? uses[0] ?? -1
}

const verbFiles: Rule = {
  name: 'each stage has its verb file',
  find: (project) => {
    const stages = new Map(
      project.files.map((file) => [/^src\/stages\/(\d-[a-z]+)\//.exec(file.path)?.[1], file] as const),
    )
    return [...stages.keys()].flatMap((stage): Finding[] => {
      if (stage === undefined) return []
      const path = `src/stages/${stage}/${stage.slice(2)}.ts`
      return project.files.some((file) => file.path === path)
        ? []
        : [`${path}: is missing. It does the stage's work and lists its kinds.`]
    })
  },
}

const designParagraph: Rule = {
  name: 'a file of some size opens with its design',
  find: (project) =>
    program(project)
      .filter((file) => isCode(file) && lineCount(file) > 60 && !/^(?:#!.*\n)?(?:\/\/|\/\*)/.test(file.text))
      .map(
        (file): Finding =>
          `${file.path}: has ${lineCount(file)} lines and no opening comment. Say in 2 to 8 lines why it is so, what was refused, and the trap.`,
      ),
}

/** Rules on sizes, names and places. */
export const shapeRules: readonly Rule[] = [
  spine,
  fileSize,
  ambientOnce,
  folderNames,
  defaultExports,
  barrels,
  stageOrder,
  verbFiles,
  designParagraph,
]
