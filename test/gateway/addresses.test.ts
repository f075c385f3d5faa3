// Promise: an address rule judges who really sent a request. Deny wins, an allow list is a fence, and no spelling of an
// address and no header of a stranger leads round it.

import { describe, expect, test } from 'bun:test'
import { loadConfig } from '../../src/config/load.ts'
import {
  ask,
  clientKey,
  promiseTests,
  request,
  scratchFolder,
  startGate,
  upstreamAt,
  writeConfig,
  type ConfigTree,
} from './harness.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const office = 'hg_test_only-from-the-office-000000001'
const listed = 'hg_test_with-both-lists-0000000000001'
const keys = [
  { name: 'client', value: clientKey },
  { name: 'office', value: office, addresses: ['192.0.2.0/24', '2001:db8:1::/48'] },
  { name: 'listed', value: listed, addresses: { allow: ['192.0.2.0/24'], deny: ['192.0.2.66'] } },
]
const start = (access: ConfigTree, server: ConfigTree = { trustedProxies: ['127.0.0.0/8'] }) =>
  startGate({ upstreams: [upstreamAt(upstream.url)], server, access: { keys, ...access } })

const allows = {
  allow: ['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32'],
  deny: ['10.66.0.0/16', '2001:db8:bad::/48'],
}
const ruled = await start({ addresses: allows })
const denies = await start({ addresses: { deny: ['10.66.0.0/16', '::ffff:10.67.0.0/112'] } })
const open = await start({})
const untrusting = await start({ addresses: { deny: ['127.0.0.1'] } }, {})

type Gate = typeof ruled

/** Status of a request that a trusted proxy says comes from `address`; a refusal reaches no upstream. */
async function from(gate: Gate, address: string, key: string | null = clientKey): Promise<number> {
  const seen = upstream.requests.length
  const lines = [`X-Forwarded-For: ${address}`]
  const answer = await ask(gate.port, request('GET', '/v1/models', { lines, key }))
  expect(upstream.requests.length - seen).toBe(answer.status === 200 ? 1 : 0)
  if (answer.status === 403)
    expect(answer.json().error).toMatchObject({ code: 'access_denied', type: 'permission_error' })
  return answer.status
}

describe('access.addresses', () => {
  test.each<[string, number]>([
    ['10.0.0.1', 200],
    ['10.255.255.255', 200],
    ['192.0.2.255', 200],
    ['2001:db8::1', 200],
    ['2001:DB8:0:0:0:0:0:1', 200],
    ['::ffff:10.0.0.1', 200],
    ['[::ffff:a00:1]:80', 200],
    ['9.255.255.255', 403],
    ['11.0.0.0', 403],
    ['192.0.3.0', 403],
    ['2001:db9::', 403],
    ['::1', 403],
    ['::10.0.0.1', 403],
    ['64:ff9b::10.0.0.1', 403],
    ['2002:a00:1::', 403],
    ['10.66.0.1', 403],
    ['::ffff:10.66.0.1', 403],
    ['::ffff:0a42:0001', 403],
    ['0:0:0:0:0:ffff:10.66.0.1', 403],
    ['2001:db8:bad::1', 403],
    ['2001:DB8:0BAD:0:1::', 403],
    // No address at all: what a trusted proxy says must be one.
    ['012.0.0.1', 400],
    ['0xa.0.0.1', 400],
    ['10.1', 400],
    ['167772161', 400],
    ['10.0.0.1%eth0', 400],
    ['2001:db8::1%eth0', 400],
    ['10.0.0.256', 400],
    ['unknown', 400],
    ['10.0.0.1, nonsense', 400],
    // The proxy speaks for itself.
    ['127.0.0.1', 403],
  ])('%s: %d', async (address, status) => expect(await from(ruled, address)).toBe(status))

  test('without an allow list everybody but the denied may come in', async () => {
    expect(await from(denies, '203.0.113.1')).toBe(200)
    expect(await from(denies, '::1')).toBe(200)
    expect(await from(denies, '10.66.7.7')).toBe(403)
    expect(await from(denies, '::ffff:10.66.7.7')).toBe(403)
    expect(await from(denies, '10.67.0.1')).toBe(403)
  })

  test('is judged before any credential is looked at', async () => {
    const bodies: string[] = []
    for (const lines of [
      [],
      ['Authorization: Bearer nope'],
      ['Authorization:'],
      [`x-api-key: ${clientKey}`],
    ]) {
      const asked = request('GET', '/v1/models', {
        key: null,
        lines: [...lines, 'X-Forwarded-For: 10.66.0.1'],
      })
      const answer = await ask(ruled.port, asked)
      expect(answer.status).toBe(403)
      bodies.push(answer.body.toString())
    }
    expect(new Set(bodies).size).toBe(1)
  })

  test('the last untrusted hop counts, whatever stands before it', async () => {
    expect(await from(ruled, '10.0.0.1, 203.0.113.1')).toBe(403)
    expect(await from(ruled, '203.0.113.1, 10.0.0.1')).toBe(200)
    expect(await from(ruled, '10.0.0.1, 203.0.113.1, 127.0.0.9')).toBe(403)
  })

  test('a stranger names nobody', async () => {
    const lies = [
      'X-Forwarded-For: 10.0.0.1',
      'Forwarded: for=10.0.0.1',
      'X-Real-IP: 10.0.0.1',
      'True-Client-IP: 10.0.0.1',
    ]
    for (const lines of [lies, [lies[0]!], [lies[1]!], ['X-Forwarded-For: nonsense']]) {
      expect((await ask(untrusting.port, request('GET', '/v1/models', { lines }))).status).toBe(403)
    }
  })
})

