// Promise: who may pass is one table, and it is walked whole here: (none, bad, good) of a key and of a token, from an
// address and by an agent that may come in or not, with anonymous callers let in or not, sent in every way there is.
// Only what the table says passes, and what does not pass reaches no upstream.

import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { goodClaims, goodToken, issuer, makeSigner } from '../jwt/tokens.ts'
import { ask, clientKey, promiseTests, request, scratchFolder, startGate, upstreamAt } from './harness.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

type Credential = 'none' | 'bad' | 'good'

interface Case {
  readonly key: Credential
  readonly token: Credential
  readonly address: 'allowed' | 'denied'
  readonly agent: 'allowed' | 'denied'
  readonly anonymous: 'deny' | 'allow'
}

/** The table. First what is judged without a credential, then how many there are, then whether it holds. */
function expected({ key, token, address, agent, anonymous }: Case): 200 | 401 | 403 {
  if (address === 'denied' || agent === 'denied') return 403
  if (key !== 'none' && token !== 'none') return 401
  if (key === 'none' && token === 'none') return anonymous === 'allow' ? 200 : 401
  return key === 'good' || token === 'good' ? 200 : 401
}

const upstream = ScriptedUpstream.start(fine)
const signer = makeSigner('one')
const jwksFile = join(scratchFolder(), 'jwks.json')
writeFileSync(jwksFile, JSON.stringify({ keys: [signer.jwk] }))

const boundKey = 'hg_test_a-key-with-a-fence-000000000001'
const gateOf = (anonymous: Case['anonymous']) =>
  startGate({
    upstreams: [upstreamAt(upstream.url)],
    server: { trustedProxies: ['127.0.0.1'] },
    access: {
      anonymous,
      keys: [
        { name: 'client', value: clientKey },
        { name: 'bound', value: boundKey, addresses: ['192.0.2.0/28'], userAgents: ['good/1*'] },
      ],
      jwt: [{ issuer, audience: goodClaims()['aud'], jwksFile }],
      addresses: { allow: ['192.0.2.0/24'], deny: ['192.0.2.66'] },
      userAgents: { allow: ['good/*'], deny: ['*bad*'] },
      // The table is walked from one address: the bound on guessing is another promise.
      guessing: { failures: '1000000/1s' },
    },
  })
const gates = { deny: await gateOf('deny'), allow: await gateOf('allow') }

const good = goodToken(signer)
const texts: Record<'key' | 'token', Record<Exclude<Credential, 'none'>, readonly string[]>> = {
  key: {
    good: [clientKey],
    bad: ['hg_test_client-key-000000000000000002', clientKey.slice(0, -1), `${clientKey}x`],
  },
  token: {
    good: [good],
    bad: [
      `${good.slice(0, -6)}AAAAAA`,
      goodToken(makeSigner('one')),
      good.slice(0, good.lastIndexOf('.') + 1),
    ],
  },
}
const addresses = {
  allowed: ['192.0.2.1', '::ffff:192.0.2.1', '192.0.2.66, 192.0.2.1'],
  denied: ['203.0.113.1', '192.0.2.66', '192.0.2.1, 203.0.113.1'],
}
const agents = { allowed: ['good/1.0', 'GOOD/2.0'], denied: ['other/1.0', 'good/bad', null] }
const carriers = [
  (text: string) => `Authorization: Bearer ${text}`,
  (text: string) => `x-api-key: ${text}`,
  (text: string) => `api-key: ${text}`,
]

const credentials: readonly Credential[] = ['none', 'bad', 'good']
const cases: Case[] = []
for (const key of credentials)
  for (const token of credentials)
    for (const address of ['allowed', 'denied'] as const)
      for (const agent of ['allowed', 'denied'] as const)
        for (const anonymous of ['deny', 'allow'] as const)
          cases.push({ key, token, address, agent, anonymous })

/** Every way to send what a case says: carriers, spellings, and the order of two credentials. */
function* requests(each: Case): Generator<string[]> {
  const keys = each.key === 'none' ? [null] : texts.key[each.key]
  const tokens = each.token === 'none' ? [null] : texts.token[each.token]
  for (const [index, key] of keys.entries()) {
    for (const token of tokens) {
      for (const [place, carry] of carriers.entries()) {
        const carryOther = carriers[(place + index) % carriers.length]!
        const sent = [...(key === null ? [] : [carry(key)]), ...(token === null ? [] : [carryOther(token)])]
        const addressOf = addresses[each.address]
        const agentOf = agents[each.agent]
        const turn = place + index
        const agent = agentOf[turn % agentOf.length]
        const from = [
          `X-Forwarded-For: ${addressOf[turn % addressOf.length]}`,
          ...(agent === null ? [] : [`User-Agent: ${agent}`]),
        ]
        yield [...sent, ...from]
        yield [...from, ...sent.toReversed()]
        if (key === null && token === null) return
      }
    }
  }
}

test('the whole product', () => expect(cases).toHaveLength(72))

test.each(cases)(
  '$key key, $token token, $address address, $agent agent, anonymous: $anonymous',
  async (each) => {
    const gate = gates[each.anonymous]
    for (const lines of requests(each)) {
      const seen = upstream.requests.length
      const answer = await ask(gate.port, request('GET', '/v1/models', { key: null, lines }))
      expect([lines, answer.status]).toEqual([lines, expected(each)])
      expect(upstream.requests.length - seen).toBe(answer.status === 200 ? 1 : 0)
      if (answer.status !== 200) {
        const code = answer.status === 401 ? 'invalid_api_key' : 'access_denied'
        expect(answer.json().error.code).toBe(code)
      }
    }
  },
)

test('every 401 has one body', async () => {
  const bodies = new Set<string>()
  for (const each of cases.filter((one) => expected(one) === 401)) {
    for (const lines of requests(each)) {
      const answer = await ask(gates[each.anonymous].port, request('GET', '/v1/models', { key: null, lines }))
      bodies.add(answer.body.toString())
    }
  }
  expect(bodies.size).toBe(1)
})

// What holds for one key is judged once it is known whose it is, and only narrows.
test.each<[address: string, agent: string, status: number]>([
  ['192.0.2.1', 'good/1.0', 200],
  ['192.0.2.99', 'good/1.0', 403],
  ['192.0.2.1', 'good/2.0', 403],
  ['192.0.2.99', 'good/2.0', 403],
  ['203.0.113.1', 'good/1.0', 403],
  ['192.0.2.1', 'other', 403],
])('a key with lists of its own, from %s by %s: %d', async (address, agent, status) => {
  for (const gate of Object.values(gates)) {
    const lines = [`X-Forwarded-For: ${address}`, `User-Agent: ${agent}`]
    const seen = upstream.requests.length
    const answer = await ask(gate.port, request('GET', '/v1/models', { key: boundKey, lines }))
    expect(answer.status).toBe(status)
    expect(upstream.requests.length - seen).toBe(status === 200 ? 1 : 0)
  }
})
