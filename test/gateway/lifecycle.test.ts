// Promise: the gate starts whole or not at all, changes its configuration without dropping a request, stops without
// cutting one, and no request can end it. All through `headgate serve` in a process of its own.

import { describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { startTiming } from '../running-time.ts'
import {
  ask,
  clientKey,
  eventually,
  finallyClose,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  serve,
  type Served,
  served,
  upstreamAt,
  writeConfig,
} from './harness.ts'
import { readReply } from './message.ts'
import { answers, dial, type Peer } from './peer.ts'
import { chunk, eventsHead, fine, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts')

const upstream = ScriptedUpstream.start(fine)
const plain = { upstreams: [upstreamAt(upstream.url)] }
const chat = request('POST', '/v1/chat/completions', jsonBody({ model: 'gpt-4o', messages: [] }))

async function refused(
  options: Parameters<typeof serve>[0],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const result = await serve(options)
  if ('pid' in result) throw new Error('it started')
  return result
}

async function ready(gate: Served): Promise<{ status: number; body: any }> {
  const answer = await fetch(`http://127.0.0.1:${gate.adminPort}/readyz`)
  return { status: answer.status, body: await answer.json() }
}

/** Clients that send one request after the other over kept connections until told to stop; every failure is kept. */
class Load {
  readonly failures: string[] = []
  readonly upstreams = new Set<string>()
  answered = 0
  #stopped = false
  readonly #done: Promise<unknown>

  constructor(port: () => number, clients = 8) {
    this.#done = Promise.all(Array.from({ length: clients }, () => this.#client(port)))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  async #client(port: () => number): Promise<void> {
    let peer: Peer | null = null
    while (!this.#stopped) {
      if (peer === null || peer.closed || peer.ended) {
        // Nobody accepts for a moment while one process takes over from another: no request has been sent yet.
        peer = await dial(port()).catch(() => null)
        if (peer === null) {
          await Bun.sleep(5)
          continue
        }
      }
      try {
        await peer.write(chat)
        const answer = await readReply(peer)
        if (answer.status !== 200 || !answer.complete) this.failures.push(`${answer.status} ${answer.body}`)
        this.upstreams.add(answer.header('x-headgate-upstream') ?? '')
        this.answered++
        if (/close/.test(answer.header('connection') ?? '')) {
          peer.close()
          peer = null
        }
      } catch (cause) {
        this.failures.push(String(cause))
        peer = null
      }
      // Behind a standstill of this process it is read first that a connection was closed: it is not used again then.
      for (let restedMs = Infinity; restedMs > 100;) {
        const fromMs = performance.now()
        await Bun.sleep(1)
        restedMs = performance.now() - fromMs
      }
    }
    peer?.close()
  }
}

describe('what cannot start says so in one line, ends with 1, and leaves nothing behind', () => {
  test('a port in use', async () => {
    const first = await served({ tree: plain })
    const folder = scratchFolder()
    const free = freePort()
    const listen = [`127.0.0.1:${free}`, `127.0.0.1:${first.port}`]
    const { code, stdout, stderr } = await refused({ tree: { ...plain, server: { listen } }, folder })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      new RegExp(`^headgate: cannot listen on 127\\.0\\.0\\.1:${first.port}: the port is in use[^\\n]*\\n$`),
    )
    expect(await answers(free)).toBe(false)
    expect((await ask(first.port, chat)).status).toBe(200)
  })

  test('an admin port in use', async () => {
    const first = await served({ tree: plain })
    const free = freePort()
    const tree = {
      ...plain,
      server: { listen: `127.0.0.1:${free}` },
      admin: { listen: `127.0.0.1:${first.adminPort}` },
    }
    const { code, stderr } = await refused({ tree })
    expect(code).toBe(1)
    expect(stderr).toMatch(
      new RegExp(`^headgate: cannot listen on 127\\.0\\.0\\.1:${first.adminPort}: [^\\n]*\\n$`),
    )
    expect(await answers(free)).toBe(false)
  })

  test.each<[what: string, text: string, says: RegExp]>([
    ['an unknown key', 'server:\n  lisen: 127.0.0.1:0\n', /headgate\.yaml:2.*lisen.*listen/],
    ['YAML that is none', 'server: [\n', /headgate\.yaml:\d/],
    [
      'a secret that is not set',
      'upstreams:\n  - { name: a, provider: openai, keys: ["${env:NOT_SET_ANYWHERE}"] }\n',
      /headgate\.yaml:2.*NOT_SET_ANYWHERE/,
    ],
    [
      'a secret file that is not there',
      'upstreams:\n  - { name: a, provider: openai, keys: ["${file:missing.key}"] }\n',
      /headgate\.yaml:2.*missing\.key/,
    ],
    [
      'a CA file that is not there',
      'upstreams:\n  - { name: a, provider: openai, keys: [abcdefgh], tls: { caFile: missing.pem } }\n',
      /missing\.pem/,
    ],
    ['an address that is none', 'server: { listen: nowhere }\n', /headgate\.yaml:1/],
    [
      'an address of another machine',
      'server: { listen: "192.0.2.1:0" }\nadmin: { listen: "127.0.0.1:0" }\n',
      /192\.0\.2\.1/,
    ],
  ])('%s', async (_what, text, says) => {
    const folder = scratchFolder()
    const { code, stdout, stderr } = await refused({ text, folder })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(says)
    expect(stderr).toStartWith('headgate: ')
    expect(stderr.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(2)
    expect(stderr).not.toMatch(/\bat .*:\d+:\d+/)
  })

  test('a configuration that is not there', async () => {
    const folder = scratchFolder()
    const { code, stderr } = await refused({
      tree: plain,
      folder,
      args: ['--config', join(folder, 'no.yaml')],
    })
    expect(code).toBe(1)
    expect(stderr).toMatch(/no\.yaml.*no such file/)
    expect(existsSync(join(folder, 'data'))).toBe(false)
  })

  test('a log that cannot be written', async () => {
    const folder = scratchFolder()
    const { code, stderr } = await refused({ tree: { ...plain, log: { file: folder } }, folder })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^headgate: [^\n]*log\.file: cannot write the log [^\n]*\n$/)
  })
})

test('prints where it stands, and answers on both ports', async () => {
  const gate = await served({ tree: plain })
  const { stdout, stderr } = gate.output()
  expect(stdout).toBe('')
  expect(stderr).toContain(`http://127.0.0.1:${gate.port}`)
  expect(stderr).not.toContain(clientKey)
  expect((await fetch(`http://127.0.0.1:${gate.adminPort}/healthz`)).status).toBe(200)
  expect(await ready(gate)).toMatchObject({ status: 200 })
  expect((await ask(gate.port, chat)).status).toBe(200)
})

describe('a change of the configuration', () => {
  const other = { upstreams: [upstreamAt(upstream.url, { name: 'other' })] }

  test('on SIGHUP is in force for what comes next, and drops no request', async () => {
    const gate = await served({ tree: plain })
    const load = new Load(() => gate.port)
    for (const [index, tree] of [other, plain, other].entries()) {
      const before = load.answered
      const said = gate.output().stderr.length
      await eventually(() => load.answered > before + 50, 'some load')
      // Ports as bound: a listener whose address is asked for again stays.
      writeConfig(tree, gate.folder)
      gate.signal('SIGHUP')
      await gate.says('configuration reloaded: SIGHUP', said)
      const answer = await ask(gate.port, chat)
      expect(answer.header('x-headgate-upstream')).toBe(index % 2 === 0 ? 'other' : 'main')
    }
    const at = load.answered
    await eventually(() => load.answered > at + 50, 'some load after the last change')
    await load.stop()
    expect(load.failures).toEqual([])
    expect([...load.upstreams].sort()).toEqual(['main', 'other'])
    await eventually(() => gate.lines().length >= load.answered, 'every request to be logged')
    expect(gate.lines().filter((line) => line['status'] !== 200)).toEqual([])
  })

  test('lets what is under way end as it began', async () => {
    const gate = await served({ tree: plain })
    const turn = Promise.withResolvers<void>()
    upstream.script = async (_request, peer) => {
      await peer.write(Buffer.concat([Buffer.from(eventsHead), chunk('data: 1\n\n')]))
      await turn.promise
      await peer.write(Buffer.concat([chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)]))
    }
    const client = await dial(gate.port)
    await client.write(chat)
    await client.untilText('data: 1')
    // The key that opened the stream is gone, and so is its upstream.
    writeConfig({ ...other, access: { keys: [{ name: 'new', value: 'hg_test_new-key' }] } }, gate.folder)
    gate.signal('SIGHUP')
    await gate.says('configuration reloaded')
    expect((await ask(gate.port, chat)).status).toBe(401)
    turn.resolve()
    const answer = await readReply(client)
    expect({ complete: answer.complete, upstream: answer.header('x-headgate-upstream') }).toEqual({
      complete: true,
      upstream: 'main',
    })
    upstream.script = fine
    await client.write(chat)
    expect((await readReply(client)).status).toBe(401)
    client.close()
  })

  test('opens and closes listeners', async () => {
    const [a, b, c] = [freePort(), freePort(), freePort()]
    const at = (...ports: number[]) => ({
      ...plain,
      server: { listen: ports.map((port) => `127.0.0.1:${port}`) },
    })
    const gate = await served({ tree: at(a, b) })
    writeConfig(at(b, c), gate.folder)
    const kept = await dial(b)
    gate.signal('SIGHUP')
    await gate.says('configuration reloaded')
    await eventually(async () => !(await answers(a)), 'the first port to close')
    expect((await ask(c, chat)).status).toBe(200)
    await kept.write(chat)
    expect((await readReply(kept)).status).toBe(200)
    kept.close()
  })

  test.each<[what: string, text: string, says: RegExp]>([
    ['an unknown key', 'sever: {}\n', /the old one stays in force: .*headgate\.yaml:1.*sever/],
    ['YAML that is none', 'server: [\n', /the old one stays in force: .*headgate\.yaml/],
    ['nothing to spell out', '${env:X', /the old one stays in force/],
  ])('that is wrong (%s) is not made, and the reason is said', async (_what, text, says) => {
    const gate = await served({ tree: plain })
    const said = gate.output().stderr.length
    writeFileSync(gate.file, text)
    gate.signal('SIGHUP')
    expect(await gate.says(says, said)).not.toContain('configuration reloaded')
    expect((await ask(gate.port, chat)).header('x-headgate-upstream')).toBe('main')
    // Mended, it is taken.
    writeConfig(other, gate.folder)
    gate.signal('SIGHUP')
    await gate.says('configuration reloaded', said)
    expect((await ask(gate.port, chat)).header('x-headgate-upstream')).toBe('other')
  })

  test('to a port in use is not made either', async () => {
    const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
    const gate = await served({ tree: plain })
    writeConfig({ ...other, server: { listen: ['127.0.0.1:0', `127.0.0.1:${taken.port}`] } }, gate.folder)
    gate.signal('SIGHUP')
    await gate.says(/the old one stays in force: cannot listen on .*the port is in use/)
    expect((await ask(gate.port, chat)).header('x-headgate-upstream')).toBe('main')
    taken.stop(true)
  })

  test('is seen by --watch, also where the file is replaced, and a broken one is not taken', async () => {
    const gate = await served({ tree: plain, args: ['--watch'] })
    let said = gate.output().stderr.length
    writeConfig(other, gate.folder)
    await gate.says('configuration reloaded: a file changed', said)
    expect((await ask(gate.port, chat)).header('x-headgate-upstream')).toBe('other')
    said = gate.output().stderr.length
    writeFileSync(gate.file, 'sever: {}\n')
    await gate.says('the old one stays in force', said)
    expect((await ask(gate.port, chat)).header('x-headgate-upstream')).toBe('other')
    said = gate.output().stderr.length
    const next = scratchFolder()
    renameSync(writeConfig({ ...plain, storage: { path: join(gate.folder, 'data') } }, next), gate.file)
    await gate.says('configuration reloaded: a file changed', said)
    expect((await ask(gate.port, chat)).header('x-headgate-upstream')).toBe('main')
  })
})

