import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import OpenAI from 'openai'
import { faultFromName, faultNames, splitModel } from './fault-names.ts'
import { splitBytes } from './fault-registry.ts'
import { startSandbox } from './sandbox.ts'
import type { Sandbox } from './sandbox.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox()
})
afterAll(() => sandbox.close())
beforeEach(() => sandbox.reset())

/** What a raw socket saw: all bytes, and how the connection ended. */
interface Seen {
  readonly text: string
  readonly bytes: Buffer
  readonly pieces: Buffer[]
  readonly ended: 'fin' | 'rst' | 'left'
}

function request(body: object, path = '/v1/chat/completions'): string {
  const text = JSON.stringify(body)
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-raw\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

/** Sends bytes and listens until the end, or until `leave` is in what came (empty: leaves after `leaveMs`). */
function raw(text: string, leave: { at?: string; ms?: number } = {}): Promise<Seen> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = []
    let ended: Seen['ended'] = 'left'
    const socket = connect(sandbox.port, '127.0.0.1', () => socket.write(text))
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece)
      if (leave.at !== undefined && Buffer.concat(pieces).includes(leave.at)) setTimeout(quit, 60)
    })
    let leaving = false
    const quit = () => {
      leaving = true
      socket.destroy()
    }
    socket.on('end', () => (ended = leaving ? 'left' : 'fin'))
    socket.on(
      'error',
      (cause: NodeJS.ErrnoException) => (ended = cause.code === 'ECONNRESET' ? 'rst' : 'left'),
    )
    socket.on('close', () => {
      const bytes = Buffer.concat(pieces)
      resolve({ text: bytes.toString('latin1'), bytes, pieces, ended })
    })
    if (leave.ms !== undefined) setTimeout(quit, leave.ms)
  })
}

const chat = (model: string, more: object = {}) => ({
  model,
  messages: [{ role: 'user', content: 'Say: one two three four five six' }],
  ...more,
})
const frames = (seen: Seen) => seen.text.match(/data: /g)?.length ?? 0
const bodyOf = (seen: Seen) => seen.text.slice(seen.text.indexOf('\r\n\r\n') + 4)
const stream = { stream: true }

async function ended(how: string): Promise<void> {
  const deadline = Date.now() + 5000
  while (sandbox.books().at(-1)?.ended !== how && Date.now() < deadline) await Bun.sleep(5)
  expect(sandbox.books().at(-1)!.ended as string).toBe(how)
}

