// Rule 12: meters of what is no plain answer: sockets, batches, objects that cost later, calls of tools, images, speech and
// recordings, videos.

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { systemClock } from '../../base/clock.ts'
import { Attempt, Exchange, type Reply, type Tap } from '../../exchange.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import type { Body, BodySink, Tunnel } from '../../net/wire/message.ts'
import { findEndpoint } from '../../openai/endpoints.ts'
import { TextMessages } from './frames.ts'
import type { MeteredItem } from './item.ts'
import { tapsOf } from './taps.ts'

interface Call {
  readonly x: Exchange
  readonly items: MeteredItem[]
  readonly taps: readonly Tap[]
  readonly reply: Reply
}

function call(
  method: string,
  path: string,
  answer: { type?: string; body?: string; pieces?: boolean; sent?: unknown; tunnel?: Tunnel; query?: string },
): Call {
  const request = {
    method,
    path,
    query: answer.query ?? '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '',
    upgrade: answer.tunnel === undefined ? null : 'websocket',
  }
  const x = new Exchange('hgr_1', request, systemClock)
  x.endpoint = findEndpoint(method, path)
  if (answer.sent !== undefined) x.bodyBytes = Buffer.from(JSON.stringify(answer.sent))
  x.tried.push(new Attempt('hgr_1-1', { name: 'main', account: 'main', providerName: 'openai' }, systemClock))
  const whole = answer.pieces === true ? null : Buffer.from(answer.body ?? '')
  const unused = (): void => {}
  const body: Body = { length: -1, whole, start: unused, pause: unused, resume: unused, abort: unused }
  const reply: Reply = {
    status: answer.tunnel === undefined ? 200 : 101,
    headerLines: '',
    dated: false,
    contentType: answer.type ?? 'application/json',
    body: answer.tunnel === undefined ? body : null,
    tunnel: answer.tunnel ?? null,
  }
  const items: MeteredItem[] = []
  return { x, items, reply, taps: tapsOf(x, reply, (_, item) => void items.push(item)) }
}

function play(taps: readonly Tap[], text: string, size = text.length): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    for (const tap of taps) expect(tap.chunk(piece)).toBe(piece)
  }
  for (const tap of taps) expect(tap.end()).toBeNull()
}

const usage = { input_tokens: 10, output_tokens: 5, total_tokens: 15 }
const event = (value: unknown): string => `event: x\ndata: ${JSON.stringify(value)}\n\n`

describe('responses in the background', () => {
  const response = (more: object): object => ({
    id: 'resp_1',
    object: 'response',
    background: true,
    model: 'gpt-5-2025',
    service_tier: 'flex',
    tools: [{ parameters: { usage } }],
    ...more,
  })
  const queued = JSON.stringify(response({ status: 'queued', usage: null }))
  const finished = JSON.stringify(response({ status: 'completed', usage }))

  test('queued: the call itself has cost nothing, and nothing is estimated', () => {
    const { x, items } = call('POST', '/v1/responses', { body: queued, sent: { background: true } })
    expect([x.usage, x.tried[0]!.itemised, items]).toEqual([null, true, []])
  })

  test.each([
    ['GET', '/v1/responses/resp_1'],
    ['POST', '/v1/responses/resp_1/cancel'],
  ])('%s %s: read when done it is an item, with an id that is the same each time', (method, path) => {
    for (const pieces of [false, true]) {
      const { x, items, taps } = call(method, path, { body: finished, pieces })
      if (pieces) play(taps, finished, 7)
      expect(items).toMatchObject([
        {
          rowId: 'response-resp_1',
          batch: false,
          facts: { usage: { input: 10, output: 5 }, model: 'gpt-5-2025', serviceTier: 'flex', final: true },
        },
      ])
      expect(x.usage).toBeNull()
    }
  })

  test('streamed: the same item, from the call or from a later one', () => {
    for (const [method, path] of [
      ['POST', '/v1/responses'],
      ['GET', '/v1/responses/resp_1'],
    ] as const) {
      const { x, items, taps } = call(method, path, {
        type: 'text/event-stream',
        pieces: true,
        sent: { background: true },
      })
      play(
        taps,
        event({ type: 'response.created', response: response({ usage: null }) }) +
          event({ type: 'response.completed', response: response({ usage }) }),
      )
      expect(items.map((item) => item.rowId)).toEqual(['response-resp_1'])
      expect([x.usage, x.tried[0]!.itemised]).toEqual([null, true])
    }
  })

  test('one that was not in the background was counted when it was made', () => {
    const plain = JSON.stringify({ ...response({ usage }), background: false })
    const read = call('GET', '/v1/responses/resp_1', { body: plain })
    expect([read.items, read.x.usage]).toEqual([[], null])
    const made = call('POST', '/v1/responses', { body: plain, sent: { background: false } })
    expect([made.items, made.x.usage?.input, made.x.serviceTier]).toEqual([[], 10, 'flex'])
    const streamed = call('POST', '/v1/responses', {
      type: 'text/event-stream',
      pieces: true,
      sent: { background: false },
    })
    play(
      streamed.taps,
      event({ type: 'response.completed', response: { ...response({ usage }), background: false } }),
    )
    expect([streamed.items, streamed.x.usage?.input]).toEqual([[], 10])
  })

  test('an id that is none gives no row that could be confused with another', () => {
    const odd = JSON.stringify(response({ id: '../x y', usage }))
    expect(call('GET', '/v1/responses/resp_1', { body: odd }).items).toEqual([])
  })
})

