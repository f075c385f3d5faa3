// Who may import whom. The stages meet in Exchange and nowhere else; the pure parts know nothing above them.

import type { Finding, Project, Rule, SourceFile } from './project.ts'
import { isTest, program } from './project.ts'

/**
 * The noun of each stage that has one: the file with the contract of its kinds. A file beside it that imports it is a
 * kind. Where kinds are folders, as in 7-upstream, the folders are the kinds and the files beside them are shared.
 */
const nouns: Record<string, string> = {
  '2-authenticate': 'authenticator.ts',
  '3-limit': 'limiter.ts',
  '4-transform': 'transformer.ts',
  '5-cache': 'store.ts',
  '6-route': 'router.ts',
  '9-log': 'line-queue.ts',
}

/** A path inside a stage, taken apart: `src/stages/3-limit/budget/window.ts` → 3-limit, limit, budget. */
interface Place {
  readonly stage: string
  readonly verb: string
  /** The first name below the stage's folder: `limit.ts`, or the folder `budget`. */
  readonly part: string
  readonly depth: number
}

function place(path: string): Place | null {
  const [, stage, verb, rest] = /^src\/stages\/(\d-([a-z]+))\/(.+)$/.exec(path) ?? []
  if (stage === undefined || verb === undefined || rest === undefined) return null
  const parts = rest.split('/')
  return { stage, verb, part: parts[0]!, depth: parts.length }
}

function isFrontDoor(to: Place): boolean {
  return to.depth === 1 && to.part === `${to.verb}.ts`
}

function isOptions(to: Place): boolean {
  return to.depth === 1 && to.part === 'options.ts'
}

function findImports(project: Project, judge: (from: SourceFile, to: string) => string | null): Finding[] {
  return program(project).flatMap((from) =>
    from.imports.flatMap((to): Finding[] => {
      const wrong = judge(from, to)
      return wrong === null ? [] : [`${from.path}: imports ${to}. ${wrong}`]
    }),
  )
}

const frontDoors: Rule = {
  name: 'only proxy.ts, assemble.ts, gateway.ts and config/ import a stage, and only by its front door',
  find: (project) =>
    findImports(project, (from, path) => {
      const to = place(path)
      if (to === null || place(from.path) !== null) return null
      const spine = ['src/proxy.ts', 'src/assemble.ts', 'src/gateway.ts'].includes(from.path)
      const config = from.path.startsWith('src/config/')
      if (!spine && !config) {
        return 'Only src/proxy.ts, src/assemble.ts, src/gateway.ts and src/config/ import a stage: pass what is needed through Exchange, or build it in assemble.ts.'
      }
      if (isFrontDoor(to) || (config && isOptions(to))) return null
      return `Import stages/${to.stage}/${to.verb}.ts${config ? ' or its options.ts' : ''} and let it hand out what is needed.`
    }),
}

const stagesApart: Rule = {
  name: 'a stage never imports another stage, and a kind never imports another kind',
  find: (project) => {
    const kinds = kindFiles(project)
    return findImports(project, (from, path) => {
      const here = place(from.path)
      const there = place(path)
      if (here === null || there === null) return null
      if (here.stage !== there.stage) {
        return 'Stages meet in Exchange: write the fact there in one stage and read it in the other.'
      }
      if (here.part === there.part || isFrontDoor(here)) return null
      if (isFrontDoor(there)) {
        return 'The verb file imports the kinds, not the other way round: move what both need into the noun file.'
      }
      if (there.depth > 1) return 'Only the verb file knows the kinds: move what is shared out of the folder.'
      if (!kinds.has(from.path) || !kinds.has(path)) return null
      return 'Kinds do not know each other: move what both need into a file of its own beside them.'
    })
  },
}

/** Paths of the kinds that are single files: those that import the noun of their stage. */
function kindFiles(project: Project): Set<string> {
  const inStages = program(project).flatMap((file) => {
    const at = place(file.path)
    return at === null ? [] : [{ file, at }]
  })
  const withFolders = new Set(inStages.filter(({ at }) => at.depth > 1).map(({ at }) => at.stage))
  const kinds = inStages.filter(({ file, at }) => {
    const noun = `src/stages/${at.stage}/${nouns[at.stage]}`
    return !withFolders.has(at.stage) && !isFrontDoor(at) && file.imports.includes(noun)
  })
  return new Set(kinds.map(({ file }) => file.path))
}

const nounsExist: Rule = {
  name: 'the nouns that the rule on kinds goes by are there',
  find: (project) => {
    const paths = new Set(project.files.map((file) => file.path))
    return Object.entries(nouns)
      .filter(
        ([stage, noun]) =>
          paths.has(`src/stages/${stage}/${stage.slice(2)}.ts`) && !paths.has(`src/stages/${stage}/${noun}`),
      )
      .map(
        ([stage, noun]): Finding =>
          `src/stages/${stage}/${noun}: is not there. Correct "nouns" in test/tidy/layering.ts.`,
      )
  },
}

/** The parts below the stages, and all that each may import from src/. */
const below: Record<string, readonly string[]> = {
  'src/base/': ['src/base/'],
  'src/net/': ['src/net/', 'src/base/', 'src/failure.ts'],
  'src/openai/': ['src/openai/', 'src/base/', 'src/failure.ts'],
}

const pureParts: Rule = {
  name: 'net and openai know neither each other nor Exchange; base knows nobody',
  find: (project) =>
    findImports(project, (from, to) => {
      for (const [folder, allowed] of Object.entries(below)) {
        if (!from.path.startsWith(folder) || !to.startsWith('src/')) continue
        if (allowed.some((one) => to.startsWith(one))) continue
        return `${folder} may import only ${allowed.join(', ')}: hand the value in as a parameter instead.`
      }
      return null
    }),
}

const proxyWithoutAdmin: Rule = {
  name: 'proxy.ts never reaches admin/',
  find: (project) => {
    const byPath = new Map(program(project).map((file) => [file.path, file]))
    const via = new Map<string, string>()
    const queue = ['src/proxy.ts']
    for (const path of queue) {
      for (const to of byPath.get(path)?.imports ?? []) {
        if (to === 'src/proxy.ts' || via.has(to)) continue
        via.set(to, path)
        queue.push(to)
      }
    }
    return [...via]
      .filter(([to]) => to.startsWith('src/admin/'))
      .map(
        ([to, from]): Finding =>
          `${from}: imports ${to}, and src/proxy.ts imports it in turn. The admin side reads what the stages keep; turn the import round.`,
      )
  },
}

const programWithoutTests: Rule = {
  name: 'the program imports no test, bench or script',
  find: (project) =>
    findImports(project, (_, to) => {
      if (!/^(?:test|bench|scripts)\//.test(to) && !to.endsWith('.test.ts')) return null
      return 'What both need belongs into src/.'
    }),
}

const testsRun: Rule = {
  name: 'files with tests end in .test.ts, so that they run',
  find: (project) =>
    project.files
      .filter(
        (file) => file.path.endsWith('.ts') && !isTest(file) && /^\s*(?:test|it)\(['"`]/m.test(file.code),
      )
      // A contract suite is a function that a test file calls: its tests are indented inside of it.
      .filter((file) => /^(?:test|it)\(['"`]/m.test(file.code))
      .map((file): Finding => `${file.path}: has tests that never run. Name it *.test.ts.`),
}

/** Rules on imports. */
export const layeringRules: readonly Rule[] = [
  frontDoors,
  stagesApart,
  nounsExist,
  pureParts,
  proxyWithoutAdmin,
  programWithoutTests,
  testsRun,
]
