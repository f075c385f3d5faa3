// Promise: rule 13: a price file is used from the reload on, a wrong one never, and rows keep the price they were booked with.

import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCaptured } from '../storage/cli-capture.ts'
import { callAdmin } from './admin-call.ts'
import { ask, clientKey, promiseTests, request, scratchFolder, serve, served } from './harness.ts'

promiseTests()

const token = 'hga_test-token-0000000000000000000000000001'
const tree = {
  upstreams: [{ name: 'main', provider: 'sandbox' }],
  admin: { listen: '127.0.0.1:0', token },
  meter: { prices: 'prices.yaml' },
}
const good = (dollars: number) =>
  `prices:\n  - { model: "gpt-4o-mini*", input: ${dollars}, output: ${dollars} }\n`

test('rule 13: prices are reloaded, wrong ones keep the old in force and are told', async () => {
  const folder = scratchFolder()
  const file = join(folder, 'prices.yaml')
  writeFileSync(file, good(1))
  const gate = await served({ tree, folder })
  const call = async () => {
    const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] })
    const lines = ['Content-Type: application/json']
    await ask(gate.port, request('POST', '/v1/chat/completions', { key: clientKey, lines, body }))
    const { rows } = (await callAdmin(gate.adminPort, 'GET /api/requests', { token })).json
    return rows.map((row: any) => row.costNanoUsd / row.usage.total)
  }
  const reasons = async () => (await callAdmin(gate.adminPort, 'GET /readyz')).json.reasons as string[]
  expect(await call()).toEqual([1000])

  writeFileSync(file, 'prices:\n  - { model: "gpt-4o-mini*", input: -2 }\n')
  gate.signal('SIGHUP')
  await gate.says('prices.yaml:2: prices[0].input: must not be negative')
  expect(await call()).toEqual([1000, 1000])
  expect((await reasons()).join()).toContain('the price file is wrong')
  const config = join(folder, 'headgate.yaml')
  const checked = await runCaptured('check', '--config', config)
  expect(checked.code).toBe(1)

  writeFileSync(file, '')
  gate.signal('SIGHUP')
  await gate.says('prices.yaml: is empty')
  expect(await call()).toEqual([1000, 1000, 1000])
  expect((await runCaptured('check', '--config', config)).code).toBe(1)

  writeFileSync(file, good(3))
  gate.signal('SIGHUP')
  await gate.says('prices are now genai-prices@')
  expect(await call()).toEqual([3000, 1000, 1000, 1000])
  expect(await reasons()).toEqual([])
})

test.each([
  ['a wrong', 'prices: [{ modle: x }]\n', 'prices.yaml:1: prices[0].modle: unknown key'],
  ['an empty', '', 'prices.yaml: is empty'],
])('rule 13: %s price file ends the start', async (_, text, message) => {
  const folder = scratchFolder()
  writeFileSync(join(folder, 'prices.yaml'), text)
  const refused = await serve({ tree, folder })
  expect(refused).toMatchObject({ code: 1 })
  expect((refused as { stderr: string }).stderr).toContain(message)
})

test('a secret that is replaced is taken, though the price file is wrong by then', async () => {
  const folder = scratchFolder()
  const file = join(folder, 'prices.yaml')
  const secret = join(folder, 'token.txt')
  const other = token.replace(/1$/, '2')
  writeFileSync(file, good(1))
  writeFileSync(secret, token)
  const admin = { ...tree.admin, token: '${file:token.txt}' }
  const gate = await served({ tree: { ...tree, admin }, folder })
  writeFileSync(file, '')
  writeFileSync(secret, other)
  await gate.says('configuration reloaded: a secret changed')
  expect((await callAdmin(gate.adminPort, 'GET /api/keys', { token: other })).status).toBe(200)
  expect((await callAdmin(gate.adminPort, 'POST /api/reload', { token: other })).status).toBe(422)
})
