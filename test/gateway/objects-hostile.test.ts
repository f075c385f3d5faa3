// Promise: what belongs to another cannot be reached by odd requests either (doubled, escaped or disguised names, forms, lines of
// batches, chunked bodies, sockets), lists never show it, and new objects are their maker's before the maker hears of them.

import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import OpenAI from 'openai'
import { Secret } from '../../src/base/secret.ts'
import { MemoryObjects, type Objects } from '../../src/objects/objects.ts'
import { ownerOf } from '../../src/objects/owner.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { postgresPrograms, startCluster } from '../storage/postgres-cluster.ts'
import {
  ask,
  eventually,
  finallyClose,
  promiseTests,
  request,
  scratchFolder,
  served,
  startGate,
  upstreamKey,
} from './harness.ts'
import { chunkedSoFar, readHead } from './message.ts'
import {
  access,
  amy,
  ann,
  bob,
  callerOf,
  chat,
  file,
  gone,
  hidden,
  idsOf,
  made,
  storedIn,
  treeAt,
} from './object-world.ts'
import { dial } from './peer.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream, fine } from './scripted-upstream.ts'

promiseTests()

const sandbox = await startSandbox({ keys: [upstreamKey], recordsMax: 10_000 })
finallyClose(() => sandbox.close())
const gate = await startGate(treeAt(sandbox.url))
const anns = callerOf(gate.port, ann)
const bobs = callerOf(gate.port, bob)
const secret = await file(anns, 'assistants', 'the plans')
const response = (await made(anns, '/responses', { model: 'gpt-4o-mini', input: 'x' })).id as string
/** Answers with what it was asked for; no request of another's may get here. */
const upstream = ScriptedUpstream.start(fine)
const scripted = await startGate(treeAt(upstream.url))
const annHere = callerOf(scripted.port, ann)
const bobHere = callerOf(scripted.port, bob)