describe('SIGTERM', () => {
  test('lets requests and streams end, says so on /readyz, takes no more, and ends with 0', async () => {
    const gate = await served({ tree: plain })
    const turn = Promise.withResolvers<void>()
    upstream.script = async (seen, peer) => {
      const streams = seen.body.includes('stream')
      if (streams) await peer.write(Buffer.concat([Buffer.from(eventsHead), chunk('data: 1\n\n')]))
      await turn.promise
      await peer.write(
        streams
          ? Buffer.concat([chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)])
          : reply(200, '{"late":true}'),
      )
    }
    const stream = await dial(gate.port)
    await stream.write(request('POST', '/v1/chat/completions', jsonBody({ model: 'gpt-4o', stream: true })))
    await stream.untilText('data: 1')
    const slow = await dial(gate.port)
    const count = upstream.requests.length
    await slow.write(chat)
    await eventually(() => upstream.requests.length > count, 'the slow request to be under way')
    const half = await dial(gate.port)
    await half.write(chat.subarray(0, 40))
    await eventually(async () => (await ready(gate)).body.connections === 3, 'all to be connected')
    // An answer behind that: by then what had come on them has been read.
    await ready(gate)
    gate.signal('SIGTERM')
    await gate.says('SIGTERM: draining')
    expect(await ready(gate)).toMatchObject({ status: 503, body: { status: 'not ready' } })
    expect((await fetch(`http://127.0.0.1:${gate.adminPort}/healthz`)).status).toBe(200)
    await eventually(async () => !(await answers(gate.port)), 'the port to close')
    // A request of which a part had come before is one that is under way.
    await half.write(chat.subarray(40))
    await Bun.sleep(300)
    turn.resolve()
    for (const peer of [stream, slow, half]) {
      const answer = await readReply(peer)
      expect({ status: answer.status, complete: answer.complete }).toEqual({ status: 200, complete: true })
      await peer.untilEnded()
      peer.close()
    }
    expect(await gate.exited).toBe(0)
    upstream.script = fine
    expect(gate.lines().map((line) => line['status'])).toEqual([200, 200, 200])
    expect(gate.output().stderr).toContain('drained: every request has ended')
  })

  test('answers a request that comes at the last moment on an open connection, then closes it', async () => {
    for (let inTime = false; !inTime;) {
      const gate = await served({ tree: plain })
      const idle = await dial(gate.port)
      await idle.write(chat)
      await readReply(idle)
      const signalledAtMs = performance.now()
      gate.signal('SIGTERM')
      await gate.says('SIGTERM: draining')
      await idle.write(chat)
      // An idle connection is held open for a second: where this process stood still meanwhile, nothing was tried.
      inTime = performance.now() - signalledAtMs < 700
      if (inTime) {
        const answer = await readReply(idle)
        expect({ status: answer.status, connection: answer.header('connection') }).toEqual({
          status: 200,
          connection: 'close',
        })
      }
      await idle.untilEnded()
      idle.close()
      expect(await gate.exited).toBe(0)
    }
  })

  test('under load refuses and cuts no request while the next process takes the port', async () => {
    const port = freePort()
    const tree = { ...plain, server: { listen: `127.0.0.1:${port}` } }
    let gate = await served({ tree })
    const load = new Load(() => port)
    for (let round = 0; round < 3; round++) {
      const before = load.answered
      await eventually(() => load.answered > before + 100, 'some load')
      // Who is about to be accepted when a listener closes is reset by the kernel.
      await eventually(async () => (await ready(gate)).body.connections === 8, 'all to be connected')
      gate.signal('SIGTERM')
      await gate.says('SIGTERM: draining')
      const next = await served({ tree })
      expect(await gate.exited).toBe(0)
      gate = next
    }
    const before = load.answered
    await eventually(() => load.answered > before + 100, 'some load on the last one')
    await load.stop()
    expect(load.failures).toEqual([])
  })

  test('twice stops at once', async () => {
    const gate = await served({ tree: plain })
    upstream.script = async (_request, peer) => {
      await peer.write(Buffer.concat([Buffer.from(eventsHead), chunk('data: 1\n\n')]))
    }
    const stream = await dial(gate.port)
    await stream.write(chat)
    await stream.untilText('data: 1')
    gate.signal('SIGTERM')
    await gate.says('SIGTERM: draining')
    // Within a second it would be taken for the same one: a signal to a process group arrives twice.
    gate.signal('SIGTERM')
    await Bun.sleep(1200)
    expect(stream.ended).toBe(false)
    const sinceSignalMs = startTiming()
    const ended = gate.exited.then(() => true)
    // Again where a gate that stood still has taken it together with the one before.
    do gate.signal('SIGTERM')
    while (!(await Promise.race([ended, Bun.sleep(1200).then(() => false)])))
    expect(sinceSignalMs()).toBeLessThan(3000)
    await stream.untilEnded()
    expect(stream.text).not.toEndWith('0\r\n\r\n')
    upstream.script = fine
    expect(gate.lines().length).toBe(1)
  })

  test('waits no longer than server.timeouts.drain', async () => {
    const gate = await served({ tree: { ...plain, server: { timeouts: { drain: '500ms' } } } })
    const count = upstream.requests.length
    upstream.script = () => {}
    const stuck = await dial(gate.port)
    await stuck.write(chat)
    await eventually(() => upstream.requests.length > count, 'the request to be under way')
    gate.signal('SIGTERM')
    await gate.exited
    expect(gate.output().stderr).toContain('stopped after 500 ms of draining')
    await stuck.untilEnded()
    upstream.script = fine
  })

  test('with nobody there ends at once', async () => {
    const gate = await served({ tree: plain })
    gate.signal('SIGTERM')
    expect(await gate.exited).toBe(0)
  })
})

