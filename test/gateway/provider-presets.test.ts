// Promise: providers that speak like OpenAI are a name away: their address is known, their streams pass byte for byte and
// are read by OpenAI's own client, and a parameter that would be answered with an error is left out and named, or refused.
// The recordings are in $HEADGATE_TEST_DATA/streams (default: ../shared/data).

import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI from 'openai'
import { loadConfig } from '../../src/config/load.ts'
import {
  ask,
  clientKey,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  startGate,
  upstreamKey,
  writeConfig,
} from './harness.ts'
import { chunk, eventsHead, fine, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const data = process.env['HEADGATE_TEST_DATA'] ?? join(import.meta.dir, '..', '..', '..', 'shared', 'data')
const folder = join(data, 'streams')
const there = existsSync(folder)
const upstream = ScriptedUpstream.start(fine)

async function gateOf(provider: string, more: object = {}) {
  return startGate({
    upstreams: [{ name: 'main', provider, baseUrl: upstream.url, keys: [upstreamKey], ...more }],
  })
}

async function configOf(upstreamTree: object) {
  const at = scratchFolder()
  return loadConfig({ file: writeConfig({ upstreams: [upstreamTree] }, at), cwd: at, env: {} })
}

test('addresses are known', async () => {
  const at = async (tree: object) => {
    const [first] = (await configOf(tree)).config.upstreams
    return first!.provider === 'sandbox' ? null : first!.baseUrl
  }
  const keys = [upstreamKey]
  expect(await at({ name: 'a', provider: 'groq', keys })).toBe('https://api.groq.com/openai/v1')
  expect(await at({ name: 'a', provider: 'ollama' })).toBe('http://127.0.0.1:11434/v1')
  expect(await at({ name: 'a', provider: 'anthropic', keys })).toBe('https://api.anthropic.com/v1')
  expect(await at({ name: 'a', provider: 'bedrock', keys, region: 'eu-west-1' })).toBe(
    'https://bedrock-runtime.eu-west-1.amazonaws.com',
  )
  expect(await at({ name: 'a', provider: 'vertex', keys, project: 'acme', location: 'eu' })).toBe(
    'https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/acme/locations/eu',
  )
})

describe('what cannot work is said at once', () => {
  const keys = [upstreamKey]
  const cases: [tree: object, said: string][] = [
    [{ provider: 'anthropic' }, 'keys: is required'],
    [{ provider: 'anthropic', keys: [] }, 'keys: is an empty list: this provider needs a key'],
    [{ provider: 'anthropic', keys, organization: 'x' }, 'unknown key'],
    [{ provider: 'bedrock', keys }, 'region: is required'],
    [{ provider: 'bedrock', region: 'us-east-1' }, 'keys: is empty, and there is no other credential'],
    [
      { provider: 'bedrock', region: 'us-east-1', accessKeyId: 'AKIDTEST' },
      'secretAccessKey: and accessKeyId go together',
    ],
    [{ provider: 'bedrock', keys, region: 'x/../y' }, 'region: expected a region'],
    [{ provider: 'azure', keys }, 'baseUrl: is required'],
    [
      { provider: 'azure', baseUrl: 'https://a.openai.azure.com' },
      'keys: is empty, and there is no other credential',
    ],
    [
      { provider: 'azure', baseUrl: 'https://a.openai.azure.com', keys, api: 'deployments' },
      'apiVersion: is required with api: deployments',
    ],
    [{ provider: 'azure', baseUrl: 'http://a.openai.azure.com', keys }, 'baseUrl: is plain http'],
    [{ provider: 'vertex', keys }, 'project: is required'],
    [{ provider: 'vertex', keys, project: 'acme', token: { refresh: '1h' } }, 'token.command: is required'],
    [{ provider: 'cohere', keys, unsupported: 'ignore' }, 'unsupported: expected drop or refuse'],
    [
      { provider: 'bedrock', region: 'us-east-1', accessKeyId: '$AWS_ID', secretAccessKey: 'abcdefgh' },
      'did you mean ${env:AWS_ID}?',
    ],
    [{ provider: 'grok', keys }, 'did you mean `groq`?'],
  ]
  for (const [tree, said] of cases)
    test(said, async () => {
      const problems = await configOf({ name: 'a', ...tree }).then(
        () => 'none',
        (cause: unknown) => (cause as Error).message,
      )
      expect(problems).toContain(said)
      expect(problems).not.toContain(upstreamKey)
    })
})

describe('parameters that would be an error', () => {
  const body = {
    model: 'm',
    messages: [],
    logit_bias: { 1: 2 },
    user: 'u',
    max_completion_tokens: 9,
    seed: 7,
    big: 1,
  }

  test('are left out and named', async () => {
    const { port } = await gateOf('mistral')
    upstream.script = fine
    const answer = await ask(port, request('POST', '/v1/chat/completions', jsonBody(body)), 'POST')
    expect(JSON.parse(upstream.last.body.toString())).toEqual({
      model: 'm',
      messages: [],
      max_tokens: 9,
      random_seed: 7,
      big: 1,
    })
    expect(answer.lines.find((line) => /^x-headgate-dropped/i.test(line))).toBe(
      'x-headgate-dropped: logit_bias, user',
    )
  })

  test('or refused', async () => {
    const { port } = await gateOf('mistral', { unsupported: 'refuse' })
    const asked = upstream.requests.length
    const answer = await ask(port, request('POST', '/v1/chat/completions', jsonBody(body)), 'POST')
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body.toString())).toMatchObject({ error: { param: 'logit_bias' } })
    expect(upstream.requests.length).toBe(asked)
  })

  test('a body with nothing of them passes byte for byte', async () => {
    const { port } = await gateOf('groq')
    upstream.script = fine
    const text = '{ "model":"m" , "seed":12345678901234567890, "messages":[] }'
    const sent = { lines: ['Content-Type: application/json'], body: text }
    await ask(port, request('POST', '/v1/chat/completions', sent), 'POST')
    expect(upstream.last.body.toString()).toBe(text)
  })

  test('usage of streams is not asked for where the wish is an error', async () => {
    const { port } = await gateOf('mistral')
    upstream.script = (_request, peer) => peer.write(reply(200, '{"ok":true}'))
    const streaming = { model: 'm', messages: [], stream: true }
    await ask(port, request('POST', '/v1/chat/completions', jsonBody(streaming)), 'POST')
    expect(JSON.parse(upstream.last.body.toString())).toEqual(streaming)
  })
})