describe('addresses of one key', () => {
  test.each<[string, string, number]>([
    ['a list', '192.0.2.1', 200],
    ['a list', '::ffff:192.0.2.1', 200],
    ['a list', '2001:db8:1::1', 200],
    ['a list', '192.0.3.1', 403],
    ['a list', '127.0.0.1', 403],
    ['both', '192.0.2.1', 200],
    ['both', '192.0.2.66', 403],
    ['both', '192.0.3.1', 403],
  ])('%s, from %s: %d', async (which, address, status) => {
    expect(await from(open, address, which === 'both' ? listed : office)).toBe(status)
  })

  test('bind that key and no other, and never widen what holds for all', async () => {
    expect(await from(open, '203.0.113.1')).toBe(200)
    expect(await from(denies, '10.66.0.1', office)).toBe(403)
    expect(await from(ruled, '2001:db8:1::1', office)).toBe(200)
    expect(await from(ruled, '10.0.0.1', office)).toBe(403)
  })

  test('a refusal names the key in the log', async () => {
    await from(open, '203.0.113.77', office)
    expect(await open.logged((line) => line['address'] === '203.0.113.77')).toMatchObject({
      key: 'office',
      status: 403,
      failure: 'access_denied',
    })
  })
})

test('the log has the client, canonical, and the upstream hears nothing of it', async () => {
  await from(open, '198.51.100.7, ::ffff:203.0.113.9')
  await open.logged((line) => line['address'] === '203.0.113.9')
  expect(upstream.last.lines.join('\n')).not.toMatch(/203\.0\.113|forwarded/i)
})

test('10,000 blocks are as good as one', async () => {
  const many = Array.from({ length: 10_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`)
  const gate = await start({ addresses: { deny: many } })
  expect(await from(gate, '10.0.0.1')).toBe(403)
  expect(await from(gate, '10.39.15.255')).toBe(403)
  expect(await from(gate, '10.39.16.0')).toBe(200)
})

test.each<[string, ConfigTree, string]>([
  ['octal', { addresses: { allow: ['010.0.0.0/8'] } }, 'is not an address or block of addresses'],
  ['hex', { addresses: { deny: ['0xa.0.0.1'] } }, 'is not an address or block of addresses'],
  ['short', { addresses: { deny: ['10/8'] } }, 'write all four numbers'],
  ['a zone', { addresses: { deny: ['fe80::1%eth0'] } }, 'leave the zone away'],
  ['bits behind', { addresses: { deny: ['10.1.0.0/8'] } }, 'the block is 10.0.0.0/8'],
  ['a prefix', { addresses: { deny: ['10.0.0.0/40'] } }, 'the prefix length is not right'],
  ['a name', { addresses: { deny: ['localhost'] } }, 'is not an address'],
  ['one text', { addresses: { deny: '10.0.0.0/8' } }, 'expected a list'],
  ['a key', { keys: [{ name: 'k', value: clientKey, addresses: ['10.0.0/8'] }] }, 'is not an address'],
])('the configuration is refused: %s', async (_what, access, says) => {
  expect(await start(access).then(() => 'it started', String)).toContain(says)
})

test('to trust everybody is said aloud', async () => {
  const folder = scratchFolder()
  const file = writeConfig({ server: { trustedProxies: ['0.0.0.0/0', '10.0.0.0/8'] } }, folder)
  const { warnings } = await loadConfig({ file, cwd: folder, env: {} })
  const said = warnings.filter(({ path }) => path.startsWith('server.trustedProxies'))
  expect(said.map(({ path, message }) => [path, message])).toEqual([
    ['server.trustedProxies[0]', 'believes everybody: each client can claim any address'],
  ])
})