test('kill -9 leaves nothing that hinders the next start on the same port and data', async () => {
  const port = freePort()
  const tree = { ...plain, server: { listen: `127.0.0.1:${port}` } }
  const folder = scratchFolder()
  const gate = await served({ tree, folder })
  const peer = await dial(port)
  await peer.write(chat)
  expect((await readReply(peer)).status).toBe(200)
  await gate.logged(() => true)
  gate.signal('SIGKILL')
  await gate.exited
  await peer.untilEnded()
  const next = await served({ tree, folder })
  expect((await ask(port, chat)).status).toBe(200)
  await eventually(() => next.lines().length === 2, 'both lives to be in the log')
  expect(readdirSync(join(folder, 'data'))).toContain('access.log')
})

test('no request can end it: 2,000 hostile ones', async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  let state = seed
  const draw = (bound: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
  const gate = await served({ tree: plain })
  const good = [
    chat,
    request('GET', '/v1/models'),
    request('POST', '/v1/files', { lines: ['Transfer-Encoding: chunked'] }),
  ]
  const blob = (): Buffer => {
    const kind = draw(4)
    if (kind === 0) return Buffer.from(Array.from({ length: 1 + draw(300) }, () => draw(256)))
    const bytes = Buffer.from(good[draw(good.length)]!)
    if (kind === 1) for (let count = 1 + draw(4); count > 0; count--) bytes[draw(bytes.length)] = draw(256)
    if (kind === 2)
      return Buffer.concat([bytes.subarray(0, draw(bytes.length)), bytes.subarray(draw(bytes.length))])
    return kind === 3 ? bytes.subarray(0, draw(bytes.length)) : bytes
  }
  upstream.script = fine
  for (let round = 0; round < 100; round++) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const peer = await dial(gate.port)
        await peer.write(blob())
        if (draw(2) === 0) await Bun.sleep(draw(5))
        if (draw(3) === 0) peer.reset()
        else peer.close()
      }),
    )
  }
  const answer = await ask(gate.port, chat)
  expect({ seed, status: answer.status }).toEqual({ seed, status: 200 })
  expect({ seed, bugs: gate.output().stderr.match(/This is a bug[^\n]*/g) }).toEqual({ seed, bugs: null })
  await eventually(async () => (await ready(gate)).body.connections <= 1, 'all connections to be gone')
  gate.signal('SIGTERM')
  expect(await gate.exited).toBe(0)
})