const spoken: Record<string, string> = {
  alibaba: 'alibaba',
  azure: 'azure',
  cerebras: 'cerebras',
  deepseek: 'deepseek',
  groq: 'groq',
  mistral: 'mistral',
  'openai-compatible': 'openai-compatible',
  perplexity: 'perplexity',
  xai: 'xai',
}

describe('recorded streams', () => {
  for (const [name, provider] of Object.entries(spoken)) {
    const files = there ? [...new Bun.Glob(`${name}/*.chunks.txt`).scanSync(folder)].sort() : []
    const gate = gateOf(provider)
    for (const file of files) {
      test(`${file} is read by OpenAI's client`, async () => {
        const { port } = await gate
        const lines = readFileSync(join(folder, file), 'utf8')
          .split('\n')
          .filter((line) => line !== '')
        const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
        const chat = events.some((event) => 'choices' in event)
        const done = chat ? ['data: [DONE]\n\n'] : []
        const frames = [...lines.map((line) => `data: ${line}\n\n`), ...done]
        upstream.script = (_request, peer) =>
          peer.write(Buffer.concat([Buffer.from(eventsHead), ...frames.map(chunk), Buffer.from(lastChunk)]))
        const client = new OpenAI({
          baseURL: `http://127.0.0.1:${port}/v1`,
          apiKey: clientKey,
          maxRetries: 0,
        })
        const got: unknown[] = []
        const stream = chat
          ? await client.chat.completions.create({
              model: 'm',
              stream: true,
              stream_options: { include_usage: true },
              messages: [{ role: 'user', content: 'Hi' }],
            })
          : await client.responses.create({ model: 'm', stream: true, input: 'Hi' })
        for await (const event of stream as AsyncIterable<unknown>) got.push(event)
        expect(got).toEqual(events)
      })
    }
  }
})