describe('runs and training jobs', () => {
  const runUsage = { prompt_tokens: 4, completion_tokens: 6, total_tokens: 10 }

  test('a run: when it is done', () => {
    const run = { id: 'run_1', object: 'thread.run', model: 'gpt-4o', status: 'queued', usage: null }
    const made = call('POST', '/v1/threads/thread_1/runs', { body: JSON.stringify(run), sent: {} })
    expect([made.items, made.x.tried[0]!.itemised]).toEqual([[], true])
    const done = JSON.stringify({ ...run, status: 'completed', usage: runUsage })
    expect(call('GET', '/v1/threads/thread_1/runs/run_1', { body: done }).items).toMatchObject([
      { rowId: 'run-run_1', facts: { model: 'gpt-4o', usage: { input: 4, output: 6 } } },
    ])
  })

  test('a streamed run: the run and not its steps', () => {
    const { items, taps } = call('POST', '/v1/threads/runs', {
      type: 'text/event-stream',
      pieces: true,
      sent: {},
    })
    play(
      taps,
      event({ id: 'step_1', object: 'thread.run.step', usage: runUsage }) +
        event({ id: 'run_1', object: 'thread.run', usage: runUsage, status: 'completed' }),
    )
    expect(items.map((item) => item.rowId)).toEqual(['run-run_1'])
  })

  test('a job: its trained tokens', () => {
    const job = {
      id: 'ftjob-1',
      object: 'fine_tuning.job',
      model: 'gpt-4o-mini',
      status: 'running',
      trained_tokens: null,
    }
    const path = '/v1/fine_tuning/jobs/ftjob-1'
    expect(call('GET', path, { body: JSON.stringify(job) }).items).toEqual([])
    const done = { ...job, status: 'succeeded', trained_tokens: 5768 }
    expect(call('GET', path, { body: JSON.stringify(done) }).items).toMatchObject([
      { rowId: 'job-ftjob-1', facts: { units: { trainedTokens: 5768 }, model: 'gpt-4o-mini' } },
    ])
    for (const wrong of [-1, 1.5, '7', 1e30])
      expect(call('GET', path, { body: JSON.stringify({ ...done, trained_tokens: wrong }) }).items).toEqual(
        [],
      )
  })
})

