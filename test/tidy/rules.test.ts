// The rules of the house on made-up projects: each finds what it is there for, and lets the right way pass.

import { describe, expect, test } from 'bun:test'
import { layeringRules } from './layering.ts'
import { madeUp, sourceFile } from './project.ts'
import { shapeRules } from './shape.ts'
import { wordingRules } from './wording.ts'

const rules = [...layeringRules, ...shapeRules, ...wordingRules]

/** What the one rule whose name holds `part` finds in a project of these files. */
function find(part: string, texts: Record<string, string>): string[] {
  const named = rules.filter((rule) => rule.name.includes(part))
  expect(named).toHaveLength(1)
  return named[0]!.find(madeUp(texts))
}

const lines = (count: number): string => '// line\n'.repeat(count)

test('imports of every form are seen', () => {
  const file = sourceFile(
    'src/a/one.ts',
    `import { a } from './a.ts'
import type { B } from '../b.ts'
import {
  type C,
  c,
} from './c.ts'
import './d.ts'
export { e } from './e.ts'
export type { F } from './f.ts'
export * as g from './g.ts'
let h: import('./h.ts').H
const i = await import('./i.ts')
import { z } from 'zod'
import x from '@scope/name/part'
// import { no } from './comment.ts'
console.log(a, c, i, h, z, x)`,
  )
  const letters = ['a', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((letter) => `src/a/${letter}.ts`)
  expect([...file.imports].sort()).toEqual([...letters, 'src/b.ts'])
  expect([...file.packages].sort()).toEqual(['@scope/name', 'zod'])
})

describe('who may import a stage', () => {
  const rule = 'only proxy.ts, assemble.ts, gateway.ts and config/'

  test('the spine may, by the verb file alone', () => {
    expect(find(rule, { 'src/proxy.ts': `import { limit } from './stages/3-limit/limit.ts'` })).toEqual([])
    expect(find(rule, { 'src/gateway.ts': `import { budget } from './stages/3-limit/budget.ts'` })).toEqual([
      'src/gateway.ts: imports src/stages/3-limit/budget.ts. Import stages/3-limit/limit.ts and let it hand out what is needed.',
    ])
    expect(
      find(rule, { 'src/gateway.ts': `import type { Options } from './stages/3-limit/options.ts'` }),
    ).toHaveLength(1)
  })

  test('config may import the options too', () => {
    expect(
      find(rule, { 'src/config/schema.ts': `import { options } from '../stages/3-limit/options.ts'` }),
    ).toEqual([])
    expect(
      find(rule, { 'src/config/schema.ts': `import { x } from '../stages/3-limit/budget.ts'` }),
    ).toHaveLength(1)
  })

  test('nobody else may, not even a type; tests may', () => {
    const text = `import type { Limiter } from '../stages/3-limit/limit.ts'`
    expect(find(rule, { 'src/admin/server.ts': text })).toHaveLength(1)
    expect(find(rule, { 'src/admin/server.test.ts': text })).toEqual([])
  })
})

describe('stages and kinds', () => {
  const rule = 'a stage never imports another stage'

  test('a stage does not import another', () => {
    const found = find(rule, { 'src/stages/5-cache/cache.ts': `import { limit } from '../3-limit/limit.ts'` })
    expect(found).toHaveLength(1)
    expect(found[0]).toContain('Stages meet in Exchange')
  })

  test('a kind imports neither another kind nor the verb file', () => {
    const noun = `import type { Limiter } from './limiter.ts'`
    const requests = { 'src/stages/3-limit/requests.ts': noun }
    const wrong = { 'src/stages/3-limit/budget.ts': `${noun}\nimport { x } from './requests.ts'` }
    expect(find(rule, { ...requests, ...wrong })).toEqual([
      'src/stages/3-limit/budget.ts: imports src/stages/3-limit/requests.ts. Kinds do not know each other: move what both need into a file of its own beside them.',
    ])
    const shared = { 'src/stages/3-limit/budget.ts': `${noun}\nimport { x } from './windows.ts'` }
    expect(find(rule, { ...requests, ...shared })).toEqual([])
    expect(
      find(rule, { 'src/stages/7-upstream/openai/send.ts': `import { x } from '../azure/sign.ts'` }),
    ).toHaveLength(1)
    expect(find(rule, { 'src/stages/3-limit/budget.ts': `import { x } from './limit.ts'` })).toHaveLength(1)
  })

  test('where kinds are folders, the files beside them are shared, and do not know the kinds', () => {
    const kind = {
      'src/stages/7-upstream/openai/openai.ts': `import type { Provider } from '../provider.ts'`,
    }
    expect(find(rule, kind)).toEqual([])
    expect(
      find(rule, { ...kind, 'src/stages/7-upstream/answer.ts': `import { x } from './failures.ts'` }),
    ).toEqual([])
    const wrong = { 'src/stages/7-upstream/answer.ts': `import { x } from './openai/openai.ts'` }
    expect(find(rule, { ...kind, ...wrong })).toHaveLength(1)
  })

  test('the verb file imports kinds; a kind its own files, the options and the noun', () => {
    expect(find(rule, { 'src/stages/3-limit/limit.ts': `import { x } from './budget.ts'` })).toEqual([])
    expect(find(rule, { 'src/stages/7-upstream/openai/send.ts': `import { x } from './sign.ts'` })).toEqual(
      [],
    )
    expect(find(rule, { 'src/stages/3-limit/budget.ts': `import { x } from './options.ts'` })).toEqual([])
    expect(find(rule, { 'src/stages/6-route/first.ts': `import { x } from './router.ts'` })).toEqual([])
  })
})

test('a noun that was renamed is noticed', () => {
  const verb = { 'src/stages/3-limit/limit.ts': '' }
  expect(find('nouns that the rule', verb)).toHaveLength(1)
  expect(find('nouns that the rule', { ...verb, 'src/stages/3-limit/limiter.ts': '' })).toEqual([])
})

test('net, openai and base import nothing above them', () => {
  const rule = 'net and openai know neither'
  expect(find(rule, { 'src/net/a.ts': `import type { Exchange } from '../exchange.ts'` })).toHaveLength(1)
  expect(find(rule, { 'src/net/a.ts': `import { x } from '../openai/sse.ts'` })).toHaveLength(1)
  expect(find(rule, { 'src/openai/a.ts': `import { x } from '../net/wire/body.ts'` })).toHaveLength(1)
  expect(find(rule, { 'src/base/a.ts': `import { Failure } from '../failure.ts'` })).toHaveLength(1)
  expect(find(rule, { 'src/net/wire/a.ts': `import { x } from '../../base/clock.ts'` })).toEqual([])
})

test('proxy.ts does not reach admin/, by whatever way', () => {
  const rule = 'never reaches admin'
  const chain = {
    'src/proxy.ts': `import { x } from './exchange.ts'`,
    'src/exchange.ts': `import { y } from './middle.ts'\nexport const x = y`,
    'src/middle.ts': `import type { Z } from './admin/server.ts'\nexport const y = 1`,
    'src/admin/server.ts': 'export type Z = 1',
  }
  expect(find(rule, chain)).toHaveLength(1)
  expect(find(rule, { ...chain, 'src/middle.ts': 'export const y = 1' })).toEqual([])
})

test('the program imports no test', () => {
  expect(find('imports no test', { 'src/a.ts': `import { x } from '../test/gateway/x.ts'` })).toHaveLength(1)
})

test('tests in a file that is not run are found; a contract suite is fine', () => {
  const rule = 'end in .test.ts'
  expect(find(rule, { 'src/a.ts': `test('x', () => {})` })).toHaveLength(1)
  expect(find(rule, { 'src/a.test.ts': `test('x', () => {})` })).toEqual([])
  expect(find(rule, { 'src/a.ts': `export function suite() {\n  test('x', () => {})\n}` })).toEqual([])
})

test('the spine and other files have their limits', () => {
  expect(find('stay under', { 'src/proxy.ts': lines(149) })).toEqual([])
  expect(find('stay under', { 'src/proxy.ts': lines(150) })).toHaveLength(1)
  expect(find('stay under', { 'src/stages/3-limit/limit.ts': lines(150) })).toHaveLength(1)
  expect(find('stay under', { 'src/stages/3-limit/budget.ts': lines(150) })).toEqual([])
  expect(find('more than 400', { 'src/a.ts': lines(400) })).toEqual([])
  expect(find('more than 400', { 'src/a.ts': lines(401), 'src/a.test.ts': lines(900) })).toHaveLength(1)
})

describe('the clock, randomness and the environment', () => {
  const rule = 'each have one file'
  const uses: [string, number][] = [
    ['x = Date.now()', 1],
    ['x = new Date()', 1],
    ['x = performance.now()', 1],
    ['x = process.hrtime.bigint()', 1],
    ['x = Math.random()', 1],
    ['x = crypto.randomUUID()', 1],
    [`import { randomBytes } from 'node:crypto'\nx = randomBytes(8)`, 1],
    ['x = process.env.HOME', 1],
    [`x = process['env'].HOME`, 1],
    ['x = Bun.env.HOME', 1],
    ['x = new Date(wallMs)', 0],
    ['x = clock.nowMs() // not Date.now()', 0],
    ['x = 1 /* process.env is read elsewhere */', 0],
  ]
  test.each(uses)('%s', (text, count) => {
    expect(find(rule, { 'src/a.ts': `let x\n${text}\nconsole.log(x)` })).toHaveLength(count)
  })

  test('are allowed in their file and in tests', () => {
    const text = 'export const x = Date.now()'
    expect(find(rule, { 'src/base/clock.ts': text, 'src/a.test.ts': text })).toEqual([])
    expect(find(rule, { 'src/base/id.ts': text })).toHaveLength(1)
  })
})

test('names that say nothing are found', () => {
  expect(find('utils, helpers', { 'src/utils/a.ts': '' })).toHaveLength(1)
  expect(find('utils, helpers', { 'src/net/types.ts': '' })).toHaveLength(1)
  expect(find('utils, helpers', { 'src/net/common.test.ts': '' })).toHaveLength(1)
  expect(find('utils, helpers', { 'src/net/content-types.ts': '' })).toEqual([])
})

test('default exports are found, except where a tool wants them', () => {
  expect(find('default exports', { 'src/a.ts': 'export default 1' })).toHaveLength(1)
  expect(find('default exports', { 'src/a.ts': 'const a = 1\nexport { a as default }' })).toHaveLength(1)
  expect(
    find('default exports', { 'src/hooks/a.ts': 'export default 1', 'src/b.ts': 'export const b = 1' }),
  ).toEqual([])
})

test('barrels are found', () => {
  expect(
    find('barrels', {
      'src/a.ts': `// all of it\nexport { b } from './b.ts'\nexport type { C } from './c.ts'\n`,
    }),
  ).toHaveLength(1)
  expect(find('barrels', { 'src/a.ts': `export * from './b.ts'` })).toHaveLength(1)
  expect(find('barrels', { 'src/a.ts': `export { b } from './b.ts'\nexport const c = 1` })).toEqual([])
  expect(find('barrels', { 'src/a.ts': 'export const c = 1' })).toEqual([])
})

describe('proxy.ts calls the stages in the order of their folders', () => {
  const rule = 'stand in the order'
  const folders = {
    'src/stages/1-accept/accept.ts': '',
    'src/stages/2-limit/limit.ts': '',
    'src/stages/3-log/log.ts': '',
  }
  const imports = `import { accept } from './stages/1-accept/accept.ts'\nimport { limit } from './stages/2-limit/limit.ts'\n`
  const proxy = (...calls: string[]): Record<string, string> => ({
    ...folders,
    'src/proxy.ts': `${imports}// limit, log, accept\nexport async function proxy(x, stages) {\n${calls.join('\n')}\n}`,
  })

  test('in order', () => {
    expect(find(rule, proxy('accept(x)', 'limit.reserve(x)', 'log(x)'))).toEqual([])
    expect(find(rule, proxy('stages.accept.check(x)', 'stages.limit(x)', 'stages.log(x)'))).toEqual([])
  })

  test('taking all of them out of `stages` first says nothing about the order', () => {
    const named = 'const { accept, limit, log } = stages'
    expect(find(rule, proxy(named, 'accept.head(x)', 'deliver([...limit.tap(x)])', 'log(x)'))).toEqual([])
    expect(find(rule, proxy(named, 'limit(x)', 'accept.head(x)', 'log(x)'))).toHaveLength(1)
    expect(find(rule, proxy(named, 'accept.head(x)', 'limit(x)'))).toHaveLength(1)
  })

  test('out of order', () => {
    const found = find(rule, proxy('limit.reserve(x)', 'accept(x)', 'log(x)'))
    expect(found).toEqual([
      'src/proxy.ts: uses "limit" before "accept", but the folders say otherwise. Renumber the folders or move the call.',
    ])
  })

  test('a stage that is never called; other things of that name do not count', () => {
    const found = find(rule, proxy('accept(x)', 'limit(x)', 'console.log(x.log)', `say('log')`))
    expect(found).toHaveLength(1)
    expect(found[0]).toContain('never uses the stage "log"')
  })

  test('folders count from 1 without gaps, each with its verb file', () => {
    const texts = {
      'src/proxy.ts': 'function proxy() { accept(); log() }',
      'src/stages/1-accept/accept.ts': '',
      'src/stages/3-log/log.ts': '',
    }
    expect(find(rule, texts)).toEqual([
      'src/stages/3-log: is not numbered 2-<verb>. The folders count from 1 without gaps.',
    ])
    expect(find('has its verb file', { 'src/stages/1-accept/front.ts': '' })).toHaveLength(1)
  })
})

test('a long file without an opening comment is found', () => {
  const body = 'console.log(1)\n'.repeat(70)
  expect(find('opens with its design', { 'src/a.ts': body })).toHaveLength(1)
  expect(find('opens with its design', { 'src/a.ts': `// Why.\n${body}` })).toEqual([])
})

describe('texts', () => {
  test('loose ends', () => {
    expect(find('loose ends', { 'docs/a.md': `one\n${['TO', 'DO'].join('')}: two` })).toHaveLength(1)
    expect(find('loose ends', { 'docs/a.md': 'a list of things to do' })).toEqual([])
  })

  test('paths of one machine', () => {
    expect(
      find('paths of one machine', { 'docs/a.md': `see ${['', 'work', 'main'].join('/')}` }),
    ).toHaveLength(1)
    expect(
      find('paths of one machine', {
        'docs/a.md': `see https://example.com${['', 'work', 'main'].join('/')} and src/work/x.ts`,
      }),
    ).toEqual([])
  })

  test('dead links', () => {
    const texts = {
      'docs/a.md': '[b](b.md) [c](../README.md#top) [d](https://example.com) [e](#here) [f](guide/)',
    }
    expect(find('lead to a file', texts)).toHaveLength(3)
    expect(
      find('lead to a file', { ...texts, 'docs/b.md': '', 'README.md': '', 'docs/guide/x.md': '' }),
    ).toEqual([])
  })

  test('decisions that the index lacks', () => {
    const index = { 'docs/decisions/README.md': '- [Own front](own-http-front.md)' }
    expect(find('lists every decision', { ...index, 'docs/decisions/own-http-front.md': '' })).toEqual([])
    expect(find('lists every decision', { ...index, 'docs/decisions/other.md': '' })).toHaveLength(1)
  })

  test('packages without a reason, loose versions, packages not listed', () => {
    const manifest = { 'package.json': '{"dependencies": {"zod": "4.0.0", "yaml": "^2.0.0"}}' }
    expect(find('has its line', { ...manifest, 'docs/decisions/dependencies.md': '`zod`' })).toHaveLength(1)
    const texts = {
      ...manifest,
      'src/a.ts': `import 'zod'\nimport 'left-pad'\nimport 'node:fs'\nimport 'bun:sqlite'`,
    }
    expect(find('only packages it depends on', texts)).toEqual([
      'src/a.ts: imports left-pad, which package.json does not list under dependencies.',
      'package.json: asks for yaml ^2.0.0. Pin one version.',
    ])
  })

  test('tests left out', () => {
    const rule = 'left out without a reason'
    const test = (text: string): string[] => find(rule, { 'src/a.test.ts': text })
    expect(test(`test.only('a', () => {})`)).toHaveLength(1)
    expect(test(`describe.skip('a', () => {})`)).toHaveLength(1)
    expect(test(`test.todo('later')`)).toHaveLength(1)
    expect(test(`test.skipIf(!existsSync(file))('a', () => {})`)).toHaveLength(1)
    expect(test(`test.skipIf(!existsSync(file))('a (needs recorded streams)', () => {})`)).toEqual([])
    expect(test(`test('a', () => {})`)).toEqual([])
  })
})
