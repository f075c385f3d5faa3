// Checks of clients that run on Node, run against a gateway by ../node.test.ts. OPENAI_BASE_URL and OPENAI_API_KEY are
// the gateway's, as a user would set them; SANDBOX is the fake upstream's own address, where faults are ordered and
// where what happened is asked. The last line printed is a JSON object: each check's outcome by its name.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import OpenAI, { toFile } from 'openai'
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket'

const env = /** @type {Record<string, string>} */ (process.env)
const baseURL = env['OPENAI_BASE_URL'] ?? ''
const key = env['OPENAI_API_KEY'] ?? ''
const sandbox = env['SANDBOX'] ?? ''
const model = 'gpt-4o-mini'
const openai = new OpenAI({ maxRetries: 0 })
const bearer = { authorization: `Bearer ${key}` }
/** @param {string} content */
const say = (content) => [{ role: /** @type {const} */ ('user'), content }]
/** @param {Uint8Array} bytes */
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

/**
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
async function control(path, body) {
  const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  return (await fetch(sandbox + path, options)).json()
}

/** @param {() => unknown} done */
async function until(done, timeoutMs = 10_000) {
  const endsAtMs = performance.now() + timeoutMs
  while (!(await done())) {
    assert.ok(performance.now() < endsAtMs, `waited ${timeoutMs} ms`)
    await sleep(10)
  }
}

/**
 * @param {AsyncIterable<unknown>} stream
 * @param {(item: unknown) => void} visit
 */
async function each(stream, visit) {
  for await (const item of stream) visit(item)
}

async function expectLeft() {
  const ending = async () => {
    const { data } = await control('/sandbox/books')
    return data.filter((/** @type {{ path: string }} */ { path }) => path.startsWith('/v1/')).at(-1).ended
  }
  await until(async () => (await ending()) === 'aborted', 1000)
}

