import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { startSandbox } from './sandbox.ts'
import type { Sandbox } from './sandbox.ts'
import { closeCodeAllowed, encodeFrame } from './websocket.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox({ keys: ['sk-right'] })
})
afterAll(() => sandbox.close())
beforeEach(() => sandbox.reset())

interface Event {
  readonly type: string
  readonly [name: string]: any
}

/** A realtime connection that collects events. */
class Client {
  readonly events: Event[] = []
  readonly socket: WebSocket
  readonly closed: Promise<CloseEvent>
  #wake: () => void = () => {}

  constructor(model: string, protocols: string[] = ['realtime', 'openai-insecure-api-key.sk-right']) {
    this.socket = new WebSocket(
      `${sandbox.url.replace('http', 'ws')}/realtime?model=${encodeURIComponent(model)}`,
      protocols,
    )
    this.closed = new Promise((resolve) => this.socket.addEventListener('close', resolve))
    this.socket.addEventListener('message', ({ data }) => {
      this.events.push(JSON.parse(String(data)) as Event)
      this.#wake()
    })
  }

  send(event: object): void {
    this.socket.send(JSON.stringify(event))
  }

  async until(type: string): Promise<Event> {
    const deadline = Date.now() + 5000
    while (Date.now() < deadline) {
      const found = this.events.find((event) => event.type === type)
      if (found !== undefined) return found
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), Bun.sleep(100)])
    }
    throw new Error(`no ${type} among ${this.events.map((event) => event.type).join(', ')}`)
  }
}

test('a realtime session: update, item, response, usage in the books', async () => {
  const client = new Client('gpt-realtime')
  const created = await client.until('session.created')
  expect(created['session']).toMatchObject({ object: 'realtime.session', model: 'gpt-realtime-2025-08-28' })
  expect(client.socket.protocol).toBe('realtime')
  client.send({ type: 'session.update', session: { instructions: 'Be brief.' } })
  expect((await client.until('session.updated'))['session'].instructions).toBe('Be brief.')
  client.send({
    type: 'conversation.item.create',
    item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Say: hi there' }] },
  })
  await client.until('conversation.item.created')
  client.send({ type: 'response.create' })
  const done = await client.until('response.done')
  const deltas = client.events
    .filter(({ type }) => type === 'response.output_text.delta')
    .map((event) => event['delta'] as string)
  expect(deltas).toEqual(['hi', ' there'])
  expect(done['response']).toMatchObject({ status: 'completed', usage: { output_tokens: 2 } })
  client.socket.close(1000)
  expect((await client.closed).code).toBe(1000)
  const deadline = Date.now() + 5000
  while (sandbox.books()[0]!.ended === 'open' && Date.now() < deadline) await Bun.sleep(5)
  expect(sandbox.books()[0]).toMatchObject({
    ended: 'complete',
    status: 101,
    usage: { output: 2 },
    usageSent: true,
    model: 'gpt-realtime',
  })
})

test('sound sent in comes back with the answer', async () => {
  const client = new Client('gpt-realtime')
  await client.until('session.created')
  client.send({ type: 'input_audio_buffer.append', audio: 'AQID' })
  client.send({ type: 'input_audio_buffer.append', audio: 'BAUG' })
  client.send({ type: 'input_audio_buffer.commit' })
  await client.until('input_audio_buffer.committed')
  client.send({ type: 'response.create' })
  expect((await client.until('response.output_audio.delta'))['delta']).toBe('AQIDBAUG')
  await client.until('response.done')
  client.socket.close(4001, 'bye')
  expect((await client.closed).code).toBe(4001)
})

test('what is wrong is said in an error event, and the connection lives on', async () => {
  const client = new Client('gpt-realtime')
  await client.until('session.created')
  client.socket.send('{')
  expect((await client.until('error'))['error'].code).toBe('invalid_json')
  client.send({ type: 'no.such', event_id: 'mine' })
  client.send({ type: 'input_audio_buffer.clear' })
  await client.until('input_audio_buffer.cleared')
  expect(client.events.filter(({ type }) => type === 'error')[1]!['error'].event_id).toBe('mine')
  client.socket.close()
})

test('a cut session ends without a close frame', async () => {
  const client = new Client('gpt-realtime+fault-cut-1')
  expect((await client.closed).code).toBe(1006)
  expect(client.events.map(({ type }) => type)).toEqual(['session.created'])
})

