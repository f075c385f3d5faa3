import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { ConfigProblems } from '../config/problem.ts'
import { fitsGlob } from './glob.ts'
import { PriceKeeper } from './keeper.ts'
import { readPriceFile } from './price-file.ts'

function wrong(text: string): string {
  try {
    readPriceFile(text, 'prices.yaml')
    return 'nothing'
  } catch (cause) {
    if (!(cause instanceof ConfigProblems)) throw cause
    return cause.format()
  }
}

describe('rule 13: a price file is checked whole, each mistake with its line', () => {
  test.each([
    ['prices:\n  - model: a\n    inptu: 1\n    input: 1\n', 'prices.yaml:3: prices[0].inptu: unknown key (did you mean `input`?)'],
    ['prices:\n  - model: a\n    input: -1\n', 'prices.yaml:3: prices[0].input: must not be negative'],
    ['prices:\n  - model: a\n    input: "1"\n', 'prices.yaml:3: prices[0].input: expected a price in dollars, such as 0.15'],
    ['prices:\n  - model: a\n    input: .inf\n', 'prices.yaml:3: prices[0].input: expected a price in dollars, such as 0.15'],
    ['prices:\n  - model: a\n    input: 2000000\n', 'prices.yaml:3: prices[0].input: must not be over 1000000 dollars: see "per"'],
    ['prices:\n  - model: a\n    input: 1e-9\n', 'prices.yaml:3: prices[0].input: has more than 12 digits behind the point: see "per"'],
    ['prices:\n  - input: 1\n', 'prices.yaml:2: prices[0].model: is required'],
    ['prices:\n  - model: a\n', 'prices.yaml:2: prices[0]: has no price (add one such as input, or free: true)'],
    ['prices:\n  - model: a\n    input: 1\n    from: 2026-02-30\n', 'prices.yaml:4: prices[0].from: expected a date such as 2026-11-01, or a moment such as 2026-11-01T12:00:00Z'],
    ['prices:\n  - { model: a, input: 1 }\n  - { model: A, input: 2 }\n', 'prices.yaml:3: prices[1].model: prices[0] has this model, provider, upstream and date too (keep one of them)'],
    ['prices:\n  - { model: a, input: 1, factor: 2 }\n', 'changes the bundled price, but this entry has its own'],
    ['prices:\n  - { model: a, input: 1, tiers: [{ above: 5, input: 1 }, { above: 5, input: 2 }] }\n', 'must go from smaller to larger inputs'],
    ['prices:\n  - { model: a, input: 1, serviceTiers: { flex: cheap } }\n', 'prices[0].serviceTiers.flex: expected a factor such as 0.5, or a mapping of prices'],
    ['prices:\n  - { model: a, perWebSearch: 1, perThousandWebSearches: 1 }\n', 'prices[0].perWebSearch: stands beside perThousandWebSearches (keep one of them)'],
    ['prices:\n  - { model: a, videos: { "hd/1x1": 1 } }\n', 'expected a mapping of prices by a size such as 1280x720'],
    ['prices:\n  - { model: a, videos: 0.1 }\n', 'prices[0].videos: expected a mapping of prices by a size such as 1280x720'],
    ['prices:\n  - { model: a, perContainer: -1 }\n', 'prices[0].perContainer: must not be negative'],
    ['providers: { main: opanai }\n', 'providers.main: the bundled list has no provider of this name'],
    ['aliases:\n  a: b\n  b: gpt-4o\n', 'prices.yaml:2: aliases.a: b is an alias itself (name the model whose price it has)'],
    ['aliases: { a: a }\n', 'aliases.a: a is an alias itself'],
    ['- 1\n', 'expected a mapping'],
    ['prices: [\n', 'prices.yaml:1: [ is opened here and never closed'],
  ])('%j', (text, message) => {
    expect(wrong(text)).toContain(message)
  }) // prettier-ignore

  test.each(['', ' \n', '# nothing yet\n', '---\n', '{}\n'])('%j is refused as empty', (text) => {
    expect(wrong(text)).toBe(
      'prices.yaml: is empty (write its prices, or take meter.prices out of the configuration)',
    )
  })

  test('whatever stands in it, it is taken or refused', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        wrong(`prices: [${text}]\n`)
        wrong(text)
      }),
    )
  })
})

describe('rule 13: a bad file keeps the old prices and alarms', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-prices-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'prices.yaml')
  const settings = { file, upstreams: [{ name: 'main', provider: 'openai', baseUrl: null }] }

  test('at the start it is refused, later it is said until it is mended', () => {
    const said: string[] = []
    const event = (level: string, text: string) => void said.push(`${level}: ${text}`)
    expect(() => new PriceKeeper(settings, event)).toThrow('the price file is not there')
    writeFileSync(file, 'prices: [{ model: m, input: 1 }]\n')
    const keeper = new PriceKeeper(settings, event)
    const before = keeper.current
    writeFileSync(file, 'prices: [{ model: m, input: -1 }]\n')
    expect(keeper.reload(settings)).toBe(false)
    expect(keeper.current).toBe(before)
    expect(keeper.troubles()).toEqual([`the price file is wrong, the prices ${before.version} stay in force`])
    expect(said).toEqual([
      `error: prices not reloaded, the prices ${before.version} stay in force: prices.yaml:1: prices[0].input: must not be negative`,
    ])
    writeFileSync(file, '')
    expect(keeper.reload(settings)).toBe(false)
    expect(keeper.current).toBe(before)
    rmSync(file)
    expect(keeper.reload(settings)).toBe(false)
    writeFileSync(file, Buffer.from([0xff, 0xfe]))
    expect(keeper.reload(settings)).toBe(false)
    writeFileSync(file, 'prices: [{ model: m, input: 2 }]\n')
    expect(keeper.reload(settings)).toBe(true)
    expect(keeper.troubles()).toEqual([])
    expect(keeper.current.version).not.toBe(before.version)
    expect(said.at(-1)).toBe(`info: prices are now ${keeper.current.version}`)
  })
})

test('patterns', () => {
  expect(fitsGlob('gpt-4o*', 'gpt-4o-mini')).toBe(true)
  expect(fitsGlob('*-mini', 'gpt-4o-mini')).toBe(true)
  expect(fitsGlob('a*b*c', 'a-b-b-c')).toBe(true)
  expect(fitsGlob('a*b*c', 'a-b-b-d')).toBe(false)
  expect(fitsGlob('*', '')).toBe(true)
  expect(fitsGlob('', 'a')).toBe(false)
  const part = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 6 })
  fc.assert(
    fc.property(part, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 }), (glob, text) => {
      expect(fitsGlob(glob, text)).toBe(new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(text))
    }),
  )
})

test('the example in the documentation is right', async () => {
  const text = await Bun.file(new URL('../../docs/prices.md', import.meta.url)).text()
  const example = /```yaml\n(prices:[\s\S]*?)```/.exec(text)![1]!
  expect(readPriceFile(example, 'prices.yaml').prices.length).toBeGreaterThan(8)
})