describe('a body that names it in an odd way', () => {
  const escaped = [...'file_id'].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join('')
  const value = [...secret].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join('')
  test.each([
    ['twice, the other first', `{"file_ids":["${secret}"],"file_ids":[]}`],
    ['twice, the other last', `{"file_ids":[],"file_ids":["${secret}"]}`],
    ['with an escaped name', `{"${escaped}":"${secret}"}`],
    ['with an escaped value', `{"file_id":"${value}"}`],
    ['in capitals', `{"FILE_ID":"${secret}"}`],
    ['in camel case', `{"fileId":"${secret}"}`],
    ['with a zero width space', `{"file_i\u200bd":"${secret}"}`],
    ['with spaces around it', `{"file_id":" ${secret}\\n"}`],
    ['in a list with what is no text', `{"file_ids":[1,null,{"a":["${secret}"]},"${secret}"]}`],
    ['in a list in a list', `{"file_ids":[[["${secret}"]]]}`],
    ['behind a name nobody knows', `{"new_thing_id":"${secret}"}`],
    ['very deep', `${'{"a":['.repeat(500)}{"file_id":"${secret}"}${']}'.repeat(500)}`],
    ['after a string full of quotes', `{"a":"\\"},{\\\\\\"","b":":\\"","file_id":"${secret}"}`],
    ['beside metadata', `{"metadata":{"a":"b"},"metadata ":{"file_id":"${secret}"}}`],
    ['as the item of a reference', `{"input":[{"type":"item_reference","id":"${response}"}]}`],
    ['inside tools', `{"tools":[{"type":"file_search","vector_store_ids":["${secret}"]}]}`],
    ['among tool calls', `{"messages":[{"tool_call_id":"call_1","file_id":"${secret}"},{"id":"call_2"}]}`],
  ])('%s', async (_, body) => {
    for (const path of ['/vector_stores', '/responses', '/chat/completions', '/some/new/path'])
      await hidden(bobs, 'POST', path, body)
  })

  test.each([
    ['no JSON', `{"file_id":"${secret}"`],
    ['UTF-16', Buffer.from(`{"file_id":"${secret}"}`, 'utf16le').toString('latin1')],
    ['a form by its bytes', `file_id=${secret}`],
  ])('%s: refused', async (_, body) => {
    const lines = ['Content-Type: application/json']
    const answer = await ask(
      gate.port,
      request('POST', '/v1/vector_stores', { lines, body: Buffer.from(body, 'latin1'), key: bob }),
    )
    expect(answer.status).toBe(400)
  })

  test('metadata and plain text may hold what they like', async () => {
    const body = {
      ...chat,
      metadata: { file_id: secret },
      messages: [{ role: 'user', content: `see "file_id": "${secret}"` }],
    }
    expect((await bobs('POST', '/chat/completions', body)).status).toBe(200)
  })

  test('too many ids', async () => {
    const file_ids = Array.from({ length: 10_001 }, (_, index) => `file-${index}abcdefgh`)
    const { status, json } = await bobs('POST', '/vector_stores', { file_ids })
    expect({ status, code: json.error.code }).toEqual({ status: 400, code: 'bad_request' })
  })

  test('chunked where a JSON body may be streamed: refused', async () => {
    const body = `{"file_id":"${secret}"}`
    const bytes = `POST /v1/containers/x/files HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer ${bob}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    for (const path of ['/v1/images/edits', '/v1/some/new/path'])
      expect((await ask(gate.port, bytes.replace('/v1/containers/x/files', path))).status).toBe(415)
  })
})

describe('a path or query', () => {
  test.each([
    ['GET', '/Files/{}'],
    ['GET', '/FILES/{}/Content'],
    ['HEAD', '/files/{}'],
    ['PATCH', '/files/{}'],
    ['GET', '/new/{}/thing'],
    ['GET', '/files?after={}'],
    ['GET', '/new?file_id={}'],
    ['GET', '/new?FILE%5Fid=%66ile-'],
    ['GET', '/threads/{}/messages'],
  ])('%s %s', async (method, path) => {
    const full = path.replace('{}', secret).replace('%66ile-', `%66${secret.slice(1)}`)
    const answer = await bobs(method, full)
    expect(answer.status).toBe(404)
    if (method !== 'HEAD') expect(answer.json?.error).toEqual(gone)
  })

  test('a list under another case is cut all the same', async () => {
    upstream.script = (_, peer) =>
      peer.write(reply(200, `{"data":[{"id":"file-abcdef123456"}],"has_more":false}`))
    for (const path of ['/Files', '/FILES', '/files', '/unheard/of'])
      expect((await bobHere('GET', path)).json.data).toEqual([])
  })
})

describe('a form', () => {
  const boundary = 'xYzZy'
  const send = (body: string, path = '/v1/files') =>
    ask(
      gate.port,
      request('POST', path, {
        lines: [`Content-Type: multipart/form-data; boundary=${boundary}`],
        body,
        key: bob,
      }),
    )
  const part = (head: string, value: string) => `--${boundary}\r\n${head}\r\n\r\n${value}\r\n`
  const field = (name: string, value: string) => part(`Content-Disposition: form-data; name="${name}"`, value)
  const fileOf = (text: string) =>
    part(
      'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\nContent-Type: application/jsonl',
      text,
    )
  const end = `--${boundary}--\r\n`
  const line = (body: unknown) =>
    JSON.stringify({ custom_id: 'a', method: 'POST', url: '/v1/responses', body })
  const steals = line({ model: 'gpt-4o-mini', input: 'repeat', previous_response_id: response })

  test.each([
    ['names it in a field', field('file_id', secret)],
    ['in a list', field('file_ids[]', secret)],
    ['in a nested field', field('input[file_id]', secret)],
    [
      'in a field that calls itself a file',
      part(`Content-Disposition: form-data; name="file_id"; filename="x"`, secret),
    ],
    [
      'in a field with an extended name',
      part("Content-Disposition: form-data; name*=UTF-8''file%5Fid", secret),
    ],
    ['in JSON', field('request', JSON.stringify({ a: [{ file_id: secret }] }))],
    ['in the line of a batch', field('purpose', 'batch') + fileOf(`${line({})}\n${steals}\n`)],
    ['in the line of a batch whose purpose follows', fileOf(steals) + field('purpose', 'batch')],
    [
      'in an escaped line of a batch',
      fileOf(steals.replace('previous_', 'pr\\u0065vious_')) + field('purpose', 'batch'),
    ],
    [
      'behind lines without names',
      fileOf(`${line({ input: 'x' })}\n`.repeat(20_000) + steals) + field('purpose', ' Batch '),
    ],
  ])('%s', async (_, parts) => {
    const before = sandbox.requests.length
    const answer = await send(parts + end)
    expect({ status: answer.status, error: JSON.parse(answer.body.toString()).error }).toEqual({
      status: 404,
      error: gone,
    })
    // What began to go out never came to its end.
    expect(sandbox.requests.slice(before).filter(({ method }) => method === 'POST')).toEqual([])
  })

  test.each([
    ['whose head holds a delimiter', `--${boundary}; filename="x"\r\n${field('file_id', secret)}`],
    [
      'with coded content',
      part(
        'Content-Disposition: form-data; name="file_id"\r\nContent-Transfer-Encoding: base64',
        btoa(secret),
      ),
    ],
    [
      'with a broken line in a batch',
      fileOf(`{"previous_response_id":"${response}"\r${steals}`) + field('purpose', 'batch'),
    ],
    ['with a compressed batch', fileOf('\x1f\x8b\x08') + field('purpose', 'batch')],
  ])('%s: refused', async (_, parts) => {
    expect((await send(parts + end)).status).toBe(400)
  })

  test('of any other purpose may hold any text, cut anywhere', async () => {
    const bytes = Buffer.from(field('purpose', 'assistants') + fileOf(`${steals}\n`) + end)
    const peer = await dial(gate.port)
    const head = `POST /v1/files HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer ${bob}\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: ${bytes.length}\r\n\r\n`
    await peer.write(head)
    for (let at = 0; at < bytes.length; at += 7) await peer.write(bytes.subarray(at, at + 7))
    expect(await peer.untilText('"assistants"')).toContain('200 OK')
    peer.close()
  })

  test('one’s own ids pass, in the lines of a batch too', async () => {
    const own = (await made(bobs, '/responses', { model: 'gpt-4o-mini', input: 'x' })).id as string
    const text = line({ model: 'gpt-4o-mini', input: 'x', previous_response_id: own })
    expect((await send(fileOf(text) + field('purpose', 'batch') + end)).status).toBe(200)
  })

  test('input of batches in parts, and evals of stored answers, are refused', async () => {
    const upload = { bytes: 3, filename: 'a', purpose: 'batch', mime_type: 'text/plain' }
    expect((await bobs('POST', '/uploads', upload)).status).toBe(403)
    const source = { data_source: { type: 'completions', source: { type: 'stored_completions' } } }
    expect((await bobs('POST', '/evals', source)).status).toBe(403)
  })
})

test('a socket that can name responses is refused, unless it is allowed or all are of one owner', async () => {
  const upgrade = request('GET', '/v1/responses', {
    lines: [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
    ],
    key: bob,
  })
  expect((await ask(gate.port, upgrade)).status).toBe(403)
  const open = await startGate(treeAt(sandbox.url, { objects: { sockets: 'allow' } }))
  expect((await ask(open.port, upgrade)).status).toBe(101)
  const alone = await startGate(treeAt(sandbox.url, { keys: [access.keys[2]] }))
  expect((await ask(alone.port, upgrade)).status).toBe(101)
})

describe('what nobody has recorded', () => {
  const old = 'file-made0before0the0gateway'
  test('is not found where there can be several owners', async () => {
    await hidden(annHere, 'GET', `/files/${old}`)
    await hidden(annHere, 'POST', '/responses', { model: 'x', input: [{ file_id: old }] })
  })

  test('is let through, listed and used where all keys are of one team, and where it is allowed', async () => {
    upstream.script = (_, peer) => peer.write(reply(200, `{"data":[{"id":"${old}"}]}`))
    for (const more of [{ keys: access.keys.slice(0, 2) }, { objects: { unknown: 'allow' } }]) {
      const one = callerOf((await startGate(treeAt(upstream.url, more))).port, ann)
      expect((await one('GET', '/files')).json.data).toEqual([{ id: old }])
      expect((await one('GET', `/files/${old}`)).status).toBe(200)
      expect((await one('POST', '/vector_stores', { file_ids: [old] })).status).toBe(200)
    }
  })

  test('does not become anybody’s by being looked at', async () => {
    upstream.script = (_, peer) =>
      peer.write(reply(200, `{"id":"${old}","output_file_id":"file-inside0of0it"}`))
    const open = await startGate(treeAt(upstream.url, { objects: { unknown: 'allow' } }))
    const [one, other] = [callerOf(open.port, ann), callerOf(open.port, bob)]
    expect((await one('GET', `/batches/${old}`)).status).toBe(200)
    for (const id of [old, 'file-inside0of0it']) expect((await other('GET', `/files/${id}`)).status).toBe(200)
  })

  test('cannot be had by having it echoed', async () => {
    const victim = 'file-made0by0a0victim'
    const echo = {
      id: 'asst_fresh0fresh0',
      metadata: { file_id: victim },
      tools: [{ type: 'function', function: { parameters: { file_id: victim } } }],
      tool_resources: {},
    }
    upstream.script = (_, peer) => peer.write(reply(200, JSON.stringify(echo)))
    expect((await bobHere('POST', '/assistants', { model: 'x', metadata: { file_id: victim } })).status).toBe(
      200,
    )
    await hidden(bobHere, 'GET', `/files/${victim}`)
    await hidden(bobHere, 'POST', '/assistants', { model: 'x', tool_resources: { file_ids: [victim] } })
  })
})

describe('lists', () => {
  test('page on through what others own', async () => {
    const mine: string[] = []
    for (let round = 0; round < 9; round++) {
      const of = round % 3 === 0 ? anns : bobs
      const id = (await made(of, '/vector_stores', { name: `s${round}` })).id as string
      if (of === anns) mine.unshift(id)
      for (let more = 0; more < 4; more++) await made(bobs, '/vector_stores', {})
    }
    const client = new OpenAI({ apiKey: ann, baseURL: `http://127.0.0.1:${gate.port}/v1`, maxRetries: 0 })
    for (const limit of [1, 2, 3, 100]) {
      const seen: string[] = []
      for await (const store of client.vectorStores.list({ limit })) seen.push(store.id)
      expect(seen).toEqual(mine)
    }
  })

  test('keep their bytes but for what is cut', async () => {
    upstream.script = (_, peer) => peer.write(reply(200, '{"id":"file-ann000000001"}'))
    await annHere('POST', '/vector_stores', {})
    const page = (items: string[], first: string, last: string) =>
      `{ "object": "list",\n "data": [\n  ${items.join(',\n  ')}\n ],  "first_id": ${first}, "x": 1.0e2, "last_id":${last} , "has_more": false}`
    const [mine, other] = [
      '{ "id":"file-ann000000001", "é": "\\u00e9 ]}" }',
      '{"id":"file-bob000000001","a":[{"b":"]"}]}',
    ]
    upstream.script = (_, peer) =>
      peer.write(reply(200, page([other, mine, other], '"file-bob000000001"', '"file-bob000000001"')))
    expect((await annHere('GET', '/files')).text).toBe(
      page([mine], '"file-ann000000001"', '"file-ann000000001"'),
    )
    expect((await bobHere('GET', '/files')).json).toMatchObject({
      data: [],
      first_id: null,
      last_id: null,
      x: 100,
    })
  })

  test.each([
    ['compressed', ['Content-Encoding: gzip'], '{"data":[]}'],
    ['no JSON', ['Content-Type: text/plain'], '{"data":[]}'],
    ['broken', [], '{"data":[{"id":"file-bob000000001"}'],
    ['without data', [], '[{"id":"file-bob000000001"}]'],
    ['with two data', [], '{"data":[],"data":[{"id":"file-bob000000001"}]}'],
    ['not UTF-8', [], Buffer.from('{"data":[],"a":"\xff"}', 'latin1')],
    ['too big', [], `{"data":[],"a":"${'x'.repeat(9 * 1024 * 1024)}"}`],
  ])('that are %s do not pass', async (_, lines, body) => {
    upstream.script = (_request, peer) => peer.write(reply(200, body, lines))
    const { status, text } = await bobHere('GET', '/files')
    expect(status).toBe(502)
    expect(text).not.toContain('file-bob')
  })

  test('do not tell their length to HEAD', async () => {
    upstream.script = (_, peer) =>
      peer.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4711\r\n\r\n')
    const answer = await ask(scripted.port, request('HEAD', '/v1/files', { key: bob }), 'HEAD')
    expect(answer.status).toBe(200)
    expect(JSON.stringify(answer)).not.toContain('4711')
  })
})

test('a fine-tuned model is its job’s owner’s', async () => {
  const model = 'ft:gpt-4o-mini:org::a1b2c3'
  upstream.script = (_, peer) =>
    peer.write(
      reply(200, `{"id":"ftjob-fine00tuned","object":"fine_tuning.job","fine_tuned_model":"${model}"}`),
    )
  await annHere('POST', '/fine_tuning/jobs', { model: 'gpt-4o-mini' })
  const models = JSON.stringify({
    object: 'list',
    data: [{ id: 'gpt-4o' }, { id: model }, { id: 'ft:for-all' }],
  })
  upstream.script = (seen, peer) =>
    peer.write(reply(200, seen.target === '/v1/models' ? models : '{"ok":true}'))
  await hidden(bobHere, 'DELETE', `/models/${model}`)
  await hidden(bobHere, 'DELETE', '/models/ft:for-all')
  await hidden(bobHere, 'POST', '/chat/completions', { ...chat, model })
  await hidden(bobHere, 'POST', '/chat/completions', `{"model":"f\\u0074${model.slice(2)}"}`)
  await hidden(bobHere, 'POST', '/responses', { models: ['gpt-4o', model] })
  expect(idsOf(await bobHere('GET', '/models'))).toEqual(['gpt-4o', 'ft:for-all'])
  expect(idsOf(await annHere('GET', '/models'))).toEqual(['gpt-4o', model, 'ft:for-all'])
  for (const [call, asked] of [
    [annHere, model],
    [bobHere, 'ft:for-all'],
    [bobHere, 'gpt-4o'],
  ] as const)
    expect((await call('POST', '/chat/completions', { ...chat, model: asked })).status).toBe(200)
})

test('a body where none is expected is not passed unread', async () => {
  const body = JSON.stringify({ file_id: secret })
  const lines = ['Content-Type: application/json']
  const cancel = (text: string) =>
    ask(gate.port, request('POST', `/v1/responses/${response}/cancel`, { lines, body: text, key: ann }))
  expect((await cancel(body)).status).toBe(415)
  expect((await cancel('{}')).status).toBe(400)
})

test('two issuers’ users of one name are two owners', () => {
  const base = { kind: 'jwt', key: null, keyId: null, team: null, user: '1', app: null } as const
  const [one, other] = ['https://a.test', 'https://b.test'].map((issuer) =>
    ownerOf({ ...base, issuer }, 'team'),
  )
  expect(one).not.toBe(other)
})

describe('a deletion', () => {
  test.each([
    [404, '{"error":{}}'],
    [200, '{"deleted":false}'],
    [200, 'no JSON'],
    [500, '{"deleted":true}'],
  ])('that the upstream answers with %d %s forgets nothing', async (status, body) => {
    upstream.script = (_, peer) => peer.write(reply(200, '{"id":"file-kept00000001"}'))
    await annHere('POST', '/vector_stores', {})
    upstream.script = (_, peer) => peer.write(reply(status, body))
    await annHere('DELETE', '/files/file-kept00000001')
    upstream.script = fine
    expect((await annHere('GET', '/files/file-kept00000001')).status).toBe(200)
    await hidden(bobHere, 'GET', '/files/file-kept00000001')
  })
})

/** A table that takes its time. */
class Slow extends MemoryObjects {
  release: (() => void)[] = []
  failing = false
  override async record(...args: Parameters<Objects['record']>): Promise<void> {
    if (this.failing) throw new Error('away')
    await new Promise<void>((resolve) => this.release.push(resolve))
    await super.record(...args)
  }
  override find(...args: Parameters<Objects['find']>) {
    if (this.failing) throw new Error('away')
    return super.find(...args)
  }
}

describe('an answer that names something new', () => {
  const created = (id: string) =>
    `event: response.created\ndata: {"type":"response.created","response":{"id":"${id}","object":"response"}}\n\n`
  const delta =
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"msg_none00000000","delta":"hi"}\n\n'
  const added =
    'event: response.output_item.added\ndata: {"type":"response.output_item.added","item":{"type":"message","id":"msg_item00000001"}}\n\n'

  const completed = 'event: response.completed\ndata: {"type":"response.completed"}\n\n'

  test('does not reach its maker before it is kept: whole, and at its frame in a stream', async () => {
    const objects = new Slow()
    const slow = await startGate(treeAt(upstream.url), { objects })
    upstream.script = (_, peer) => peer.write(reply(200, '{"id":"thread_new0000001"}'))
    const peer = await dial(slow.port)
    await peer.write(request('POST', '/v1/threads', { key: ann, body: '{}' }))
    await eventually(() => objects.release.length === 1)
    expect(peer.received.length).toBe(0)
    objects.release.pop()!()
    await peer.untilText('thread_new0000001')
    peer.close()

    let goOn = () => {}
    const goneOn = new Promise<void>((resolve) => (goOn = resolve))
    upstream.script = async (_, to) => {
      await to.write(eventsHead)
      await to.write(chunk(created('resp_new000000001') + delta))
      await goneOn
      await to.write(chunk(added.slice(0, 40)))
      await to.write(chunk(added.slice(40) + delta))
      await to.write(chunk(completed))
      await to.write(lastChunk)
    }
    const stream = await dial(slow.port)
    const seen = () => {
      const head = readHead(stream.received)
      return head === null ? '' : chunkedSoFar(stream.received.subarray(head.length)).toString()
    }
    await stream.write(request('POST', '/v1/responses', { key: ann, body: '{"model":"x","stream":true}' }))
    await eventually(() => objects.release.length === 1)
    expect(seen()).toBe('')
    objects.release.pop()!()
    await eventually(() => seen() === created('resp_new000000001') + delta)
    goOn()
    await eventually(() => objects.release.length === 1)
    expect(seen()).toBe(created('resp_new000000001') + delta)
    objects.release.pop()!()
    await eventually(() => seen() === created('resp_new000000001') + delta + added + delta + completed)
    stream.close()
    const [one, other] = [callerOf(slow.port, amy), callerOf(slow.port, bob)]
    upstream.script = fine
    expect((await one('GET', '/responses/resp_new000000001')).status).toBe(200)
    await hidden(other, 'GET', '/responses/resp_new000000001')
    await hidden(other, 'POST', '/responses', {
      model: 'x',
      input: [{ type: 'item_reference', id: 'msg_item00000001' }],
    })
  })

  test('of a run in a thread, step by step', async () => {
    const thread = (await made(anns, '/threads', {})).id as string
    const assistant = (await made(anns, '/assistants', { model: 'gpt-4o-mini' })).id as string
    const run = await anns('POST', `/threads/${thread}/runs`, { assistant_id: assistant, stream: true })
    const id = /"id":"(run_\w+)"/.exec(run.text)![1]!
    const message = /"id":"(msg_\w+)"/.exec(run.text)![1]!
    const own = (await made(bobs, '/threads', {})).id as string
    await hidden(bobs, 'GET', `/threads/${own}/runs/${id}`)
    await hidden(bobs, 'GET', `/threads/${own}/messages/${message}`)
    const both = await anns('POST', '/threads/runs', { assistant_id: assistant, thread: {}, stream: true })
    const made2 = /"thread_id":"(thread_\w+)"/.exec(both.text)![1]!
    expect((await anns('GET', `/threads/${made2}`)).status).toBe(200)
    await hidden(bobs, 'GET', `/threads/${made2}`)
  })

  test('of a batch names its output, which is the owner’s', async () => {
    const line = JSON.stringify({ custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: chat })
    const input = await file(anns, 'batch', line)
    const batch = (
      await made(anns, '/batches', {
        input_file_id: input,
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
      })
    ).id
    const output = (await anns('GET', `/batches/${batch}`)).json.output_file_id as string
    expect((await anns('GET', `/files/${output}/content`)).status).toBe(200)
    await hidden(bobs, 'GET', `/files/${output}/content`)
    await hidden(bobs, 'DELETE', `/files/${output}`)
  })

  test('is an error where it cannot be kept, and nothing is "allowed" while the table is away', async () => {
    const objects = new Slow()
    const away = await startGate(treeAt(upstream.url), { objects })
    const one = callerOf(away.port, ann)
    objects.failing = true
    upstream.script = (_, peer) => peer.write(reply(200, '{"id":"thread_new0000002"}'))
    expect(await one('POST', '/threads', {})).toMatchObject({
      status: 503,
      json: { error: { code: 'overloaded' } },
    })
    expect((await one('GET', '/threads/thread_new0000002')).status).toBe(503)
    expect((await one('POST', '/responses', { previous_response_id: 'resp_000000000' })).status).toBe(503)
    upstream.script = (_, peer) => peer.write(reply(200, '{"data":[{"id":"file-0123456789"}]}'))
    expect((await one('GET', '/files')).status).toBe(503)
    upstream.script = async (_, to) => {
      await to.write(eventsHead)
      await to.write(chunk(created('resp_new000000002')))
    }
    const streamed = await one('POST', '/responses', { model: 'x', stream: true })
    expect(streamed.text).not.toContain('resp_new000000002')
    expect(streamed.text).toContain('event: error')
    // What names nothing is served.
    upstream.script = fine
    expect((await one('POST', '/chat/completions', chat)).status).toBe(200)
  })
})

