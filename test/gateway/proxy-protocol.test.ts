// Promise: behind a proxy that speaks the PROXY protocol the client's own address counts, in the log, in address rules
// and in the bound on connections; from anybody else the header opens nothing.

import { describe, expect, test } from 'bun:test'
import { ask, clientKey, promiseTests, request, startGate, upstreamAt, type ConfigTree } from './harness.ts'
import { readReply } from './message.ts'
import { dial } from './peer.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const start = (server: ConfigTree, more: ConfigTree = {}) =>
  startGate({ upstreams: [upstreamAt(upstream.url)], server, ...more })
const behind = { trustedProxies: ['127.0.0.0/8'] }

const optional = await start({ ...behind, proxyProtocol: 'optional' })
const required = await start({ ...behind, proxyProtocol: 'required' })
const off = await start(behind)
const strangers = await start({ trustedProxies: ['10.0.0.0/8'], proxyProtocol: 'optional' })

const get = request('GET', '/v1/models')
const line = (address: string) =>
  Buffer.from(`PROXY ${address.includes(':') ? 'TCP6' : 'TCP4'} ${address} ${address} 1234 443\r\n`)
const block = (command: number, tlvs = '') => {
  const rest = Buffer.from(`c0000207c633640104d201bb${tlvs}`, 'hex')
  const head = Buffer.from(`0d0a0d0a000d0a515549540a${command.toString(16)}110000`, 'hex')
  head.writeUInt16BE(rest.length, 14)
  return Buffer.concat([head, rest])
}

const lastAddress = async (gate: typeof optional, before: number) =>
  (await gate.logged((each) => gate.lines.indexOf(each) >= before))['address'] as string

