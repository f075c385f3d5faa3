// `headgate usage …` on a store with a few rows, as it is typed.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { runCaptured } from '../../test/storage/cli-capture.ts'
import { ledgerRow } from '../../test/storage/ledger-row.ts'
import { systemClock } from '../base/clock.ts'
import { forget } from '../ledger/retention.ts'
import { addRows } from '../reports/add-rows.ts'
import { csvText } from '../reports/csv.ts'
import { dollarsText, exactDollars, placesFor } from '../reports/money.ts'
import { groups } from '../reports/usage.ts'
import { openStorage } from '../storage/open.ts'
import { buildProgram } from './cli.ts'
import { plotText } from './usage-plot.ts'
import { tableText } from './usage-table.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-usage-'))
afterAll(() => rmSync(folder, { recursive: true }))
const data = join(folder, 'data')
const config = join(folder, 'headgate.yaml')
const at = (moment: string): number => Date.parse(moment)
const evil = '=HYPERLINK("http://x","y")'

beforeAll(async () => {
  writeFileSync(config, 'upstreams: [{ name: main, provider: sandbox }]\n')
  const storage = await openStorage({ path: data, postgres: null }, systemClock)
  await addRows(storage, [
    ledgerRow({ id: '1', at_ms: at('2026-10-31T22:30:00Z'), cost_nano: 4500, billed_nano: 4500 }),
    ledgerRow({ id: '2', at_ms: at('2026-10-31T23:30:00Z'), cost_nano: 1_234_567_890, billed_nano: 1_300_000_000 }),
    ledgerRow({ id: '3', at_ms: at('2026-11-03T12:00:00Z'), state: 'estimated', cost_nano: 1_000_000, billed_nano: 1_000_000 }),
    ledgerRow({ id: '4', at_ms: at('2026-11-04T12:00:00Z'), model: evil, cost_nano: null, billed_nano: null }),
    ledgerRow({ id: '5', at_ms: at('2026-11-05T12:00:00Z'), key_name: 'batch\u001b[31m', team: 'data', cost_nano: 7, billed_nano: 7 }),
    ledgerRow({ id: '6', at_ms: at('2026-11-06T12:00:00Z'), endpoint: 'correction', attempt: 0, is_last: 0, input: null, output: null, total: null, cost_nano: -50, billed_nano: -50, price_version: 'provider' }),
  ]) // prettier-ignore
  await storage.close()
})

const usage = (...args: string[]) => runCaptured('usage', ...args, '--config', config, '--data', data)
const november = ['--from', '2026-11-01', '--to', '2026-11-30']

test('a long name is shortened in tables, and whole in JSON and CSV', async () => {
  const model = `ft:${'m'.repeat(240)}:end`
  const own = join(folder, 'long')
  const storage = await openStorage({ path: own, postgres: null }, systemClock)
  await addRows(storage, [ledgerRow({ id: 'long', at_ms: at('2026-11-03T12:00:00Z'), model })])
  await storage.close()
  const of = (...more: string[]) =>
    runCaptured('usage', ...november, ...more, '--config', config, '--data', own)
  const { out } = await of()
  expect(out).toContain(`ft:${'m'.repeat(27)}…${'m'.repeat(25)}:end `)
  expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThan(120)
  for (const format of ['json', 'csv']) expect((await of('--format', format)).out).toContain(model)
  const columns = [
    { title: 'MODEL', right: false, cells: [model, 'b'] },
    { title: 'COST', right: true, cells: ['$1.00', '$20.00'] },
  ]
  expect(tableText(columns, false, 40)).toBe(
    `MODEL                               COST\nft:${'m'.repeat(13)}…${'m'.repeat(11)}:end   $1.00\nb                                 $20.00`,
  )
})

test('rule 5: a table stands in line, marks estimates and what has no price, and adds up', async () => {
  const { code, out, err } = await usage('--by', 'team,day', ...november)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toBe(
    `Usage from 2026-11-01 00:00 to 2026-12-01 00:00 (UTC)

TEAM   DAY         OPERATIONS  ESTIMATED  UNPRICED  INPUT  OUTPUT           COST
core   2026-11-03           1          1         0     10       5  ~$0.001000000
core   2026-11-04           1          0         1     10       5   $0.000000000
data   2026-11-05           1          0         0     10       5   $0.000000007
core   2026-11-06           0          0         0      0       0  -$0.000000050
────────────────────────────────────────────────────────────────────────────────
total                       3          1         1     30      15  ~$0.000999957

~ holds estimates: 1 calls, $0.0010 of what is billed
1 calls have no price and are not in the cost: name one in prices.yaml for calls to come
`,
  )
})

