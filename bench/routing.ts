// What routing costs: one request through stage 6 with 100 upstreams, by each picker, against one upstream and no choice.
// Upstreams answer at once, so what is measured is choosing, counting and learning. Processor time, the least of several
// rounds, in each of which all take their turn. Run it with `bun bench/routing.ts [upstreams]`.

import { systemClock } from '../src/base/clock.ts'
import { Attempt, Exchange, type IncomingRequest, type Reply } from '../src/exchange.ts'
import { WholeBody } from '../src/net/wire/body.ts'
import { HeaderBlock } from '../src/net/wire/headers.ts'
import { Sweeper } from '../src/net/wire/sweeper.ts'
import { findEndpoint } from '../src/openai/endpoints.ts'
import { picks } from '../src/stages/6-route/options.ts'
import { AccountMemory, createRoute, usualRoute, type RouteConfig } from '../src/stages/6-route/route.ts'

const count = Number(process.argv[2] ?? 100)
const rounds = 9
const times = 20_000

const body = new WholeBody(
  Buffer.from(
    JSON.stringify({
      model: 'gpt-4o-mini',
      messages: [
        { role: 'system', content: 'You are a helpful assistant. '.repeat(30) },
        { role: 'user', content: 'Hello!' },
      ],
    }),
  ),
)
const incoming: IncomingRequest = {
  method: 'POST',
  path: '/v1/chat/completions',
  query: '',
  headers: HeaderBlock.empty,
  body,
  peerAddress: '127.0.0.1',
  upgrade: null,
}
const answer = new WholeBody(
  Buffer.from('{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini"}'),
)
const headerLines =
  'content-type: application/json\r\nx-ratelimit-remaining-requests: 4999\r\nx-ratelimit-remaining-tokens: 149000\r\n'

interface Upstream {
  readonly name: string
  readonly account: string
  readonly providerName: string
  readonly env: null
  readonly spareKeys: false
  keyInUse(): unknown
  hasKey(): boolean
}

function send(x: Exchange, target: Upstream): Promise<Reply> {
  const attempt = new Attempt(x.id, target, systemClock)
  attempt.upstreamModel = x.routedModel ?? x.model
  x.tried.push(attempt)
  attempt.status = 200
  attempt.firstByteAtMs = attempt.startedAtMs + 1
  return Promise.resolve({
    status: 200,
    headerLines,
    dated: true,
    contentType: 'application/json',
    body: answer,
    tunnel: null,
  })
}

function routing(upstreams: number, pick: RouteConfig['pick']) {
  const members = Array.from({ length: upstreams }, (_, index) => {
    const name = `upstream-${index}`
    const target: Upstream = {
      name,
      account: name,
      providerName: 'openai',
      env: null,
      spareKeys: false,
      keyInUse: () => null,
      hasKey: () => true,
    }
    return { target, weight: 1 + (index % 3), models: null, firstTokenMs: Infinity }
  })
  const route: RouteConfig = { ...usualRoute(), pick }
  return createRoute(
    { members, routes: [route], usual: usualRoute() },
    {
      clock: systemClock,
      sweeper: new Sweeper(systemClock),
      memory: new AccountMemory(),
      probe: () => Promise.resolve(200),
    },
  )
}

function exchange(): Exchange {
  const x = new Exchange('hgx_bench', incoming, systemClock)
  x.endpoint = findEndpoint('POST', '/v1/chat/completions')
  x.bodyBytes = body.whole
  x.requestBody = body
  return x
}

async function spentUs(work: () => Promise<void>): Promise<number> {
  const from = process.cpuUsage()
  for (let done = 0; done < times; done++) await work()
  const { user, system } = process.cpuUsage(from)
  return (user + system) / times
}

/** The same without a stage: an exchange, a call, an answer. */
const nobody: Upstream = {
  name: 'a',
  account: 'a',
  providerName: 'openai',
  env: null,
  spareKeys: false,
  keyInUse: () => null,
  hasKey: () => true,
}
const base = async (): Promise<void> => {
  const x = exchange()
  await send(x, nobody)
}

function through(upstreams: number, pick: RouteConfig['pick']): () => Promise<void> {
  const stage = routing(upstreams, pick)
  return async () => {
    const x = exchange()
    await stage.attempt(x, send)
    stage.learn(x)
  }
}

const measured = [
  { name: '', work: base, us: Infinity },
  { name: `   1 upstreams, weighted`, work: through(1, 'weighted'), us: Infinity },
  ...picks.map((pick) => ({
    name: `${String(count).padStart(4)} upstreams, ${pick}`,
    work: through(count, pick),
    us: Infinity,
  })),
]
// What else the machine does only adds: the least counts, and all are measured side by side.
for (let round = 0; round <= rounds; round++)
  for (const each of measured) {
    const us = await spentUs(each.work)
    if (round > 0) each.us = Math.min(each.us, us)
  }
const [{ us: baseUs }, ...stages] = measured as [(typeof measured)[0], ...typeof measured]
console.log(`µs a request, without what an exchange and a call cost anyway (${baseUs.toFixed(2)})`)
for (const { name, us } of stages) console.log(`${name.padEnd(31)} ${(us - baseUs).toFixed(2)}`)