describe('a configuration that is gone or empty changes nothing', () => {
  const anonymous = request('GET', '/v1/models', { key: null })

  test.each([
    ['emptied', (file: string) => writeFileSync(file, '')],
    ['left with comments only', (file: string) => writeFileSync(file, '# nothing\n')],
    ['removed', (file: string) => rmSync(file)],
  ])('%s, then SIGHUP', async (_how, spoil) => {
    const gate = await served({ tree: plain })
    spoil(gate.file)
    gate.signal('SIGHUP')
    await gate.says('not reloaded')
    expect((await ask(gate.port, anonymous)).status).toBe(401)
    expect((await ask(gate.port, chat)).status).toBe(200)
  })
})

test('a standard error that is full neither hangs the server nor keeps it from ending', async () => {
  const folder = scratchFolder()
  const port = freePort()
  const tree = { ...plain, server: { listen: `127.0.0.1:${port}` } }
  const file = writeConfig(tree, folder)
  const command = `exec "${process.execPath}" "${main}" serve --config "${file}" --data "${folder}" 2>/dev/full`
  const child = Bun.spawn(['sh', '-c', command], { stdout: 'ignore', stderr: 'ignore' })
  finallyClose(() => child.kill('SIGKILL'))
  await eventually(() => answers(port), 'the server to answer')
  expect((await ask(port, chat)).status).toBe(200)
  child.kill('SIGTERM')
  expect(await child.exited).toBe(0)
})

test('a bug in the middle of starting ends the process with 1 and leaves nothing listening', async () => {
  const folder = scratchFolder()
  const port = freePort()
  const file = writeConfig({ ...plain, server: { listen: `127.0.0.1:${port}` } }, folder)
  const preload = join(folder, 'bug.ts')
  writeFileSync(
    preload,
    `const on = process.on.bind(process)
process.on = ((event, ...rest) => { if (event === 'SIGHUP') throw new Error('made up'); return on(event, ...rest) }) as never`,
  )
  const child = Bun.spawn(
    [process.execPath, '--preload', preload, main, 'serve', '--config', file, '--data', folder],
    { stdout: 'ignore', stderr: 'pipe' },
  )
  finallyClose(() => child.kill('SIGKILL'))
  expect(await child.exited).toBe(1)
  expect(await new Response(child.stderr).text()).toContain('made up')
  expect(await answers(port)).toBe(false)
})