test.each([
  [[]],
  [['invoice', '--team', 'core', '--month', '2026-11']],
  [['reprice', '--prices', 'p.yaml', '--dry-run']],
])('%j where there is no store says so, and makes none', async (args) => {
  const nowhere = join(folder, 'no-where')
  const { code, out, err } = await runCaptured('usage', ...args, '--config', config, '--data', nowhere)
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toStartWith(`headgate: there is no store here: ${nowhere} (`)
  expect(existsSync(nowhere)).toBe(false)
})

test('days are those of the time zone', async () => {
  const days = async (zone: string) => {
    const { out } = await usage('--by', 'day', '--format', 'json', '--tz', zone, '--from', '2026-10-01', '--to', '2026-11-02')
    return JSON.parse(out).rows.map((row: any) => [row.day, row.costNanoUsd])
  } // prettier-ignore
  expect(await days('UTC')).toEqual([['2026-10-31', 1_234_572_390]])
  expect(await days('Europe/Berlin')).toEqual([['2026-10-31', 4500], ['2026-11-01', 1_234_567_890]]) // prettier-ignore
  expect(await days('Asia/Kolkata')).toEqual([['2026-11-01', 1_234_572_390]])
})

test('JSON is exact, and CSV is RFC 4180 and runs nothing in a spreadsheet', async () => {
  const json = JSON.parse((await usage('--by', 'model', '--format', 'json', '--from', '2026-10-01')).out)
  expect(json).toMatchObject({ next: null, timeZone: 'UTC', saturated: false, coarseBefore: null })
  expect(json.totals).toMatchObject({
    costNanoUsd: 1_235_572_347,
    billedNanoUsd: 1_301_004_457,
    operations: 5,
  })
  const { out } = await usage('--by', 'model', '--format', 'csv', ...november)
  const lines = out.split('\r\n')
  expect(lines[0]).toStartWith('model,operations,attempts,errors,estimated,unpriced,cached,input,')
  expect(lines.find((line) => line.includes('HYPERLINK'))).toStartWith(
    `"'=HYPERLINK(""http://x"",""y"")",1,1,0,0,1,0,10,`,
  )
  expect(lines.at(-1)).toBe('')
})

test('what stands in names does not reach the terminal', async () => {
  const { out } = await usage('--by', 'key', ...november)
  expect(out).not.toContain('\u001b')
  expect(out).toContain('batch·[31m')
})

test('--plot draws days, those without a call too', async () => {
  const { out } = await usage('--by', 'day', '--plot', '--from', '2026-11-03', '--to', '2026-11-05')
  const lines = out.split('\n').slice(2, 5)
  expect(lines.map((line) => line.slice(0, 10))).toEqual(['2026-11-03', '2026-11-04', '2026-11-05'])
  expect(lines[0]).toMatch(/^2026-11-03 {2}█{20,} ~\$0\.001000000$/)
  expect(lines[2]).toMatch(/^2026-11-05 {2}▏ \$0\.000000007$/)
  expect(plotText([{ label: 'a', value: 0, text: '$0.00' }], 40)).toBe('a   $0.00')
})

test('a label is shown whole where there is room for it', () => {
  const label = 'a-key-with-a-long-name / gpt-4o-mini-2024-07-18'
  expect(plotText([{ label, value: 1, text: '$1.00' }], 80)).toStartWith(`${label}  █`)
  expect(plotText([{ label: 'x'.repeat(90), value: 1, text: '$1.00' }], 40)).toStartWith(
    `${'x'.repeat(20)}…  █`,
  )
})

test('help names every group, and a plot for machines says that it is none', async () => {
  const help = buildProgram(() => {})
    .commands.find((command) => command.name() === 'usage')!
    .helpInformation()
  expect(help.replace(/\s+/g, ' ')).toContain(`groups, with commas: ${groups.join(', ')} (default`)
  const { err } = await usage('--plot', '--format', 'csv', ...november)
  expect(err).toContain('--format csv has the numbers without bars')
})