describe('calls of tools', () => {
  const search = (id: number, more: object = {}): object => ({
    id: `ws_${id}`,
    type: 'web_search_call',
    status: 'completed',
    action: { type: 'search', query: 'gates' },
    ...more,
  })
  const files = { id: 'fs_1', type: 'file_search_call', status: 'completed', queries: ['x'], results: null }
  const message = (text: string): object => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    content: [{ type: 'output_text', text, annotations: [] }],
  })
  const words = 'He said "type":"web_search_call" and {"type": "file_search_call"} and web_search_call'
  const response = (output: unknown, more: object = {}): object => ({
    id: 'resp_1',
    object: 'response',
    background: false,
    status: 'completed',
    model: 'gpt-5',
    output,
    tools: [{ type: 'web_search' }],
    usage,
    ...more,
  })
  const opened = search(9, { action: { type: 'open_page', url: 'https://example.com' } })
  const counted: [string, object, object | null][] = [
    ['a search', response([search(1), message(words)]), { webSearches: 1 }],
    ['searches of both kinds', response([search(1), files, search(2)]), { webSearches: 2, fileSearches: 1 }],
    ['pages that were opened are free', response([search(1), opened]), { webSearches: 1 }],
    ['one that failed is free', response([search(1, { status: 'failed' }), message('x')]), null],
    ['one that does not say what it did', response([search(1, { action: undefined })]), { webSearches: 1 }],
    ['the same call told twice', response([search(1), search(1)]), { webSearches: 1 }],
    [
      'the older tool',
      response([search(1), files], { tools: [{ type: 'web_search_preview_2025_03_11' }] }),
      { 'webSearches/preview': 1, fileSearches: 1 },
    ],
    ['thousands', response(Array.from({ length: 5000 }, (_, id) => search(id))), { webSearches: 5000 }],
    ['words in a text', response([message(words)]), null],
    ['a function of that name', response([{ type: 'function_call', name: 'web_search_call' }]), null],
    [
      'what the client wrote',
      response([message('x')], {
        metadata: { type: 'web_search_call' },
        tools: [{ type: 'function', parameters: { const: [search(1)], output: [search(1)] } }],
        text: { format: { schema: { output: [{ type: 'web_search_call' }] } } },
      }),
      null,
    ],
    ['an output that is none', response({ 0: search(1) }), null],
    ['items that are none', response([null, 7, 'web_search_call', [search(1)], {}]), null],
    ['an action that is none', response([search(1, { action: 'search' })]), { webSearches: 1 }],
  ]

  test.each(counted)(
    '%s: JSON, in pieces, a stream, a socket, a batch, in the background',
    (_, body, units) => {
      const sent = { model: 'gpt-5', input: 'x' }
      for (const text of [
        JSON.stringify(body),
        JSON.stringify(body, null, 2).replaceAll(/(?<!\\)":/g, '" :\n'),
      ]) {
        const whole = call('POST', '/v1/responses', { body: text, sent })
        expect([whole.x.units, whole.x.usage?.input]).toEqual([units as never, 10])
        const pieces = call('POST', '/v1/responses', { pieces: true, sent })
        play(pieces.taps, text, 4096)
        expect([pieces.x.units, pieces.x.tried[0]!.units, pieces.x.usage?.input]).toEqual([
          units as never,
          units as never,
          10,
        ])
      }
      const stream = call('POST', '/v1/responses', { type: 'text/event-stream', pieces: true, sent })
      const completed = event({ type: 'response.completed', response: body })
      play(
        stream.taps,
        event({ type: 'response.created', response: { usage: null } }) + completed + completed,
      )
      expect(stream.x.units).toEqual(units as never)

      const line = JSON.stringify({ id: 'batch_req_1', response: { status_code: 200, body } })
      const batch = call('GET', '/v1/files/file-9/content', { type: 'application/jsonl', pieces: true })
      play(batch.taps, line)
      expect(batch.items).toMatchObject([{ batch: true, facts: { units, usage: { input: 10 } } }])

      const later = { body: JSON.stringify({ ...body, background: true }) }
      const first = call('GET', '/v1/responses/resp_1', later)
      expect(first.items).toMatchObject([
        { rowId: 'response-resp_1', facts: { units, usage: { input: 10 } } },
      ])
      expect(call('GET', '/v1/responses/resp_1', { body: JSON.stringify(body) }).items).toEqual([])
    },
  )

  test('a long answer in pieces, its calls far from both ends', () => {
    const long = response([message('a'.repeat(300_000)), search(1), files, message(words.repeat(5000))])
    const { x, taps } = call('POST', '/v1/responses', { pieces: true, sent: { input: 'x' } })
    play(taps, JSON.stringify(long), 16_384)
    expect([x.units, x.usage?.output]).toEqual([{ webSearches: 1, fileSearches: 1 }, 5])
  })

  test('a response in the background that is too long to be kept has its tokens all the same', () => {
    const long = JSON.stringify({
      ...response([message('a'.repeat(6_000_000))], { background: true, service_tier: 'flex' }),
    })
      .replace('"background":false,', '')
      .replace('{', '{"background":true,')
    const { items, taps } = call('GET', '/v1/responses/resp_1', { pieces: true })
    play(taps, long, 65_536)
    expect(items).toMatchObject([
      { rowId: 'response-resp_1', facts: { usage: { input: 10 }, model: 'gpt-5', serviceTier: 'flex' } },
    ])
  })

  test('a stream that breaks off has the searches seen so far; its last event replaces them', () => {
    const begin =
      event({ type: 'response.output_item.added', item: search(1, { status: 'in_progress' }) }) +
      event({ type: 'response.web_search_call.completed', item_id: 'ws_1' })
    const done = event({ type: 'response.output_item.done', item: search(1) })
    const other = event({ type: 'response.output_item.done', item: files })
    const sent = { model: 'gpt-5', input: 'x' }
    const stream = () => call('POST', '/v1/responses', { type: 'text/event-stream', pieces: true, sent })
    const said = event({ type: 'response.output_text.delta', delta: words })
    const cut = stream()
    for (const frames of [begin, done, said, other, said])
      for (const tap of cut.taps) tap.chunk(Buffer.from(frames))
    expect([cut.x.tried[0]!.units, cut.x.usage]).toEqual([{ webSearches: 1, fileSearches: 1 }, null])
    const whole = stream()
    const last = event({ type: 'response.completed', response: response([search(1, { status: 'failed' })]) })
    for (const frames of [begin, done, last]) for (const tap of whole.taps) tap.chunk(Buffer.from(frames))
    expect([whole.x.units, whole.x.usage?.input]).toEqual([null, 10])
  })

  test('chat completions have none', () => {
    const body = JSON.stringify({ choices: [], output: [search(1)], usage })
    expect(call('POST', '/v1/chat/completions', { body, sent: {} }).x.units).toBeNull()
  })
})