describe('a header', () => {
  test.each<[string, Buffer, string]>([
    ['of version 1', line('192.0.2.1'), '192.0.2.1'],
    ['of version 1 over IPv6', line('2001:db8::1'), '2001:db8::1'],
    ['of an unknown client', Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
    ['of version 2', block(0x21), '192.0.2.7'],
    ['of version 2 with TLVs', block(0x21, '0400030102032000050000000000'), '192.0.2.7'],
    ['of version 2, LOCAL', block(0x20), '127.0.0.1'],
  ])('%s names the client', async (_what, header, address) => {
    for (const gate of [optional, required]) {
      const before = gate.lines.length
      expect((await ask(gate.port, Buffer.concat([header, get]))).status).toBe(200)
      expect(await lastAddress(gate, before)).toBe(address)
    }
  })

  test.each<[string, Buffer]>([
    ['1', line('192.0.2.1')],
    ['2', block(0x21, '04000301020320000500')],
  ])(
    'of version %s may come in pieces, cut anywhere',
    async (_version, header) => {
      const bytes = Buffer.concat([header, get])
      for (let at = 1; at < header.length + 4; at++) {
        const peer = await dial(required.port)
        await peer.write(bytes.subarray(0, at))
        await Bun.sleep(2)
        await peer.write(bytes.subarray(at))
        expect((await readReply(peer)).status).toBe(200)
        peer.close()
      }
      const peer = await dial(required.port)
      for (const byte of bytes.subarray(0, header.length)) await peer.write(Buffer.from([byte]))
      await peer.write(get)
      expect((await readReply(peer)).status).toBe(200)
      peer.close()
    },
    120_000,
  )

  test('counts for the whole connection, and is no header a second time', async () => {
    const peer = await dial(required.port)
    const before = required.lines.length
    void peer.write(Buffer.concat([line('192.0.2.3'), get, get]))
    expect((await readReply(peer)).status).toBe(200)
    expect((await readReply(peer)).status).toBe(200)
    await required.logged((each) => required.lines.indexOf(each) > before)
    expect(required.lines.slice(before).map((each) => each['address'])).toEqual(['192.0.2.3', '192.0.2.3'])
    void peer.write(Buffer.concat([line('192.0.2.4'), get]))
    expect((await readReply(peer)).status).toBeGreaterThanOrEqual(400)
    await peer.untilEnded()
    peer.close()
  })

  test('of a trusted client lets that one name the next', async () => {
    const before = optional.lines.length
    const forwarded = request('GET', '/v1/models', { lines: ['X-Forwarded-For: 192.0.2.8'] })
    expect((await ask(optional.port, Buffer.concat([line('127.0.0.2'), forwarded]))).status).toBe(200)
    expect(await lastAddress(optional, before)).toBe('192.0.2.8')
    // And of any other not.
    const then = optional.lines.length
    expect((await ask(optional.port, Buffer.concat([line('192.0.2.1'), forwarded]))).status).toBe(200)
    expect(await lastAddress(optional, then)).toBe('192.0.2.1')
  })
})

describe('is refused', () => {
  test.each<[string, Buffer]>([
    ['broken, of version 1', Buffer.from('PROXY TCP4 192.0.2.01 192.0.2.1 1 2\r\n')],
    ['too long', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(120)}`)],
    ['broken, of version 2', block(0x22)],
    ['of version 2 with a length beyond all bounds', Buffer.from('0d0a0d0a000d0a515549540a2111ffff', 'hex')],
  ])('%s', async (_what, header) => {
    for (const gate of [optional, required]) {
      const seen = upstream.requests.length
      const answer = await ask(gate.port, Buffer.concat([header, get]))
      expect(answer.status).toBe(400)
      expect(answer.header('connection')).toBe('close')
      expect(upstream.requests.length).toBe(seen)
    }
  })

  test('where none is expected, and from a stranger', async () => {
    for (const gate of [off, strangers]) {
      for (const header of [line('10.0.0.1'), block(0x21), block(0x20)]) {
        const seen = upstream.requests.length
        const answer = await ask(gate.port, Buffer.concat([header, get]))
        expect(answer.status).toBeOneOf([400, 501])
        expect(upstream.requests.length).toBe(seen)
      }
    }
    expect((await ask(strangers.port, get)).status).toBe(200)
  })

  test('a request without one, where it is required; not where it is optional', async () => {
    expect((await ask(required.port, get)).status).toBe(400)
    expect((await ask(optional.port, get)).status).toBe(200)
    expect((await ask(optional.port, request('POST', '/v1/models'))).status).toBe(200)
    expect((await ask(optional.port, Buffer.concat([Buffer.from('\r\n'), get]))).status).toBe(200)
  })
})

test('a header that never ends is waited for as long as a request head', async () => {
  for (const proxyProtocol of ['optional', 'required']) {
    const gate = await start({ ...behind, proxyProtocol, timeouts: { header: '150ms', idle: '60s' } })
    for (const begun of ['PROXY TCP4 ', '\r\n\r\n\0']) {
      const peer = await dial(gate.port)
      await peer.write(begun)
      await peer.untilEnded()
      peer.close()
    }
    const silent = await dial(gate.port)
    if (proxyProtocol === 'required') await silent.untilEnded()
    silent.close()
  }
})

test('connections are counted by the address named', async () => {
  const gate = await start({
    ...behind,
    proxyProtocol: 'required',
    limits: { connectionsPerAddress: 2 },
  })
  const open = async (address: string) => {
    const peer = await dial(gate.port)
    void peer.write(Buffer.concat([line(address), get]))
    return { peer, status: (await readReply(peer)).status }
  }
  const first = await open('192.0.2.1')
  const rest = [
    await open('192.0.2.1'),
    await open('192.0.2.2'),
    await open('192.0.2.2'),
    await open('192.0.2.3'),
  ]
  expect([first, ...rest].map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  const over = await open('192.0.2.1')
  expect(over.status).toBe(503)
  over.peer.close()
  first.peer.close()
  await first.peer.untilClosed()
  const deadline = performance.now() + 10_000
  for (let status = 0; status !== 200;) {
    const again = await open('192.0.2.1')
    status = again.status
    again.peer.close()
    expect(performance.now()).toBeLessThan(deadline)
  }
  for (const { peer } of rest) peer.close()
})

test('address rules judge the address named', async () => {
  const gate = await start(
    { ...behind, proxyProtocol: 'required' },
    {
      access: {
        keys: [{ name: 'client', value: clientKey }],
        addresses: { allow: ['192.0.2.0/24'] },
      },
    },
  )
  expect((await ask(gate.port, Buffer.concat([line('192.0.2.1'), get]))).status).toBe(200)
  expect((await ask(gate.port, Buffer.concat([line('198.51.100.1'), get]))).status).toBe(403)
  expect((await ask(gate.port, Buffer.concat([block(0x20), get]))).status).toBe(403)
})

test('needs somebody to trust', async () => {
  expect(await start({ proxyProtocol: 'optional' }).then(() => 'it started', String)).toContain(
    'needs server.trustedProxies',
  )
})
