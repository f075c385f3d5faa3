// WebSocket clients through the gateway: the official client's Realtime and Responses sockets, and a plain WebSocket for
// what those do not show: binary messages, close codes both ways, refusals, and key by header or subprotocol.

import { describe, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket'
import { ResponsesWS } from 'openai/resources/responses/ws'
import { clientKey, eventually, startService, upstreamKey } from './service.ts'

const service = await startService()
const { sandbox, gate, baseURL } = service
const openai = new OpenAI({ apiKey: clientKey, baseURL, maxRetries: 0 })
const socketURL = baseURL.replace('http', 'ws')

interface Closed {
  readonly code: number
  readonly reason: string
}

/** A WebSocket whose messages are kept. */
class Plain {
  readonly messages: (string | Uint8Array)[] = []
  closed: Closed | null = null
  readonly socket: WebSocket

  constructor(path: string, options: { headers?: Record<string, string>; protocols?: string[] }) {
    this.socket = new WebSocket(`${socketURL}${path}`, options)
    this.socket.binaryType = 'nodebuffer'
    this.socket.addEventListener(
      'message',
      ({ data }) => void this.messages.push(data as string | Uint8Array),
    )
    this.socket.addEventListener('close', ({ code, reason }) => (this.closed = { code, reason }))
  }

  async opened(): Promise<this> {
    await eventually(
      () => this.socket.readyState === WebSocket.OPEN || this.closed !== null,
      'the socket to open',
    )
    expect(this.closed).toBeNull()
    return this
  }

  async ended(): Promise<Closed> {
    return eventually(() => this.closed, 'the socket to close')
  }

  /** Types of the JSON events that came. */
  types(): string[] {
    return this.messages.map((message) => (JSON.parse(String(message)) as { type: string }).type)
  }
}

const bearer = { Authorization: `Bearer ${clientKey}` }

describe('the official client', () => {
  test('Realtime: a session, items, an answer, a close', async () => {
    // The client insists on TLS; the gateway of this test has none.
    const rt = new OpenAIRealtimeWebSocket(
      { model: 'gpt-realtime', onURL: (url: URL) => void (url.protocol = 'ws:') },
      openai,
    )
    const [types, problems]: [string[], string[]] = [[], []]
    let [text, closed] = ['', null as Closed | null]
    rt.on('error', ({ message }) => void problems.push(message))
    rt.on('event', ({ type }) => void types.push(type))
    rt.on('response.output_text.delta', ({ delta }) => (text += delta))
    rt.socket.addEventListener('close', ({ code, reason }) => (closed = { code, reason }))
    await eventually(() => types.includes('session.created'), 'the session')
    rt.send({ type: 'session.update', session: { type: 'realtime', instructions: 'Be kind' } })
    const content = [{ type: 'input_text' as const, text: 'Where is the quay?' }]
    rt.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } })
    rt.send({ type: 'response.create' })
    await eventually(() => types.includes('response.done'), 'the answer')
    expect(text).toContain('quay')
    expect(types).toContain('session.updated')
    expect(problems).toEqual([])
    // The subprotocol that carries the client's key stays here.
    const offered = sandbox.requests[0]!.headers.filter(([name]) => /^sec-websocket-protocol$/i.test(name))
    expect(offered.map(([, value]) => value)).toEqual(['realtime'])
    expect(rt.socket.protocol).toBe('realtime')
    rt.close({ code: 4001, reason: 'enough' })
    await eventually(() => closed, 'the close')
    const line = await gate.logged(({ path }) => path === '/v1/realtime')
    expect(line).toMatchObject({ status: 101, endpoint: 'realtime', upstream: 'main' })
  })

  test('Realtime: sound comes back byte for byte', async () => {
    const rt = new OpenAIRealtimeWebSocket(
      { model: 'gpt-realtime', onURL: (url: URL) => void (url.protocol = 'ws:') },
      openai,
    )
    const types: string[] = []
    let sound = ''
    rt.on('event', ({ type }) => void types.push(type))
    rt.on('response.output_audio.delta', ({ delta }) => (sound += delta))
    await eventually(() => types.includes('session.created'), 'the session')
    const audio = Buffer.alloc(600_000, 'sound-').toString('base64')
    for (let at = 0; at < audio.length; at += 80_000)
      rt.send({ type: 'input_audio_buffer.append', audio: audio.slice(at, at + 80_000) })
    rt.send({ type: 'input_audio_buffer.commit' })
    rt.send({ type: 'response.create' })
    await eventually(() => types.includes('response.done'), 'the answer')
    expect(sound === audio).toBe(true)
    rt.close()
  })

  test('Responses: two answers over one connection, each with all events', async () => {
    const ws = new ResponsesWS(openai)
    const [types, problems]: [string[], string[]] = [[], []]
    let text = ''
    ws.on('error', ({ message }) => void problems.push(message))
    ws.on('event', ({ type }) => void types.push(type))
    ws.on('response.output_text.delta', ({ delta }) => (text += delta))
    const done = () => types.filter((type) => type === 'response.completed').length
    ws.send({ type: 'response.create', model: 'gpt-4o-mini', input: 'Ferries' })
    await eventually(() => done() === 1, 'the first answer')
    expect(text).toContain('Ferries')
    ws.send({ type: 'response.create', model: 'gpt-4o-mini', input: 'Tunnels' })
    await eventually(() => done() === 2, 'the second answer')
    expect(text).toContain('Tunnels')
    expect(types[0]).toBe('response.created')
    expect(problems).toEqual([])
    expect(sandbox.requests).toHaveLength(1)
    ws.close()
  })

  test("Responses: the upstream's refusal is an event, the connection stays", async () => {
    const ws = new ResponsesWS(openai)
    const [types, problems]: [string[], string[]] = [[], []]
    ws.on('error', ({ message }) => void problems.push(message))
    ws.on('event', ({ type }) => void types.push(type))
    ws.send({ type: 'response.create', model: 'no-such-model', input: 'x' })
    await eventually(() => problems.length > 0, 'the error')
    ws.send({ type: 'response.create', model: 'gpt-4o-mini', input: 'x' })
    await eventually(() => types.includes('response.completed'), 'the answer')
    ws.close()
  })

  test('client secrets for browsers', async () => {
    const made = await openai.realtime.clientSecrets.create({
      session: { type: 'realtime', model: 'gpt-realtime' },
    })
    expect(made.value).toStartWith('ek_')
  })
})