test('owners outlive the process, and the command line’s gateway keeps them', async () => {
  const folder = scratchFolder()
  const tree = treeAt(sandbox.url)
  const first = await served({ tree, folder })
  const id = await file(callerOf(first.port, ann))
  first.signal('SIGKILL')
  await first.exited
  const second = await served({ tree, folder })
  expect((await callerOf(second.port, amy)('GET', `/files/${id}`)).status).toBe(200)
  await hidden(callerOf(second.port, bob), 'GET', `/files/${id}`)
  second.signal('SIGTERM')
  await second.exited
  expect(join(folder, 'data')).toBeTruthy()
})

test.skipIf(postgresPrograms() === null)(
  'gateways on one store know each other’s objects at once (needs postgres)',
  async () => {
    const cluster = await startCluster()
    finallyClose(() => cluster.remove())
    const url = new Secret(await cluster.database('shared'))
    const [one, two] = await Promise.all([
      startGate(treeAt(sandbox.url), { objects: await storedIn(url) }),
      startGate(treeAt(sandbox.url), { objects: await storedIn(url) }),
    ])
    for (let round = 0; round < 20; round++) {
      const id = (await made(callerOf(one.port, ann), '/threads', {})).id as string
      const [own, other] = await Promise.all([
        callerOf(two.port, amy)('GET', `/threads/${id}`),
        callerOf(two.port, bob)('GET', `/threads/${id}`),
      ])
      expect([own.status, other.status]).toEqual([200, 404])
    }
    const thread = (await made(callerOf(one.port, ann), '/threads', {})).id as string
    await cluster.stop()
    expect((await callerOf(two.port, amy)('GET', `/threads/${thread}`)).status).toBe(503)
    expect((await callerOf(two.port, bob)('POST', '/chat/completions', chat)).status).toBe(200)
    await cluster.start()
    await eventually(async () => (await callerOf(two.port, amy)('GET', `/threads/${thread}`)).status === 200)
  },
)