describe('videos and containers', () => {
  const video = (more: object = {}): object => ({
    id: 'video_1',
    object: 'video',
    model: 'sora-2-pro',
    status: 'completed',
    seconds: '8',
    size: '1792x1024',
    prompt: 'A "status":"failed" gate',
    ...more,
  })
  const read = (more: object) => call('GET', '/v1/videos/video_1', { body: JSON.stringify(video(more)) })

  test.each([
    ['POST', '/v1/videos'],
    ['POST', '/v1/videos/video_0/remix'],
    ['POST', '/v1/videos/edits'],
    ['POST', '/v1/videos/extensions'],
    ['GET', '/v1/videos/video_1'],
  ])('%s %s: when it is done it is an item, with an id that is the same each time', (method, path) => {
    for (const pieces of [false, true]) {
      const text = JSON.stringify(video())
      const { items, taps, x } = call(method, path, { body: text, pieces, sent: {} })
      if (pieces) play(taps, text, 7)
      expect(items).toMatchObject([
        {
          rowId: 'video-video_1',
          batch: false,
          facts: { usage: null, units: { 'videoSeconds/1792x1024': 8 }, model: 'sora-2-pro' },
        },
      ])
      expect([x.usage, x.units, x.tried[0]!.itemised]).toEqual([null, null, true])
    }
  })

  test('one that waits, or failed, costs nothing', () => {
    for (const status of ['queued', 'in_progress', 'failed', null])
      expect([read({ status }).items, read({ status }).x.tried[0]!.itemised]).toEqual([[], true])
  })

  test.each([
    [8, '720x1280', { 'videoSeconds/720x1280': 8 }],
    ['4.5', '720x1280', { 'videoSeconds/720x1280': 4.5 }],
    [12, null, { videoSeconds: 12 }],
    [12, '720x1280; drop', { videoSeconds: 12 }],
    [-8, '720x1280', null],
    ['-8', '720x1280', null],
    ['8s', '720x1280', null],
    ['', '720x1280', null],
    [1e12, '720x1280', null],
    ['9'.repeat(400), '720x1280', null],
    [[8], '720x1280', null],
    [null, '720x1280', null],
  ])('seconds %j of %j', (seconds, size, units) => {
    expect(read({ seconds, size }).items).toMatchObject([{ rowId: 'video-video_1', facts: { units } }])
  })

  test('one that is too long to be kept', () => {
    const text = JSON.stringify(video({ prompt: 'gate '.repeat(80_000) }))
    const { items, taps } = call('GET', '/v1/videos/video_1', { pieces: true })
    play(taps, text, 16_384)
    expect(items).toMatchObject([
      { rowId: 'video-video_1', facts: { units: { 'videoSeconds/1792x1024': 8 } } },
    ])
  })

  test('lists, deletions and files of videos cost nothing', () => {
    expect(call('GET', '/v1/videos', { body: JSON.stringify({ data: [video()] }) }).items).toEqual([])
    expect(call('DELETE', '/v1/videos/video_1', { body: JSON.stringify(video()) }).items).toEqual([])
    expect(call('GET', '/v1/videos/video_1', { body: '{"error":1}' }).items).toEqual([])
  })

  test('a container, by its memory', () => {
    const units = (more: object, method = 'POST') =>
      call(method, method === 'POST' ? '/v1/containers' : '/v1/containers/cntr_1', {
        body: JSON.stringify({ id: 'cntr_1', object: 'container', name: '"memory_limit":"64g"', ...more }),
        sent: { name: 'x' },
      }).x.units
    expect(units({})).toEqual({ containers: 1 })
    expect(units({ memory_limit: '4g' })).toEqual({ 'containers/4g': 1 })
    for (const odd of ['4g/x', -1, null, {}]) expect(units({ memory_limit: odd })).toEqual({ containers: 1 })
    expect(units({ object: 'list' })).toBeNull()
    expect(units({}, 'GET')).toBeNull()
  })
})