describe('a plain WebSocket', () => {
  test('key by header, by subprotocol, by x-api-key', async () => {
    for (const options of [
      { headers: bearer },
      { protocols: ['realtime', `openai-insecure-api-key.${clientKey}`, 'openai-beta.realtime-v1'] },
      { headers: { 'x-api-key': clientKey } },
    ]) {
      const plain = await new Plain('/realtime?model=gpt-realtime', options).opened()
      await eventually(() => plain.types().includes('session.created'), 'the session')
      plain.socket.close(1000)
      expect((await plain.ended()).code).toBe(1000)
    }
    expect(sandbox.requests.map(({ target }) => target)).toEqual(
      Array.from({ length: 3 }, () => '/v1/realtime?model=gpt-realtime'),
    )
  })

  test('no key, a wrong key, two keys: refused before anything goes upstream', async () => {
    for (const options of [
      {},
      { headers: { Authorization: 'Bearer hg_wrong' } },
      { headers: bearer, protocols: ['realtime', `openai-insecure-api-key.${clientKey}`] },
    ]) {
      const plain = new Plain('/realtime?model=gpt-realtime', options)
      expect((await plain.ended()).code).toBe(1006)
      expect(plain.messages).toEqual([])
    }
    expect(sandbox.requests).toEqual([])
  })

  test("the upstream's refusal of the upgrade passes", async () => {
    const answer = await fetch(`${baseURL}/realtime?model=none`, { headers: bearer })
    expect(answer.status).toBe(404)
    const plain = new Plain('/realtime?model=none', { headers: bearer })
    await plain.ended()
    expect(sandbox.requests).toHaveLength(2)
  })

  test('a message of 1 MB, and an unexpected binary one', async () => {
    const plain = await new Plain('/realtime?model=gpt-realtime', { headers: bearer }).opened()
    const text = 'long '.repeat(200_000)
    plain.socket.send(
      JSON.stringify({
        type: 'conversation.item.create',
        item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
      }),
    )
    await eventually(() => plain.types().includes('conversation.item.created'), 'the item')
    expect(String(plain.messages.at(-1)).includes(text)).toBe(true)
    plain.socket.send(Buffer.alloc(70_000, 9))
    await eventually(() => plain.types().includes('error'), 'the error')
    plain.socket.close(4321, 'bye')
    expect((await plain.ended()).code).toBe(4321)
  })

  test('an upstream that breaks off ends the connection, and not in order', async () => {
    const plain = await new Plain('/realtime?model=gpt-realtime%2Bfault-cut-2', { headers: bearer }).opened()
    plain.socket.send(JSON.stringify({ type: 'response.create' }))
    expect((await plain.ended()).code).toBe(1006)
  })

  test('a client that vanishes is noticed upstream', async () => {
    const plain = await new Plain('/realtime?model=gpt-realtime', { headers: bearer }).opened()
    const before = sandbox.connections()
    plain.socket.terminate()
    await eventually(() => sandbox.connections() < before, 'the upstream to notice', 1000)
  })

  test('nothing of the upstream key is in what clients see', async () => {
    const plain = await new Plain('/realtime?model=gpt-realtime', { headers: bearer }).opened()
    plain.socket.send(JSON.stringify({ type: 'nonsense' }))
    await eventually(() => plain.types().includes('error'), 'the error')
    expect(plain.messages.join('')).not.toContain(upstreamKey)
    plain.socket.close()
  })
})