test('a wrong key, an unknown model and a plain GET are refused before the upgrade', async () => {
  const refused = await new Client('gpt-realtime', ['realtime', 'openai-insecure-api-key.sk-wrong']).closed
  expect(refused.code).not.toBe(1000)
  expect(sandbox.books().at(-1)!.status).toBe(401)
  await new Client('gpt-9').closed
  expect(sandbox.books().at(-1)!.status).toBe(404)
  const plain = await fetch(`${sandbox.url}/realtime?model=gpt-realtime`, {
    headers: { authorization: 'Bearer sk-right' },
  })
  expect(plain.status).toBe(426)
})

/** A masked client frame; `first` is the whole first byte. */
function clientFrame(first: number, payload: Uint8Array, masked = true): Buffer {
  const mask = Buffer.from([1, 2, 3, 4])
  const body = Buffer.from(payload.map((byte, i) => (masked ? byte ^ mask[i & 3]! : byte)))
  const head = Buffer.from(encodeFrame(0, payload).subarray(0, -payload.length || undefined))
  head[0] = first
  if (masked) head[1] = head[1]! | 0x80
  return Buffer.concat(masked ? [head, mask, body] : [head, body])
}

/** Shakes hands over a raw socket, sends bytes, gives what came after the greeting until the server closes. */
function rawSession(bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    const head =
      'GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer sk-right\r\n\r\n'
    const socket = connect(sandbox.port, '127.0.0.1', () =>
      socket.write(Buffer.concat([Buffer.from(head), bytes])),
    )
    socket.on('data', (piece: Buffer) => pieces.push(piece))
    socket.on('error', reject)
    socket.on('close', () => {
      const all = Buffer.concat(pieces)
      expect(all.toString('latin1')).toContain('sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
      resolve(all.subarray(all.indexOf('\r\n\r\n') + 4))
    })
  })
}

const text = (value: string) => Buffer.from(value)
const close = clientFrame(0x88, Buffer.from([0x03, 0xe8]))

const breaches: [name: string, bytes: Buffer, code: number][] = [
  ['no mask', clientFrame(0x81, text('{}'), false), 1002],
  ['reserved bits', clientFrame(0xc1, text('{}')), 1002],
  ['unknown opcode', clientFrame(0x83, text('{}')), 1002],
  ['fragmented ping', clientFrame(0x09, text('x')), 1002],
  ['long ping', clientFrame(0x89, Buffer.alloc(126)), 1002],
  ['continuation of nothing', clientFrame(0x80, text('x')), 1002],
  [
    'a message inside another',
    Buffer.concat([clientFrame(0x01, text('a')), clientFrame(0x81, text('b'))]),
    1002,
  ],
  ['text that is not UTF-8', clientFrame(0x81, Buffer.from([0xff, 0xfe])), 1007],
  ['close code 1005', clientFrame(0x88, Buffer.from([0x03, 0xed])), 1002],
  ['close code of one byte', clientFrame(0x88, Buffer.from([0x03])), 1002],
  ['too big', Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0, 1, 2, 3, 4]), 1009],
  ['a plain close', close, 1000],
]
test.each(breaches)('frames: %s', async (_name, bytes, code) => {
  const seen = await rawSession(bytes)
  const at = seen.lastIndexOf(Buffer.from([0x88]))
  expect(seen.readUInt16BE(at + 2)).toBe(code)
})

test('frames: a fragmented message with a ping between is whole, and the ping is answered', async () => {
  const update = JSON.stringify({ type: 'session.update', session: { instructions: 'ünï' } })
  const bytes = Buffer.from(update)
  const parts = [
    clientFrame(0x01, bytes.subarray(0, 50)),
    clientFrame(0x89, text('beat')),
    clientFrame(0x00, bytes.subarray(50, 60)),
    clientFrame(0x80, bytes.subarray(60)),
  ]
  const seen = await rawSession(Buffer.concat([...parts, close]))
  expect(seen.includes(Buffer.concat([Buffer.from([0x8a, 4]), text('beat')]))).toBe(true)
  expect(seen.toString()).toContain('"instructions":"ünï"')
})

test('frames are written with the shortest length', () => {
  expect([...encodeFrame(1, new Uint8Array(125)).subarray(0, 2)]).toEqual([0x81, 125])
  expect([...encodeFrame(2, new Uint8Array(126)).subarray(0, 4)]).toEqual([0x82, 126, 0, 126])
  expect([...encodeFrame(2, new Uint8Array(65_536)).subarray(0, 10)]).toEqual([
    0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0,
  ])
  expect([1000, 1001, 1011, 3000, 4999].every(closeCodeAllowed)).toBe(true)
  expect([0, 999, 1004, 1005, 1006, 1015, 2999, 5000].some(closeCodeAllowed)).toBe(false)
})