describe('the output of a batch', () => {
  const line = (id: number, body: unknown): string =>
    JSON.stringify({
      id: `batch_req_${id}`,
      custom_id: `c${id}`,
      response: { status_code: 200, body },
      error: null,
    })
  const file = [
    line(1, { model: 'gpt-4o-2024', usage: { prompt_tokens: 1, completion_tokens: 2 } }),
    line(2, {
      object: 'list',
      model: 'text-embedding-3-small',
      usage: { prompt_tokens: 8, total_tokens: 8 },
    }),
    line(3, { error: { message: 'no' } }),
    'not json',
    line(5, { model: 'gpt-5', usage }),
  ].join('\n')
  const path = '/v1/files/file-9/content'

  test('each line is an item of its own, however it is cut, and at half the price', () => {
    for (const size of [1, 10, 1000, 1e6]) {
      const { items, taps, x } = call('GET', path, { type: 'application/octet-stream', pieces: true })
      play(taps, file, size)
      expect(
        items.map((item) => [item.rowId, item.facts.model, item.facts.usage?.input, item.batch]),
      ).toEqual([
        ['batch-file-9-batch_req_1', 'gpt-4o-2024', 1, true],
        ['batch-file-9-batch_req_2', 'text-embedding-3-small', 8, true],
        ['batch-file-9-batch_req_5', 'gpt-5', 10, true],
      ])
      expect(x.usage).toBeNull()
    }
  })

  test.each([
    [
      'an input of a batch',
      '{"custom_id":"1","method":"POST","url":"/v1/x","body":{"usage":{"prompt_tokens":1}}}\n',
    ],
    ['a picture', '\u0089PNG\n\u0000batch_req_"usage"'],
    ['nothing', ''],
    ['JSON with the words in it', '{"text":"batch_req_"}\n{"usage":{"prompt_tokens":1}}'],
  ])('%s is no such file', (_, text) => {
    const { items, taps } = call('GET', path, { type: 'application/jsonl', pieces: true })
    play(taps, text, 3)
    expect(items).toEqual([])
  })
})

