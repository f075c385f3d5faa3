// Promise: Azure OpenAI is asked by either of its paths, with its own version and credential; a token that a command prints is
// renewed in time and when Azure refuses it; what Azure adds to answers passes as it is.

import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI, { AzureOpenAI } from 'openai'
import {
  ask,
  clientKey,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  startGate,
  upstreamKey,
} from './harness.ts'
import { fine, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const origin = upstream.url.replace(/\/v1$/, '')
const azure = { name: 'main', provider: 'azure', baseUrl: origin, keys: [upstreamKey] }
const chat = (model: string) => jsonBody({ model, messages: [{ role: 'user', content: 'Hi' }] })

async function targetOf(
  more: object,
  path: string,
  body: { lines: string[]; body: string },
): Promise<string> {
  const { port } = await startGate({ upstreams: [{ ...azure, ...more }] })
  upstream.script = fine
  await ask(port, request('POST', path, body), 'POST')
  return upstream.last.target
}

describe('paths', () => {
  const cases: [name: string, more: object, path: string, target: string][] = [
    ['v1', {}, '/v1/chat/completions', '/openai/v1/chat/completions'],
    [
      'v1 with a version',
      { apiVersion: 'preview' },
      '/v1/chat/completions',
      '/openai/v1/chat/completions?api-version=preview',
    ],
    [
      'v1, other queries stay',
      { apiVersion: 'preview' },
      '/v1/chat/completions?a=1&api-version=2020-01-01',
      '/openai/v1/chat/completions?a=1&api-version=preview',
    ],
    [
      'a deployment',
      { api: 'deployments', apiVersion: '2024-10-21' },
      '/v1/chat/completions',
      '/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21',
    ],
    [
      'embeddings of a deployment',
      { api: 'deployments', apiVersion: '2024-10-21' },
      '/v1/embeddings',
      '/openai/deployments/gpt-4o/embeddings?api-version=2024-10-21',
    ],
    [
      'what has no deployment',
      { api: 'deployments', apiVersion: '2024-10-21' },
      '/v1/responses',
      '/openai/responses?api-version=2024-10-21',
    ],
    [
      'a folder in front',
      { baseUrl: `${origin}/gate/` },
      '/v1/chat/completions',
      '/gate/openai/v1/chat/completions',
    ],
  ]
  for (const [name, more, path, target] of cases)
    test(name, async () => expect(await targetOf(more, path, chat('gpt-4o'))).toBe(target))

  test('the name of a deployment never leads out of its folder', async () => {
    const { port } = await startGate({
      upstreams: [{ ...azure, api: 'deployments', apiVersion: '2024-10-21' }],
    })
    upstream.script = fine
    await ask(port, request('POST', '/v1/chat/completions', chat('../a/b?c#d')), 'POST')
    expect(upstream.last.target).toBe(
      '/openai/deployments/..%2Fa%2Fb%3Fc%23d/chat/completions?api-version=2024-10-21',
    )
    const asked = upstream.requests.length
    for (const model of ['..', '.'])
      expect((await ask(port, request('POST', '/v1/chat/completions', chat(model)), 'POST')).status).toBe(404)
    const upload = { lines: ['Content-Type: multipart/form-data; boundary=x'], body: '--x--\r\n' }
    const answer = await ask(port, request('POST', '/v1/audio/transcriptions', upload), 'POST')
    expect(answer.status).toBe(400)
    expect(answer.body.toString()).toContain('`deployment`')
    expect(upstream.requests.length).toBe(asked)
  })

  test('a deployment for uploads', async () => {
    const more = { api: 'deployments', apiVersion: '2024-10-21', deployment: 'whisper-1' }
    const upload = { lines: ['Content-Type: multipart/form-data; boundary=x'], body: '--x--\r\n' }
    expect(await targetOf(more, '/v1/audio/transcriptions', upload)).toBe(
      '/openai/deployments/whisper-1/audio/transcriptions?api-version=2024-10-21',
    )
  })
})

describe('credentials and answers', () => {
  test('the key goes as api-key, and what Azure adds comes as it is', async () => {
    const { port } = await startGate({ upstreams: [azure] })
    const answer = JSON.stringify({
      id: 'c',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hi' },
          content_filter_results: { hate: { filtered: false, severity: 'safe' } },
        },
      ],
      prompt_filter_results: [{ prompt_index: 0 }],
    })
    upstream.script = (_request, peer) => peer.write(reply(200, answer))
    const got = await ask(port, request('POST', '/v1/chat/completions', chat('gpt-4o')), 'POST')
    expect(got.body.toString()).toBe(answer)
    expect(upstream.last.header('api-key')).toBe(upstreamKey)
    expect(upstream.last.header('authorization')).toBeNull()
    const filtered = JSON.stringify({
      error: {
        message: 'filtered',
        type: null,
        param: 'prompt',
        code: 'content_filter',
        status: 400,
        innererror: { code: 'ResponsibleAIPolicyViolation' },
      },
    })
    upstream.script = (_request, peer) => peer.write(reply(400, filtered))
    const error = await ask(port, request('POST', '/v1/chat/completions', chat('gpt-4o')), 'POST')
    expect(error.status).toBe(400)
    expect(error.body.toString()).toBe(filtered)
  })

  test('the official client for Azure is not needed, and its key header is the gate’s', async () => {
    const { port } = await startGate({ upstreams: [azure] })
    upstream.script = (_request, peer) => peer.write(reply(200, '{"id":"c","choices":[]}'))
    const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: clientKey, maxRetries: 0 })
    expect((await client.chat.completions.create({ model: 'gpt-4o', messages: [] })).id).toBe('c')
    const other = new AzureOpenAI({
      baseURL: `http://127.0.0.1:${port}/v1`,
      apiKey: clientKey,
      apiVersion: '2020-01-01',
      maxRetries: 0,
    })
    expect((await other.chat.completions.create({ model: 'gpt-4o', messages: [] })).id).toBe('c')
    expect(upstream.last.header('api-key')).toBe(upstreamKey)
  })

  test('a token by command: once for many requests, again where it is refused', async () => {
    const folder = scratchFolder()
    const file = join(folder, 'token')
    const runs = join(folder, 'runs')
    writeFileSync(file, 'token-one-0123456789')
    const command = `echo run >> '${runs}'; printf '{"accessToken":"%s","expires_in":3600}' "$(cat '${file}')"`
    const gate = await startGate({ upstreams: [{ ...azure, keys: [], token: { command } }] })
    let refused = 0
    upstream.script = (seen, peer) => {
      const current = `Bearer ${readFileSync(file, 'utf8')}`
      if (seen.header('authorization') === current) return peer.write(reply(200, '{"ok":true}'))
      refused += 1
      return peer.write(reply(401, '{"error":{"message":"expired"}}'))
    }
    const post = () => ask(gate.port, request('POST', '/v1/chat/completions', chat('gpt-4o')), 'POST')
    const count = () => (existsSync(runs) ? readFileSync(runs, 'utf8').trim().split('\n').length : 0)
    expect(count()).toBe(0)
    const first = await Promise.all(Array.from({ length: 20 }, post))
    expect(first.map(({ status }) => status)).toEqual(first.map(() => 200))
    expect(upstream.last.header('api-key')).toBeNull()
    expect(count()).toBe(1)
    // Revoked at once after a run: the command is not run again within seconds, and the caller hears whose affair it is.
    writeFileSync(file, 'token-two-0123456789')
    const answer = await post()
    expect(answer.status).toBe(502)
    expect(answer.body.toString()).toContain('upstream_auth_failed')
    expect(refused).toBe(1)
    expect(count()).toBe(1)
  })

  test('a command that fails is told to the operator, not to the caller', async () => {
    const command = 'echo token-canary-9876543210 >&2; exit 3'
    const gate = await startGate({ upstreams: [{ ...azure, keys: [], token: { command } }] })
    const answer = await ask(gate.port, request('POST', '/v1/chat/completions', chat('gpt-4o')), 'POST')
    expect(answer.status).toBe(502)
    expect(answer.body.toString()).toContain('its command failed')
    expect(answer.body.toString()).not.toContain('canary')
  })
})
