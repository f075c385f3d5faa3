// curl through the gateway, as people try a service out: plain calls, streams, forms, old protocol versions, HEAD.

import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { scratchFolder } from '../gateway/harness.ts'
import { clientKey, run, startService, upstreamKey } from './service.ts'

const service = await startService()
const { sandbox, baseURL, origin } = service
const absent = Bun.which('curl') === null
const key = ['-H', `Authorization: Bearer ${clientKey}`]
const json = ['-H', 'Content-Type: application/json']
const chat = (more: object = {}): string =>
  JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }], ...more })

/** Runs curl; gives what it printed. `-S` says why it failed. */
async function curl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(['curl', '-sS', '--max-time', '30', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).not.toContain(upstreamKey)
  return stdout
}

describe.skipIf(absent)('curl (needs curl)', () => {
  test('a chat completion', async () => {
    const out = await curl(`${baseURL}/chat/completions`, ...key, ...json, '-d', chat())
    expect(JSON.parse(out)).toMatchObject({ object: 'chat.completion' })
  })

  test('a stream', async () => {
    const out = await curl('-N', `${baseURL}/chat/completions`, ...key, ...json, '-d', chat({ stream: true }))
    expect(out).toStartWith('data: {')
    expect(out).toEndWith('data: [DONE]\n\n')
  })

  test('the same bytes as from the upstream itself', async () => {
    sandbox.faults.replay(
      'tape',
      Buffer.from('data: {"a":1}\r\n\r\n: a remark\n\nevent: x\ndata:  two\n\ndata: [DONE]\n\n'),
      { splitAt: [3, 9, 20, 21] },
    )
    const direct = await run([
      'curl',
      '-sS',
      '-H',
      `Authorization: Bearer ${upstreamKey}`,
      ...json,
      '-d',
      chat({ model: 'replay:tape' }),
      `${sandbox.url}/chat/completions`,
    ])
    const out = await curl(
      `${baseURL}/chat/completions`,
      ...key,
      ...json,
      '-d',
      chat({ model: 'replay:tape' }),
    )
    expect(out).toBe(direct.stdout)
    expect(out).toContain('a remark')
  })

  test('without a key: 401, and --fail tells', async () => {
    const out = await curl('-w', '\n%{http_code}', `${baseURL}/models`)
    expect(out).toEndWith('\n401')
    expect(JSON.parse(out.split('\n')[0]!)).toMatchObject({
      error: { code: 'invalid_api_key', type: 'invalid_request_error' },
    })
    expect((await run(['curl', '-sSf', `${baseURL}/models`])).code).toBe(22)
  })

  test('HTTP/1.0: whole, and a stream that ends with its connection', async () => {
    const out = await curl('--http1.0', '-i', `${baseURL}/models`, ...key)
    expect(out).toMatch(/^HTTP\/1\.[01] 200 /)
    const stream = await curl(
      '--http1.0',
      '-i',
      `${baseURL}/chat/completions`,
      ...key,
      ...json,
      '-d',
      chat({ stream: true }),
    )
    expect(stream).not.toMatch(/^transfer-encoding:/im)
    expect(stream).toMatch(/^connection: close/im)
    expect(stream).toEndWith('data: [DONE]\n\n')
  })

  test('--compressed', async () => {
    const out = await curl('--compressed', `${baseURL}/models`, ...key)
    expect(JSON.parse(out)).toMatchObject({ object: 'list' })
    const zipped = await curl(
      '--compressed',
      `${baseURL}/chat/completions`,
      ...key,
      ...json,
      '-d',
      chat({ model: 'fault-gzip' }),
    )
    expect(JSON.parse(zipped)).toMatchObject({ object: 'chat.completion' })
  })

  test('HEAD', async () => {
    const out = await curl('-I', `${baseURL}/models`, ...key)
    expect(out).toMatch(/^HTTP\/1\.1 \d{3} /)
    expect(out).toMatch(/^x-headgate-id: hgx_/im)
    expect(out.trimEnd().split('\r\n\r\n')).toHaveLength(1)
  })

  test('a form, and -T from a file and from a pipe', async () => {
    const file = join(scratchFolder(), 'sound.wav')
    writeFileSync(file, Buffer.alloc(2_000_000, 5))
    const form = await curl(
      `${baseURL}/audio/transcriptions`,
      ...key,
      '-F',
      'model=whisper-1',
      '-F',
      `file=@${file};type=audio/wav`,
    )
    expect(JSON.parse(form).text).toContain('2000000 bytes')
    const sent = await curl('-T', file, `${baseURL}/echo/raw`, ...key)
    expect(sent.length).toBeGreaterThan(0)
    const put = sandbox.requests.at(-1)!
    expect([put.method, put.bodyLength]).toEqual(['PUT', 2_000_000])
    const piped = await run(['curl', '-sS', '-T', '-', ...key, `${baseURL}/echo/raw`], {
      stdin: Buffer.alloc(300_000, 6),
    })
    expect(piped.code).toBe(0)
    expect(sandbox.requests.at(-1)!.bodyLength).toBe(300_000)
  })

  test('a big body that waits for 100 Continue', async () => {
    const file = join(scratchFolder(), 'body.json')
    writeFileSync(file, chat({ user: 'u'.repeat(3_000_000) }))
    const out = await curl(
      '-H',
      'Expect: 100-continue',
      `${baseURL}/chat/completions`,
      ...key,
      ...json,
      '--data-binary',
      `@${file}`,
    )
    expect(JSON.parse(out)).toMatchObject({ object: 'chat.completion' })
    const refused = await curl(
      '-w',
      '\n%{http_code} %{size_upload}',
      '-H',
      'Expect: 100-continue',
      `${baseURL}/chat/completions`,
      ...json,
      '--data-binary',
      `@${file}`,
    )
    expect(refused).toEndWith('\n401 0')
  })

  test('several calls on one connection', async () => {
    const url = `${baseURL}/models/gpt-4o`
    const out = await curl(
      '-w',
      '%{num_connects}\n',
      '-o',
      '/dev/null',
      '-o',
      '/dev/null',
      '-o',
      '/dev/null',
      ...key,
      url,
      url,
      url,
    )
    expect(out).toBe('1\n0\n0\n')
  })

  test('a download to a file that breaks off is told', async () => {
    sandbox.faults.add({ match: { path: '/v1/audio/speech' }, fault: 'fault-cut' })
    const body = JSON.stringify({ model: 'tts-1', voice: 'alloy', input: 'x'.repeat(500) })
    const { code } = await run([
      'curl',
      '-sS',
      '-o',
      join(scratchFolder(), 'a.mp3'),
      `${baseURL}/audio/speech`,
      ...key,
      ...json,
      '-d',
      body,
    ])
    expect([18, 56]).toContain(code)
  })

  test('the page at /', async () => {
    expect(await curl(`${origin}/`)).toContain('/v1')
  })

  test('deletes, and paths with odd but valid characters', async () => {
    const out = await curl('-X', 'DELETE', `${baseURL}/models/ft:gpt-4o:me:x`, ...key)
    expect(JSON.parse(out)).toMatchObject({ deleted: true })
    await curl(`${baseURL}/models/a~b(c)'d=e,f@g!h?i=%C3%A9&j=%2F;k`, ...key)
    expect(sandbox.requests.at(-1)!.target).toBe(`/v1/models/a~b(c)'d=e,f@g!h?i=%C3%A9&j=%2F;k`)
  })
})