describe('units', () => {
  test('images are counted where there are no tokens, by quality and size', () => {
    const body = (count: number, name: string): string =>
      JSON.stringify({
        created: 1,
        data: Array.from({ length: count }, () => ({ [name]: 'x', revised_prompt: '"url":"b64_json"' })),
      })
    const sent = { prompt: 'a', n: 3, quality: 'hd', size: '1024x1024' }
    const path = '/v1/images/generations'
    expect(call('POST', path, { body: body(3, 'url'), sent }).x.units).toEqual({ 'images/hd/1024x1024': 3 })
    expect(call('POST', path, { body: body(2, 'b64_json'), sent: { n: 9 } }).x.units).toEqual({ images: 2 })
    expect(
      call('POST', path, { body: body(1, 'url'), sent: { size: '1024x1024"', quality: 'A B' } }).x.units,
    ).toEqual({ images: 1 })
    const tokens = JSON.stringify({
      data: [{ b64_json: 'x' }],
      usage: { ...usage, input_tokens_details: { image_tokens: 4 } },
    })
    const counted = call('POST', path, { body: tokens, sent }).x
    expect([counted.units, counted.usage?.imageInput]).toEqual([null, 4])
    expect(call('POST', '/v1/images/variations', { body: body(1, 'url') }).x.units).toEqual({ images: 1 })
  })

  test('speech by its characters, recordings by their seconds', () => {
    const speech = call('POST', '/v1/audio/speech', {
      type: 'audio/mpeg',
      body: 'ID3',
      sent: { input: 'héllo 😀' },
    })
    expect(speech.x.units).toEqual({ characters: 7 })
    const path = '/v1/audio/transcriptions'
    for (const [body, units] of [
      [{ text: 'hi', usage: { type: 'duration', seconds: 3.5 } }, { audioSeconds: 3.5 }],
      [{ task: 'transcribe', duration: 8.47, text: 'hi', segments: [] }, { audioSeconds: 8.47 }],
      [{ task: 'transcribe', duration: '8.470', text: 'hi' }, { audioSeconds: 8.47 }],
      [{ text: '"duration": 9' }, null],
    ] as const)
      expect(call('POST', path, { body: JSON.stringify(body) }).x.units).toEqual(units as never)
    const events = call('POST', path, { type: 'text/event-stream', pieces: true })
    play(
      events.taps,
      event({ type: 'transcript.text.delta', delta: 'h' }) +
        event({ type: 'transcript.text.done', usage: { type: 'tokens', ...usage } }),
    )
    expect(events.x.usage).toMatchObject({ input: 10, output: 5 })
    const spoken = call('POST', '/v1/audio/speech', {
      type: 'text/event-stream',
      pieces: true,
      sent: { input: 'x' },
    })
    play(spoken.taps, event({ type: 'speech.audio.done', usage }))
    expect(spoken.x.usage?.output).toBe(5)
  })

  test('moderation and what is stored cost nothing', () => {
    expect(call('POST', '/v1/moderations', { body: JSON.stringify({ usage }) }).x.usage).toBeNull()
  })
})

/** A frame as a server sends it, or as a client does. */
function frame(
  opcode: number,
  payload: string,
  more: { fin?: boolean; mask?: boolean; rsv?: number } = {},
): Buffer {
  const body = Buffer.from(payload)
  const { fin = true, mask = false, rsv = 0 } = more
  const head = [(fin ? 128 : 0) | rsv | opcode]
  const flag = mask ? 128 : 0
  if (body.length < 126) head.push(flag | body.length)
  else if (body.length < 65_536) head.push(flag | 126, body.length >> 8, body.length & 255)
  else
    head.push(
      flag | 127,
      0,
      0,
      0,
      0,
      body.length >>> 24,
      (body.length >> 16) & 255,
      (body.length >> 8) & 255,
      body.length & 255,
    )
  const key = [1, 2, 3, 4]
  return Buffer.concat([
    Buffer.from([...head, ...(mask ? key : [])]),
    mask ? body.map((byte, at) => byte ^ key[at & 3]!) : body,
  ])
}