describe('answers', () => {
  const cases: [name: string, status: number, code: string | null, holds: string][] = [
    ['fault-400', 400, null, 'refused on demand'],
    ['fault-401', 401, 'invalid_api_key', 'sk-****wxyz'],
    ['fault-403', 403, 'model_not_found', 'org-sandbox0123456789'],
    ['fault-404', 404, null, 'not found'],
    ['fault-408', 408, 'request_timeout', 'timed out'],
    ['fault-409', 409, 'conflict', 'try again'],
    ['fault-429', 429, 'rate_limit_exceeded', 'Rate limit reached'],
    ['fault-500', 500, null, 'had an error'],
    ['fault-502', 502, null, 'had an error'],
    ['fault-503', 503, 'overloaded', 'overloaded'],
    ['fault-504', 504, null, 'had an error'],
    ['fault-context-length', 400, 'context_length_exceeded', 'maximum context length'],
    ['fault-content-filter', 400, 'content_filter', 'filtered'],
    ['fault-insufficient-quota', 429, 'insufficient_quota', 'quota'],
    ['fault-rate-limit-tokens', 429, 'rate_limit_exceeded', 'tokens per min'],
  ]
  test.each(cases)('%s', async (model, status, code, holds) => {
    const response = await fetch(`${sandbox.url}/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-7654wxyz' },
      body: JSON.stringify(chat(model)),
    })
    const { error } = (await response.json()) as { error: { code: string | null; message: string } }
    expect(response.status).toBe(status)
    expect(error.code).toBe(code)
    expect(error.message).toContain(holds)
    expect(sandbox.books().at(-1)).toMatchObject({ status, model, usage: null, ended: 'complete' })
  })

  test('retry-after, retry-after-ms and Location', async () => {
    const [late, soon, moved] = [
      await raw(request(chat('fault-429-retry-after-2'))),
      await raw(request(chat('gpt-4o+fault-503-retry-after-ms-150'))),
      await raw(request(chat('fault-301'))),
    ]
    expect(late.text).toContain('\r\nretry-after: 2\r\n')
    expect(soon.text).toContain('\r\nretry-after-ms: 150\r\n')
    expect(moved.text).toMatch(
      /^HTTP\/1\.1 301 Moved Permanently\r\n[\s\S]*location: https:\/\/elsewhere\.example\//,
    )
  })

  test('finish_reason content_filter', async () => {
    expect(bodyOf(await raw(request(chat('fault-finish-content-filter'))))).toContain(
      '"finish_reason": "content_filter"',
    )
  })

  test('the SDK retries what it should and gives up where it should', async () => {
    const client = new OpenAI({ apiKey: 'sk-test', baseURL: sandbox.url, maxRetries: 2 })
    sandbox.faults.add({
      match: { path: '/v1/chat/completions' },
      fault: 'fault-503-retry-after-ms-1',
      times: 2,
    })
    await client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'x' }] })
    expect(sandbox.books().map(({ status }) => status)).toEqual([503, 503, 200])
    const refused = await client.chat.completions.create({ model: 'fault-400', messages: [] }).then(
      () => null,
      (cause: unknown) => cause,
    )
    expect(refused).toMatchObject({ status: 400 })
    expect(sandbox.books()).toHaveLength(4)
  })
})

describe('the wire', () => {
  test('reset: RST before any byte', async () => {
    expect(await raw(request(chat('fault-reset')))).toMatchObject({ text: '', ended: 'rst' })
    await ended('reset')
  })

  test('close: FIN before any byte', async () => {
    expect(await raw(request(chat('fault-close')))).toMatchObject({ text: '', ended: 'fin' })
    await ended('cut')
  })

  test('silence: no byte, and the client’s leaving is seen', async () => {
    expect(await raw(request(chat('fault-silence')), { ms: 100 })).toMatchObject({ text: '', ended: 'left' })
    await ended('aborted')
    expect(sandbox.books().at(-1)!.durationMs).toBeGreaterThan(20)
  })

  test('cut: n frames, then FIN, without an end of body', async () => {
    const seen = await raw(request(chat('gpt-4o+fault-cut-3', stream)))
    expect(frames(seen)).toBe(3)
    expect(seen.ended).toBe('fin')
    expect(seen.text).not.toContain('\r\n0\r\n\r\n')
    expect(sandbox.books().at(-1)).toMatchObject({
      ended: 'cut',
      framesSent: 3,
      outputSent: 2,
      usageSent: false,
      usage: { output: 6 },
    })
  })

  test('cut by RST after the frames were read', async () => {
    const seen = await raw(request(chat('fault-cut-reset-2', stream)))
    expect(frames(seen)).toBe(2)
    expect(seen.ended).toBe('rst')
  })

  test('cut clean: a proper end of body, no [DONE]', async () => {
    const seen = await raw(request(chat('fault-cut-clean-2', stream)))
    expect(frames(seen)).toBe(2)
    expect(seen.text).toEndWith('\r\n0\r\n\r\n')
    expect(seen.text).not.toContain('[DONE]')
  })

  test('cut of a plain body: the whole length is announced, half is sent', async () => {
    const seen = await raw(request(chat('fault-cut')))
    const announced = Number(/content-length: (\d+)/.exec(seen.text)![1])
    expect(bodyOf(seen).length).toBe(Math.ceil(announced / 2))
    expect(seen.ended).toBe('fin')
    expect(sandbox.books().at(-1)).toMatchObject({ ended: 'cut', usageSent: false })
  })

  test('stall: silent after n frames, for a while or for ever', async () => {
    const forever = await raw(request(chat('fault-stall-2', stream)), { at: '"one"' })
    expect(frames(forever)).toBe(2)
    await ended('aborted')
    const while_ = await raw(request(chat('fault-stall-2-30', stream)))
    expect(while_.text).toContain('[DONE]')
  })

  test('slow first token: the head is there, the body comes late', async () => {
    const seen = await raw(request(chat('fault-slow-first-token-80', stream)))
    expect(seen.pieces.length).toBeGreaterThan(1)
    expect(seen.pieces[0]!.toString()).toEndWith('\r\n\r\n')
    expect(seen.text).toContain('[DONE]')
    expect(sandbox.books().at(-1)!.durationMs).toBeGreaterThan(70)
  })

  test('slow headers, slow frames, drip', async () => {
    const late = await raw(request(chat('fault-slow-headers-60')))
    expect(late.text).toContain('HTTP/1.1 200')
    expect(sandbox.books().at(-1)!.durationMs).toBeGreaterThan(50)
    const slow = await raw(request(chat('fault-slow-frames-5', stream)))
    expect(slow.pieces.length).toBeGreaterThan(5)
    const drip = await raw(
      request({ model: 'text-embedding-3-small+fault-drip', input: 'a', dimensions: 1 }, '/v1/embeddings'),
    )
    expect(drip.pieces.length).toBeGreaterThan(20)
    expect(() => JSON.parse(bodyOf(drip))).not.toThrow()
  })

  test('malformed chunk: one frame of broken JSON, or a body of it with a right length', async () => {
    const seen = await raw(request(chat('fault-malformed-chunk-2', stream)))
    const data = [...seen.text.matchAll(/data: (.*)\n\n/g)].map((match) => match[1]!)
    expect(() => JSON.parse(data[1]!)).not.toThrow()
    expect(() => JSON.parse(data[2]!)).toThrow()
    expect(data.at(-1)).toBe('[DONE]')
    const plain = await raw(request(chat('fault-malformed-chunk')))
    expect(bodyOf(plain).length).toBe(Number(/content-length: (\d+)/.exec(plain.text)![1]))
    expect(() => JSON.parse(bodyOf(plain))).toThrow()
  })

  test('malformed HTTP, as the head and in the body', async () => {
    expect((await raw(request(chat('fault-malformed-http')))).text).toStartWith('HTTP/9.9 twohundred')
    const body = await raw(request(chat('fault-malformed-http-body', stream)))
    expect(body.text).toStartWith('HTTP/1.1 200 OK')
    expect(body.text).toEndWith('ZZ\r\nnot a chunk\r\n')
  })

  test('error frame: after n frames, in the shape of the endpoint, then the end', async () => {
    const seen = await raw(request(chat('fault-error-frame-2', stream)))
    expect(frames(seen)).toBe(3)
    expect(seen.text).toContain('data: {"error":{"message":"The server had an error')
    expect(seen.text).not.toContain('[DONE]')
    const other = await raw(
      request({ model: 'fault-error-frame-3', input: 'x', stream: true }, '/v1/responses'),
    )
    expect(other.text).toContain('event: error\ndata: {"type":"error","sequence_number":3,')
  })

  test('no usage, zero usage, in both forms', async () => {
    const include = { stream: true, stream_options: { include_usage: true } }
    expect((await raw(request(chat('fault-no-usage')))).text).not.toContain('"usage"')
    expect((await raw(request(chat('fault-no-usage', include)))).text).not.toContain('"usage"')
    expect(sandbox.books().at(-1)).toMatchObject({ usageSent: false, usage: { output: 6 } })
    expect((await raw(request(chat('fault-usage-zero', include)))).text).toContain('"total_tokens":0')
    expect(sandbox.books().at(-1)).toMatchObject({ usageSent: true, usage: { output: 0 } })
    expect(
      (await raw(request({ model: 'fault-no-usage', input: 'x', stream: true }, '/v1/responses'))).text,
    ).toContain('"usage":null}}')
  })

  test('huge header, 103, close-delimited, trailers, gzip', async () => {
    expect((await raw(request(chat('fault-huge-header-70000')))).text).toMatch(/x-sandbox-huge: h{70000}\r\n/)
    expect((await raw(request(chat('fault-informational')))).text).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\n[\s\S]*?\r\n\r\nHTTP\/1\.1 200 OK/,
    )
    const open = await raw(request(chat('fault-close-delimited', stream)))
    expect(open.text).not.toMatch(/content-length|transfer-encoding/)
    expect(open.text).toEndWith('data: [DONE]\n\n')
    expect((await raw(request(chat('fault-trailers')))).text).toEndWith('0\r\nx-sandbox-trailer: yes\r\n\r\n')
    const zipped = await raw(request(chat('fault-gzip')))
    expect(zipped.text).toContain('content-encoding: gzip')
    const body = gunzipSync(zipped.bytes.subarray(zipped.bytes.indexOf('\r\n\r\n') + 4))
    expect(JSON.parse(body.toString())).toMatchObject({ object: 'chat.completion' })
  })

  test('early: answers while the body is still to come; deaf: never reads it', async () => {
    sandbox.faults.add({ match: { path: '/v1/files', method: 'POST' }, fault: 'fault-early-413', times: 1 })
    const head =
      'POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: 1000000\r\n\r\nab'
    const early = await raw(head)
    expect(early.text).toStartWith('HTTP/1.1 413')
    sandbox.faults.add({ match: { path: '/v1/files' }, fault: 'fault-deaf', times: 1 })
    const deaf = await raw(head, { ms: 60 })
    expect(deaf.text).toBe('')
  })

  test('several at once', async () => {
    const seen = await raw(request(chat('gpt-4o+fault-slow-first-token-20+fault-cut-2', stream)))
    expect(frames(seen)).toBe(2)
    expect(seen.pieces[0]!.toString()).toEndWith('\r\n\r\n')
  })
})

describe('rules', () => {
  const ask = async (model = 'gpt-4o', path = '/chat/completions') =>
    (
      await fetch(`${sandbox.url}${path}`, {
        method: 'POST',
        headers: { authorization: 'Bearer k' },
        body: JSON.stringify(chat(model)),
      })
    ).status

  test('match by model, path and method, so many times, after so many', async () => {
    sandbox.faults.add({
      match: { model: 'gpt-4o*' },
      fault: { kind: 'status', status: 500 },
      after: 1,
      times: 2,
    })
    sandbox.faults.add({ match: { method: 'GET', path: '/v1/models*' }, fault: 'fault-503' })
    expect([await ask(), await ask(), await ask('o3'), await ask('gpt-4o-mini'), await ask()]).toEqual([
      200, 500, 200, 500, 200,
    ])
    expect((await fetch(`${sandbox.url}/models/x`, { headers: { authorization: 'Bearer k' } })).status).toBe(
      503,
    )
    expect(sandbox.faults.list()).toHaveLength(1)
  })

  test('a chance is drawn from the seed: the same calls are struck again', async () => {
    const strikes = async (): Promise<number[]> => {
      sandbox.reset()
      sandbox.faults.add({ match: {}, fault: 'fault-500', probability: 0.5 })
      const statuses = []
      for (let i = 0; i < 20; i++) statuses.push(await ask())
      return statuses
    }
    const first = await strikes()
    expect(new Set(first)).toEqual(new Set([200, 500]))
    expect(await strikes()).toEqual(first)
  })

  test('over the control endpoints', async () => {
    const control = (method: string, path: string, body?: object) =>
      fetch(`${sandbox.origin}/sandbox${path}`, {
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
      })
    const made = (await (
      await control('POST', '/faults', { match: { model: 'gpt-4o' }, fault: 'fault-502', times: 5 })
    ).json()) as { id: string }
    expect(await ask()).toBe(502)
    const listed = (await (await control('GET', '/faults')).json()) as {
      data: { struck: number }[]
      names: object[]
    }
    expect(listed.data[0]!.struck).toBe(1)
    expect(listed.names).toHaveLength(faultNames.length)
    expect((await control('DELETE', `/faults/${made.id}`)).status).toBe(200)
    expect(await ask()).toBe(200)
    expect((await control('POST', '/faults', { fault: 'fault-what' })).status).toBe(400)
    const { data } = (await (await control('GET', '/books')).json()) as {
      data: { path: string; status: number }[]
    }
    expect(data.filter(({ path }) => path === '/v1/chat/completions').map(({ status }) => status)).toEqual([
      502, 200,
    ])
    await control('POST', '/latency', { chunkDelayMs: 3 })
    expect((await raw(request(chat('gpt-4o', stream)))).pieces.length).toBeGreaterThan(4)
    await control('POST', '/reset')
    expect(sandbox.requests).toHaveLength(0)
  })
})

describe('replay', () => {
  test('plays bytes as they are, cut where asked, each piece flushed', async () => {
    const bytes = Buffer.from('data: {"a":"ü"}\n\ndata: [DONE]\n\n')
    const model = sandbox.faults.replay('openai/x', bytes, { splitAt: [3, 12, 13], pauseMs: 10 })
    const seen = await raw(request(chat(model, stream)))
    const sizes = [...seen.text.matchAll(/(?:^|\r\n)([0-9a-f]+)\r\n/g)].map((match) =>
      Number.parseInt(match[1]!, 16),
    )
    expect(sizes).toEqual([3, 9, 1, bytes.length - 13, 0])
    const joined = bodyOf(seen)
      .replace(/(^|\r\n)[0-9a-f]+\r\n/g, '')
      .replace(/\r\n$/, '')
    expect(Buffer.from(joined, 'latin1').equals(bytes)).toBe(true)
    expect((await raw(request({ model, input: 'x' }, '/v1/responses'))).text).toContain('HTTP/1.1 200')
    expect((await raw(request(chat('replay:none')))).text).toContain('HTTP/1.1 404')
    const cut = await raw(request(chat(`${model}+fault-cut-2`)))
    expect(cut.text).toEndWith(`9\r\n${bytes.toString('latin1', 3, 12)}\r\n`)
  })

  test('bytes are cut at ascending offsets inside', () => {
    const pieces = splitBytes(Uint8Array.from([1, 2, 3, 4]), [9, 3, 1, 1, 0, 4])
    expect(pieces.map((piece) => [...piece])).toEqual([[1], [2, 3], [4]])
  })
})

test('every documented name is understood, and others are not', () => {
  for (const { name } of faultNames) {
    const example = name.replace(/\[|\]/g, '').replace('<status>', '500').replace(/<\w+>/g, '7')
    expect(faultFromName(example)).not.toBeNull()
  }
  expect(faultFromName('fault-cut-x')).toBeNull()
  expect(faultFromName('fault-999')).toBeNull()
  expect(splitModel('ft:gpt-4o:org::id')).toEqual({ base: 'ft:gpt-4o:org::id', faults: [], unknown: [] })
  expect(splitModel('o3-fault-reset+fault-what')).toEqual({
    base: 'o3',
    faults: [{ kind: 'reset' }],
    unknown: ['fault-what'],
  })
})