/** @type {Record<string, () => Promise<void>>} */
const checks = {
  async chat() {
    const { data, request_id } = await openai.chat.completions
      .create({ model, messages: say('Where is Turku?') })
      .withResponse()
    assert.match(data.choices[0]?.message.content ?? '', /Turku/)
    assert.match(request_id ?? '', /^req_/)
  },

  async streams() {
    const whole = await openai.chat.completions.create({ model, messages: say('Sing') })
    let text = ''
    for await (const chunk of await openai.chat.completions.create({
      model,
      messages: say('Sing'),
      stream: true,
    }))
      text += chunk.choices[0]?.delta.content ?? ''
    assert.equal(text, whole.choices[0]?.message.content)
    const final = await openai.responses.stream({ model, input: 'Locks' }).finalResponse()
    assert.match(final.output_text, /Locks/)
  },

  async tools() {
    const parameters = { type: 'object', properties: { city: { type: 'string' } } }
    const tool = { type: /** @type {const} */ ('function'), function: { name: 'get_weather', parameters } }
    const answer = await openai.chat.completions.create({
      model,
      messages: say('Weather in Rome and Bonn'),
      tools: [tool],
    })
    assert.equal(answer.choices[0]?.message.tool_calls?.length, 2)
  },

  async embeddings() {
    const { data } = await openai.embeddings.create({ model: 'text-embedding-3-small', input: ['a', 'b'] })
    assert.deepEqual(
      data.map(({ embedding }) => embedding.length),
      [1536, 1536],
    )
  },

  async files() {
    // No two places alike; and several, since what one upload leaves behind on a connection the next one meets.
    const bytes = Buffer.alloc(20 * 1024 * 1024)
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at)
    const folder = mkdtempSync(join(tmpdir(), 'headgate-node-'))
    try {
      const path = join(folder, 'big.bin')
      writeFileSync(path, bytes)
      for (let i = 0; i < 3; i++) {
        const fromDisk = await openai.files.create({ file: createReadStream(path), purpose: 'batch' })
        assert.equal(/** @type {any} */ (fromDisk).sha256, sha256(bytes))
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
    const part = bytes.subarray(0, 4_000_000)
    const made = await openai.files.create({ file: await toFile(part, 'part.bin'), purpose: 'batch' })
    const content = await openai.files.content(made.id)
    assert.equal(sha256(Buffer.from(await content.arrayBuffer())), sha256(part))
  },

  async audio() {
    const speech = await openai.audio.speech.create({
      model: 'tts-1',
      voice: 'alloy',
      input: 'Hello',
      response_format: 'wav',
    })
    const sound = Buffer.from(await speech.arrayBuffer())
    assert.equal(sound.subarray(0, 4).toString(), 'RIFF')
    const { text } = await openai.audio.transcriptions.create({
      model: 'whisper-1',
      file: await toFile(sound, 'a.wav'),
    })
    assert.match(text, new RegExp(`${sound.length} bytes`))
  },

  async errors() {
    /** @type {[string, new (...args: any[]) => Error][]} */
    const kinds = [
      ['fault-400', OpenAI.BadRequestError],
      ['fault-403', OpenAI.PermissionDeniedError],
      ['no-such-model', OpenAI.NotFoundError],
      ['fault-429', OpenAI.RateLimitError],
      ['fault-500', OpenAI.InternalServerError],
      ['fault-401', OpenAI.InternalServerError],
      ['fault-reset', OpenAI.InternalServerError],
    ]
    for (const [name, kind] of kinds) {
      for (const stream of [false, true])
        await assert.rejects(
          async () => await openai.chat.completions.create({ model: name, messages: say('x'), stream }),
          kind,
        )
    }
    await assert.rejects(
      async () => await new OpenAI({ apiKey: 'sk-wrong' }).models.list(),
      OpenAI.AuthenticationError,
    )
    const hurried = new OpenAI({ timeout: 200, maxRetries: 0 })
    await assert.rejects(
      async () => await hurried.chat.completions.create({ model: 'fault-silence', messages: say('x') }),
      OpenAI.APIConnectionTimeoutError,
    )
  },

  async retries() {
    const patient = new OpenAI({ maxRetries: 2 })
    for (const fault of ['fault-429-retry-after-ms-20', 'fault-500']) {
      await control('/sandbox/faults', { match: { path: '/v1/chat/completions' }, fault, times: 1 })
      assert.ok((await patient.chat.completions.create({ model, messages: say('x') })).id)
    }
  },

  async brokenStreams() {
    for (const name of ['fault-cut-3', 'fault-cut-reset-3', 'fault-malformed-http-body']) {
      const ask = { model: name, messages: say('x'), stream: /** @type {const} */ (true) }
      const read = async () => each(await openai.chat.completions.create(ask), () => {})
      const expected = (/** @type {any} */ error) =>
        error instanceof OpenAI.APIError && error.code === 'upstream_unavailable'
      await assert.rejects(read, expected)
    }
  },

  async leaving() {
    await control('/sandbox/latency', { chunkDelayMs: 20 })
    const ask = { model: 'sandbox-tokens-500', stream: /** @type {const} */ (true) }
    const chat = await openai.chat.completions.create({ ...ask, messages: say('x') })
    await each(chat, () => chat.controller.abort())
    await expectLeft()
    const response = await openai.responses.create({ ...ask, input: 'x' })
    await response[Symbol.asyncIterator]().next()
    response.controller.abort()
    await expectLeft()
    await control('/sandbox/latency', { chunkDelayMs: 0 })
  },

  async parallel() {
    const ask = async (/** @type {number} */ index) => {
      const answer = await openai.chat.completions.create({ model, messages: say(`Caller ${index} here`) })
      assert.match(answer.choices[0]?.message.content ?? '', new RegExp(`Caller ${index} here`))
    }
    await Promise.all(Array.from({ length: 100 }, (_, index) => ask(index)))
  },

  async fetch() {
    const models = await fetch(`${baseURL}/models`, { headers: bearer })
    assert.equal(models.status, 200)
    assert.equal(/** @type {any} */ (await models.json()).object, 'list')
    const body = new ReadableStream({
      async start(controller) {
        for (let i = 0; i < 20; i++) {
          controller.enqueue(Buffer.alloc(10_000, 97 + i))
          await sleep(1)
        }
        controller.close()
      },
    })
    const echo = await fetch(`${baseURL}/echo/raw`, { method: 'POST', headers: bearer, body, duplex: 'half' })
    assert.equal(Buffer.from(await echo.arrayBuffer()).length, 200_000)
    const form = new FormData()
    form.set('model', 'whisper-1')
    form.set('file', new Blob([Buffer.alloc(1000)]), 'naïve "name".wav')
    const heard = await fetch(`${baseURL}/audio/transcriptions`, {
      method: 'POST',
      headers: bearer,
      body: form,
    })
    assert.match(/** @type {any} */ (await heard.json()).text, /1000 bytes/)
    const refused = await fetch(`${baseURL}/models`)
    assert.equal(refused.status, 401)
    const cut = await fetch(`${baseURL}/chat/completions`, {
      method: 'POST',
      headers: { ...bearer, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'fault-cut', messages: say('x') }),
    })
    assert.equal(cut.status, 502)
  },

  async http() {
    // One connection, kept: requests with a length, chunked, with Expect, and HEAD, one after another.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const sockets = new Set()
    /**
     * @param {string} method
     * @param {string} path
     * @param {{ body?: string, headers?: Record<string, string> }} [more]
     * @returns {Promise<{ status: number | undefined, text: string, headers: import('node:http').IncomingHttpHeaders }>}
     */
    const ask = (method, path, { body, headers = {} } = {}) =>
      new Promise((resolve, reject) => {
        const call = request(
          baseURL + path,
          { method, agent, headers: { ...bearer, ...headers } },
          (answer) => {
            let text = ''
            answer.setEncoding('utf8')
            answer.on('data', (part) => (text += part))
            answer.on('end', () => resolve({ status: answer.statusCode, text, headers: answer.headers }))
            answer.on('error', reject)
          },
        )
        call.on('socket', (socket) => sockets.add(socket))
        call.on('error', reject)
        if (headers['expect'] === undefined) {
          call.end(body ?? '')
          return
        }
        call.on('continue', () => call.end(body))
        call.flushHeaders()
      })
    const body = JSON.stringify({ model, messages: say('Quay') })
    const labelled = { 'content-type': 'application/json' }
    /** @type {Record<string, string>[]} */
    const framings = [
      { 'content-length': String(body.length) },
      { 'transfer-encoding': 'chunked' },
      { 'content-length': String(body.length), expect: '100-continue' },
    ]
    for (const headers of framings) {
      const { status, text } = await ask('POST', '/chat/completions', {
        body,
        headers: { ...labelled, ...headers },
      })
      assert.equal(status, 200)
      assert.match(text, /Quay/)
    }
    const head = await ask('HEAD', '/models/gpt-4o')
    assert.equal(head.text, '')
    assert.equal((await ask('GET', '/models/gpt-4o')).status, 200)
    assert.equal(sockets.size, 1)
    agent.destroy()
  },

  async realtime() {
    // Node 20 has no WebSocket unless asked; ../node.test.ts asks.
    const onURL = (/** @type {URL} */ url) => void (url.protocol = 'ws:')
    const rt = new OpenAIRealtimeWebSocket({ model: 'gpt-realtime', onURL }, openai)
    /** @type {string[]} */
    const types = []
    let closed = 0
    rt.on('event', ({ type }) => void types.push(type))
    rt.socket.addEventListener('close', (/** @type {{ code: number }} */ { code }) => (closed = code))
    await until(() => types.includes('session.created'))
    rt.send({ type: 'response.create' })
    await until(() => types.includes('response.done'))
    rt.close({ code: 4010, reason: 'enough' })
    await until(() => closed !== 0)
    assert.equal(closed, 4010)
  },
}

/** @type {Record<string, string>} */
const outcomes = {}
for (const [name, run] of Object.entries(checks)) {
  try {
    await run()
    outcomes[name] = 'ok'
  } catch (cause) {
    outcomes[name] = cause instanceof Error ? `${cause.stack}` : String(cause)
  }
}
console.log(JSON.stringify(outcomes))