describe('frames', () => {
  const all = [
    frame(1, 'one'),
    frame(9, 'ping'),
    frame(1, 'fr', { fin: false }),
    frame(10, ''),
    frame(0, 'ag', { fin: false }),
    frame(0, 'ment'),
    frame(2, 'binary'),
    frame(1, 'x'.repeat(300)),
    frame(1, 'y'.repeat(70_000)),
    frame(1, 'masked', { mask: true }),
    frame(1, ''),
  ]
  const messages = ['one', 'fragment', 'x'.repeat(300), 'y'.repeat(70_000), 'masked']

  test('text messages, however the bytes are cut', () => {
    const bytes = Buffer.concat(all)
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 60 }), (places) => {
        const seen: string[] = []
        const reader = new TextMessages((message) => void seen.push(Buffer.from(message).toString()))
        const cuts = [0, ...places.sort((a, b) => a - b), bytes.length]
        for (let at = 1; at < cuts.length; at++) reader.push(bytes.subarray(cuts[at - 1], cuts[at]))
        expect(seen).toEqual(messages)
        expect(reader.broken).toBe(false)
      }),
      { numRuns: 60 },
    )
    const seen: string[] = []
    const reader = new TextMessages((message) => void seen.push(Buffer.from(message).toString()))
    for (let at = 0; at < bytes.length; at++) reader.push(bytes.subarray(at, at + 1))
    expect(seen).toEqual(messages)
  })

  test('compressed frames and impossible lengths end the looking; long messages are passed over', () => {
    for (const bad of [
      frame(1, 'x', { rsv: 0x40 }),
      Buffer.from([0x81, 127, 255, 255, 255, 255, 0, 0, 0, 0]),
    ]) {
      const reader = new TextMessages(() => expect.unreachable())
      reader.push(bad)
      reader.push(frame(1, 'later'))
      expect(reader.broken).toBe(true)
    }
    const seen: string[] = []
    const reader = new TextMessages((message) => void seen.push(Buffer.from(message).toString()))
    const piece = frame(0, 'z'.repeat(60_000), { fin: false })
    reader.push(frame(1, 'z', { fin: false }))
    for (let count = 0; count < 300; count++) reader.push(piece)
    reader.push(frame(0, ''))
    reader.push(frame(1, 'after'))
    expect([seen, reader.unread]).toEqual([['after'], 1])
  })
})