describe('wrong usage is exit code 2 and says what was meant', () => {
  test.each([
    [['--by', 'kye'], '--by: there is no such group (did you mean key?)'],
    [['--from', 'yesterdy'], '--from: expected a date such as 2026-11-01'],
    [['--from', '2026-11-02', '--to', '2026-11-01'], '--to: lies before from'],
    [['--tz', 'Mars/Base'], '--tz: expected a time zone such as Europe/Berlin or UTC'],
    [['--format', 'xml'], "argument 'xml' is invalid"],
    [['invoice', '--month', '2026-11'], "required option '--team <team>' not specified"],
    [['invoice', '--team', 'cor', '--month', '2026-11'], '--team: nothing was ever used by this team (did you mean core?)'],
    [['invoice', '--team', 'core', '--month', 'November'], '--month: expected a month such as 2026-11'],
    [['reprice', '--prices', 'x.yaml'], 'rows are never rewritten'],
    [['reconcile', '--upstream', 'mian'], '--upstream: no upstream has this name (did you mean main?)'],
    [['reconcile', '--upstream', 'main'], 'main is of provider sandbox; only openai has usage and costs'],
    [['reconcile', '--upstream', 'main', '--tolerance', 'much'], '--tolerance: expected a percentage'],
  ])('%j', async (args, message) => {
    const { code, out, err } = await usage(...args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
  }) // prettier-ignore

  test('nothing used is no mistake, and says what to check', async () => {
    const { code, err } = await usage('--team', 'coer', ...november)
    expect(code).toBe(0)
    expect(err).toContain('nothing was used')
    expect(err).toContain('--team: nothing was ever used under this name (did you mean core?)')
    expect(err).toContain('Check --from and --to')
  })
})

describe('an invoice', () => {
  const invoice = (...args: string[]) => usage('invoice', '--team', 'core', '--month', '2026-11', ...args)

  test('is the same each time, and its total is the sum of its lines', async () => {
    const { out, code } = await invoice('--format', 'json', '--tz', 'Europe/Berlin')
    expect(code).toBe(0)
    expect((await invoice('--format', 'json', '--tz', 'Europe/Berlin')).out).toBe(out)
    const { lines, corrections, totals } = JSON.parse(out)
    expect(lines.map((line: any) => [line.key, line.model, line.operations, line.billedNanoUsd, line.estimated, line.unpriced])).toEqual([
      ['web', evil, 1, 0, 0, 1],
      ['web', 'gpt-4o-mini', 2, 1_301_000_000, 1, 0],
    ]) // prettier-ignore
    expect(lines[1].priceVersions).toEqual(['genai-prices@0.1.8-1'])
    expect(corrections).toHaveLength(1)
    const sum = [...lines, ...corrections].reduce((all: number, line: any) => all + line.billedNanoUsd, 0)
    expect(totals).toMatchObject({ billedNanoUsd: sum, estimatedNanoUsd: 1_000_000, correctedNanoUsd: -50 })
  })

  test('as a document marks what is estimated, without a price, and corrected', async () => {
    const { out } = await invoice()
    expect(out).toContain('# Usage of team core in 2026-11\n')
    expect(out).toContain(
      '| web | gpt-4o-mini | 1 | 10 | 0 | 0 | 5 | 0 | 0 / 0 | $0.00100000 | 1 estimated: $0.00100000 |',
    )
    expect(out).toContain('| web | =HYPERLINK("http://x","y") | 1 |')
    expect(out).toContain('| 1 without a price |')
    expect(out).toContain('## Corrections')
    expect(out).toContain('| Estimated (1 calls) | $0.00100000 |')
    expect(out).toContain('| **Total** | **$0.00099995** |')
    expect(out).toContain('Prices: `genai-prices@0.1.8-1`, `provider`')
  })

  test('as CSV has the total as its last line', async () => {
    const { out } = await invoice('--format', 'csv')
    const lines = out.trimEnd().split('\r\n')
    expect(lines.map((line) => line.split(',')[0])).toEqual(['kind', 'usage', 'usage', 'correction', 'total'])
    expect(lines.at(-1)).toContain('0.000999950')
  })
})

test('rule 13: reprice shows what would change, and changes nothing', async () => {
  const prices = join(folder, 'prices.yaml')
  writeFileSync(prices, 'prices:\n  - { model: "gpt-4o-mini*", input: 1000, output: 2000 }\n')
  const before = (await usage('--format', 'json', ...november)).out
  const reprice = (...args: string[]) => usage('reprice', '--prices', prices, '--dry-run', ...november, ...args)
  const { out, code } = await reprice('--format', 'json')
  expect(code).toBe(0)
  const { lines, total, version } = JSON.parse(out)
  expect(version).toMatch(/^genai-prices@.+\+[0-9a-f]{8}$/)
  expect(total).toEqual({ calls: 3, oldNanoUsd: 1_000_007, newNanoUsd: 60_000_000, oldUnpriced: 1, newUnpriced: 0 })
  expect(lines[0]).toMatchObject({ day: '2026-11-03', team: 'core', model: 'gpt-4o-mini-2024-07-18', newNanoUsd: 20_000_000 })
  expect((await reprice()).out).toContain('nothing was changed')
  expect((await usage('--format', 'json', ...november)).out.replace(/"to": .*/, '')).toBe(before.replace(/"to": .*/, ''))
  writeFileSync(prices, 'prices:\n  - { model: a, input: -1 }\n')
  const wrong = await reprice()
  expect(wrong).toMatchObject({ code: 1, out: '' })
  expect(wrong.err).toContain('prices.yaml:2: prices[0].input: must not be negative')
}) // prettier-ignore

describe('where rows were let go', () => {
  const kept = join(folder, 'kept')
  const report = (...args: string[]) => runCaptured('usage', ...args, '--config', config, '--data', kept)
  beforeAll(async () => {
    const storage = await openStorage({ path: kept, postgres: null }, systemClock)
    const rows = ['2026-11-21T03:30:00Z', '2026-11-22T09:30:00Z', '2026-11-23T09:30:00Z']
    await addRows(
      storage,
      rows.map((moment, index) => ledgerRow({ id: String(index), at_ms: at(moment) })),
    )
    await forget(storage, at('2026-11-23T00:00:00Z'))
    await storage.close()
  })

  test('hours are not made up: such a day stands as a day, and a note says so', async () => {
    const { out } = await report('--by', 'hour', '--from', '2026-11-21', '--to', '2026-11-23')
    const lines = out.split('\n')
    expect(lines.filter((line) => line.startsWith('2026')).map((line) => line.split(' ')[0])).toEqual([
      '2026-11-21',
      '2026-11-22',
      '2026-11-23T09:00Z',
    ])
    expect(out).toContain(
      'before 2026-11-23 only whole days (UTC) are kept: one is counted if the period holds its beginning, and stands in the hour column as that day\n',
    )
    const plot = await report('--by', 'hour', '--plot', '--from', '2026-11-21', '--to', '2026-11-23')
    expect(plot.out.match(/^2026-\S+/gm)?.slice(0, 3)).toEqual(['2026-11-21', '2026-11-22', '2026-11-23T00:00Z'])
  })

  test('a period that begins amid such a day is told why nothing is there', async () => {
    const { out, err } = await report('--by', 'hour', '--from', '2026-11-22T06:00:00Z', '--to', '2026-11-22T12:00:00Z')
    expect(out).toBe('')
    expect(err).toContain('Note: before 2026-11-23 only whole days (UTC) are kept')
  })

  test('an invoice of another time zone says that those days are of UTC', async () => {
    const invoice = (...args: string[]) => report('invoice', '--team', 'core', '--month', '2026-11', ...args)
    const remark = "Before 2026-11-23 only whole days (UTC) are kept: those days are UTC's, not those of Asia/Tokyo."
    expect((await invoice('--tz', 'Asia/Tokyo')).out).toContain(`\n${remark}\n`)
    expect((await invoice('--tz', 'Asia/Tokyo', '--format', 'csv')).err).toContain(remark)
    const json = await invoice('--tz', 'Asia/Tokyo', '--format', 'json')
    expect(JSON.parse(json.out).coarseBefore).toBe('2026-11-23T00:00:00.000Z')
    expect((await invoice()).out).not.toContain('only whole days')
  })

  test('reprice says that it cannot see them', async () => {
    const prices = join(folder, 'other-prices.yaml')
    writeFileSync(prices, 'prices:\n  - { model: "gpt-4o-mini*", input: 1000, output: 2000 }\n')
    const reprice = (...args: string[]) => report('reprice', '--prices', prices, '--dry-run', ...args)
    const letGo = 'Calls before 2026-11-23 (UTC) were let go (meter.retention)'
    expect((await reprice('--from', '2026-11-21', '--to', '2026-11-22')).out).toStartWith(
      `There are no calls in this period.\n${letGo}`,
    )
    const some = ['--from', '2026-11-21', '--to', '2026-11-23']
    expect((await reprice(...some)).out).toContain(letGo)
    expect(JSON.parse((await reprice(...some, '--format', 'json')).out).keptFrom).toBe('2026-11-23T00:00:00.000Z')
    expect((await reprice('--from', '2026-11-23')).out).not.toContain(letGo)
  })
}) // prettier-ignore

test('money is shown from whole numbers', () => {
  expect([0, 1, 4500, -50, 999_999_999, 12_345_678_900_000_000].map((nano) => dollarsText(nano, 2))).toEqual([
    '$0.00', '$0.00', '$0.00', '$0.00', '$1.00', '$12,345,678.90',
  ]) // prettier-ignore
  expect(dollarsText(-1_500_000_000, 0)).toBe('-$2')
  expect([placesFor([]), placesFor([5_000_000_000]), placesFor([450_000]), placesFor([7])]).toEqual([
    2, 2, 5, 9,
  ])
  fc.assert(
    fc.property(fc.maxSafeInteger(), (nano) => {
      expect(BigInt(exactDollars(nano).replace('.', ''))).toBe(BigInt(nano))
    }),
  )
})

test('a cell of CSV reads back as it was, but for a mark before what is a formula', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const cell = csvText([[text]]).slice(0, -2)
      const plain = cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell
      expect(plain).toBe(/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text)
      expect(/^[=+\-@\t\r]/.test(plain)).toBe(false)
    }),
  )
})
