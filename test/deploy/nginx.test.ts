// Promise: behind NGINX as deploy/nginx/headgate.conf sets it up, the gate is what it is without: streams flow, a client
// that leaves is noticed, WebSockets open, uploads are as long as the gate allows, and connections are used again.
// The file is taken as it stands; only address, upstream and certificate are replaced.

import { beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import {
  clientKey,
  eventually,
  finallyClose,
  promiseTests,
  scratchFolder,
  startGate,
  type Gate,
} from '../gateway/harness.ts'
import { makeCertificates, opensslMissing } from '../wire/certificates.ts'

promiseTests()

const absent = opensslMissing || Bun.which('nginx') === null
const authorization = `Bearer ${clientKey}`

function replaced(text: string, changes: readonly (readonly [string, string])[]): string {
  for (const [from, to] of changes) {
    expect(text.split(from)).toHaveLength(2)
    text = text.replace(from, to)
  }
  return text
}

/** NGINX as one process in the foreground, with all its files in a folder of its own. Gives its port. */
async function startNginx(gatePort: number, certificate: { cert: string; key: string }): Promise<number> {
  const folder = scratchFolder()
  const port = freePort()
  const at = (name: string) => join(folder, name)
  writeFileSync(at('cert.pem'), certificate.cert)
  writeFileSync(at('key.pem'), certificate.key)
  const snippet = readFileSync(join(import.meta.dir, '../../deploy/nginx/headgate.conf'), 'utf8')
  const changes = [
    ['127.0.0.1:8080', `127.0.0.1:${gatePort}`],
    ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
    ['/etc/ssl/headgate/fullchain.pem', at('cert.pem')],
    ['/etc/ssl/headgate/key.pem', at('key.pem')],
  ] as const
  writeFileSync(at('headgate.conf'), replaced(snippet, changes))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${at(name)};`,
  )
  const main = [
    'daemon off; master_process off; error_log stderr warn;',
    `pid ${at('nginx.pid')};`,
    'events { worker_connections 128; }',
    `http { access_log off; ${temporary.join(' ')} include ${at('headgate.conf')}; }`,
  ]
  writeFileSync(at('nginx.conf'), main.join('\n'))
  const child = Bun.spawn(['nginx', '-p', folder, '-e', 'stderr', '-c', at('nginx.conf')], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  finallyClose(async () => {
    child.kill('SIGTERM')
    await child.exited
  })
  const answers = () =>
    fetch(`https://127.0.0.1:${port}/`, { tls: { ca: certificate.cert, rejectUnauthorized: false } }).then(
      (response) => response.ok,
      () => false,
    )
  await eventually(async () => child.exitCode !== null || (await answers()), 'NGINX to start')
  if (child.exitCode !== null) throw new Error(await new Response(child.stderr).text())
  return port
}

describe.skipIf(absent)('behind NGINX (needs nginx and openssl)', () => {
  let gate: Gate
  let base = ''
  let tls: { ca: string }

  beforeAll(async () => {
    gate = await startGate({ upstreams: [{ name: 'main', provider: 'sandbox' }] })
    const certificates = makeCertificates()
    tls = { ca: certificates.ca }
    base = `https://127.0.0.1:${await startNginx(gate.port, certificates.good)}/v1`
  })

  const chat = (value: object, signal?: AbortSignal) =>
    fetch(`${base}/chat/completions`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'Say hello' }], ...value }),
      tls,
      signal: signal ?? null,
    })

  test('calls are answered, over few connections', async () => {
    for (let call = 0; call < 10; call++) {
      const response = await chat({ model: 'gpt-4o-mini' })
      expect(response.status).toBe(200)
      const answer = (await response.json()) as { choices: { message: { content: string } }[] }
      expect(answer.choices[0]!.message.content).toBe('Hello.')
    }
    const ready = await fetch(`http://127.0.0.1:${gate.adminPort}/readyz`)
    expect(((await ready.json()) as { connections: number }).connections).toBeLessThanOrEqual(3)
  })

  test('a stream arrives while it goes on, and the gate hears of a client that left', async () => {
    const client = new AbortController()
    // Two frames, then silence for ever: whoever collects the answer first delivers none of it.
    const response = await chat({ model: 'gpt-4o+fault-stall-2', stream: true }, client.signal)
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (text.split('\n\n').length < 3) text += (await reader.read()).value ?? ''
    expect(text).toStartWith('data: {')
    client.abort()
    const line = await gate.logged(({ model }) => model === 'gpt-4o+fault-stall-2')
    expect(line).toMatchObject({ status: 499, clientGone: true })
  })

  test('a whole stream ends with its last frame', async () => {
    const response = await chat({ model: 'gpt-4o', stream: true })
    expect(await response.text()).toEndWith('data: [DONE]\n\n')
  })

  test('a WebSocket opens and carries words both ways', async () => {
    const url = `${base.replace('https', 'wss')}/realtime?model=gpt-realtime`
    const socket = new WebSocket(url, { headers: { authorization }, tls })
    const heard: string[] = []
    socket.onmessage = ({ data }) => heard.push((JSON.parse(String(data)) as { type: string }).type)
    await eventually(() => heard.includes('session.created'), 'the greeting')
    socket.send(JSON.stringify({ type: 'session.update', session: { type: 'realtime' } }))
    await eventually(() => heard.includes('session.updated'), 'the answer')
    socket.close()
    await gate.logged(({ path, status }) => path === '/v1/realtime' && (status === 101 || status === 499))
  })

  test('an upload passes whatever its size', async () => {
    const body = Buffer.alloc(5 * 1024 * 1024, 'headgate')
    const response = await fetch(`${base}/echo`, { method: 'POST', headers: { authorization }, body, tls })
    const hash = new Bun.CryptoHasher('sha256').update(body).digest('hex')
    expect(await response.text()).toContain(hash)
  })

  test('a refusal of the gate arrives in its own words', async () => {
    const response = await fetch(`${base}/models`, { tls })
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ error: { code: 'invalid_api_key' } })
  })
})