describe('a socket', () => {
  function socket(
    path: string,
    query = '',
  ): Call & { readonly say: (value: unknown) => void; readonly sink: string[]; readonly end: () => void } {
    let inner = null as BodySink | null
    const unused = (): void => {}
    const incoming: Body = {
      whole: null,
      length: -1,
      start: (sink) => void (inner = sink),
      pause: unused,
      resume: unused,
      abort: unused,
    }
    const tunnel: Tunnel = { incoming, write: () => true, onDrain: unused, end: unused, abort: unused }
    const made = call('GET', path, { tunnel, query })
    const sink: string[] = []
    made.reply.tunnel!.incoming.start({
      chunk: (bytes) => void sink.push(Buffer.from(bytes).toString('latin1')),
      end: unused,
      error: unused,
    })
    return {
      ...made,
      sink,
      end: () => inner!.end(),
      say: (value) => inner!.chunk(frame(1, JSON.stringify(value))),
    }
  }
  const spoken = {
    total_tokens: 253,
    input_tokens: 132,
    output_tokens: 121,
    input_token_details: { audio_tokens: 13, cached_tokens: 64, cached_tokens_details: { audio_tokens: 4 } },
    output_token_details: { audio_tokens: 91 },
  }

  test('realtime: an item for each response, their sum on the exchange, bytes unchanged', () => {
    const { x, items, say, sink, end } = socket('/v1/realtime', '?model=gpt-realtime')
    say({
      type: 'session.created',
      session: { model: 'gpt-realtime-2025', audio: { input: { transcription: { model: 'whisper-1' } } } },
    })
    for (let count = 0; count < 2; count++) {
      say({ type: 'response.created', response: { id: `r${count}`, usage: null } })
      say({ type: 'response.output_audio.delta', delta: 'AAAA' })
      say({ type: 'response.done', response: { id: `r${count}`, status: 'completed', usage: spoken } })
    }
    say({
      type: 'conversation.item.input_audio_transcription.completed',
      usage: { type: 'duration', seconds: 2.5 },
    })
    say({ type: 'response.done', response: { id: 'failed', status: 'failed', usage: null } })
    end()
    expect(
      items.map((item) => [item.rowId, item.facts.model, item.facts.usage?.output, item.facts.units]),
    ).toEqual([
      ['hgr_1-1-1', 'gpt-realtime-2025', 121, null],
      ['hgr_1-1-2', 'gpt-realtime-2025', 121, null],
      ['hgr_1-1-3', 'whisper-1', undefined, { audioSeconds: 2.5 }],
    ])
    expect(x.usage).toMatchObject({
      input: 264,
      output: 242,
      audioInput: 26,
      audioOutput: 182,
      cachedAudio: 8,
      total: 506,
    })
    expect([x.units, x.answeredModel, x.tried[0]!.itemised]).toEqual([
      { audioSeconds: 2.5 },
      'gpt-realtime-2025',
      true,
    ])
    expect(sink.length).toBe(9)
  })

  test('a response that was under way when it ended is estimated by what was said so far', () => {
    const { items, say, end } = socket('/v1/realtime', '?model=gpt-realtime')
    say({ type: 'session.created', session: { model: 'gpt-realtime', instructions: 'x'.repeat(400) } })
    say({ type: 'input_audio_buffer.speech_started', audio_start_ms: 1000 })
    say({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: 3000 })
    say({ type: 'response.created', response: { usage: null } })
    // One second at 48 bytes a millisecond.
    say({ type: 'response.output_audio.delta', delta: 'A'.repeat(64_000) })
    say({ type: 'response.output_audio_transcript.delta', delta: 'eight ch' })
    end()
    expect(items).toMatchObject([
      {
        rowId: 'hgr_1-1-1',
        estimator: 'socket-1',
        facts: {
          usage: { input: 120, audioInput: 20, output: 22, audioOutput: 20, total: 142 },
          final: false,
        },
      },
    ])
  })

  test('a later one has the response before as its input; hostile events change nothing', () => {
    const { items, say, end } = socket('/v1/realtime', '?model=gpt-realtime')
    say({
      type: 'session.updated',
      session: { output_audio_format: 'g711_ulaw', tools: 5, instructions: [] },
    })
    say({ type: 'response.created', response: { usage: null } })
    say({ type: 'response.done', response: { status: 'completed', usage: spoken } })
    say({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: 1e300 })
    say({ type: 'input_audio_buffer.speech_started', audio_start_ms: 'now' })
    say({ type: 'response.created', response: { usage: null } })
    say({ type: 'response.audio.delta', delta: { length: 1e9 } })
    say({ type: 'response.audio.delta', delta: 'A'.repeat(10_668) })
    end()
    expect(items[1]).toMatchObject({
      facts: { usage: { input: 253, audioInput: 0, output: 21, audioOutput: 21 } },
    })
  })

  test('responses: the searches of each', () => {
    const { items, say, x } = socket('/v1/responses')
    const search = { type: 'web_search_call', status: 'completed', action: { type: 'search' } }
    for (const output of [[search, search], [], [search, { type: 'file_search_call' }]])
      say({ type: 'response.completed', response: { id: 'resp_1', model: 'gpt-5', usage, output } })
    expect(items.map(({ facts }) => facts.units)).toEqual([
      { webSearches: 2 },
      null,
      { webSearches: 1, fileSearches: 1 },
    ])
    expect(x.units).toEqual({ webSearches: 3, fileSearches: 1 })
  })

  test('responses: the terminal events, each with its model and tier', () => {
    const { items, say, x } = socket('/v1/responses')
    for (const type of ['response.completed', 'response.incomplete', 'response.failed'])
      say({ type, response: { id: 'resp_1', model: 'gpt-5', service_tier: 'priority', usage } })
    say({ type: 'response.completed', response: { id: 'resp_2', background: true, model: 'gpt-5', usage } })
    expect(items.map((item) => item.rowId)).toEqual([
      'hgr_1-1-1',
      'hgr_1-1-2',
      'hgr_1-1-3',
      'response-resp_2',
    ])
    expect(items[0]!.facts).toMatchObject({ model: 'gpt-5', serviceTier: 'priority' })
    expect(x.usage?.input).toBe(40)
  })
})
