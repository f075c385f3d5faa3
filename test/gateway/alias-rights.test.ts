// A key's list of models is held against the model an alias stands for, too: a glob that fits the alias by chance opens
// nothing, and naming the alias itself means what stands behind it.

import { expect, test } from 'bun:test'
import { ask, finallyClose, jsonBody, promiseTests, request, startGate, upstreamAt } from './harness.ts'
import { reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

test('models are checked after aliases are resolved', async () => {
  const upstream = ScriptedUpstream.start((_, peer) => void peer.write(reply(200, '{"ok":true}')))
  finallyClose(() => upstream.stop())
  const key = (name: string, models: string[]) => ({
    name,
    value: `hg_test_alias_rights_${name}_0123456789`,
    models,
  })
  const keys = [key('glob', ['fast*']), key('alias', ['fast']), key('both', ['fast*', 'gpt-4o*'])]
  const models = { fast: 'gpt-4o-mini' }
  const gate = await startGate({ upstreams: [upstreamAt(upstream.url, { models })], access: { keys } })
  const asked = (name: string) =>
    ask(
      gate.port,
      request('POST', '/v1/chat/completions', {
        ...jsonBody({ model: 'fast', messages: [] }),
        key: keys.find((one) => one.name === name)!.value,
      }),
    )
  const refused = await asked('glob')
  expect({ status: refused.status, code: refused.json().error.code }).toEqual({
    status: 403,
    code: 'model_not_allowed',
  })
  expect(upstream.requests).toHaveLength(0)
  for (const name of ['alias', 'both']) {
    expect((await asked(name)).status).toBe(200)
    expect(upstream.last.body.toString()).toContain('"gpt-4o-mini"')
  }
})
