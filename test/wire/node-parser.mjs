// Runs under Node: reads messages (one a line: kind, space, base64) and says what Node's own parser makes of each.
// @ts-nocheck Node's parser has no types.

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { HTTPParser, methods } = createRequire(import.meta.url)('_http_common')

function parse(kind, bytes) {
  const seen = { ok: false, method: null, url: null, status: null, keepAlive: null, complete: false }
  const body = []
  // Where fields are many they come in parts before the head is complete; trailers come the same way behind it.
  let early = []
  let fields = null
  let url = ''
  const parser = new HTTPParser()
  parser.initialize(kind === 'request' ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {})
  parser[HTTPParser.kOnHeaders] = (headers, part) => {
    if (fields === null) early = [...early, ...headers]
    url += part ?? ''
  }
  parser[HTTPParser.kOnHeadersComplete] = (...told) => {
    const [, , headers, method, target, status, , upgrade, keepAlive] = told
    fields = headers ?? early
    Object.assign(seen, {
      method: methods[method] ?? null,
      url: target ?? url,
      status: status ?? null,
      keepAlive,
    })
    return upgrade ? 2 : 0
  }
  parser[HTTPParser.kOnBody] = (part) => void body.push(Buffer.from(part))
  parser[HTTPParser.kOnMessageComplete] = () => void (seen.complete = true)
  seen.ok = !(parser.execute(bytes) instanceof Error)
  return { ...seen, fields: fields ?? [], body: Buffer.concat(body).toString('base64') }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [kind, base64] = line.split(' ')
  process.stdout.write(`${JSON.stringify(parse(kind, Buffer.from(base64, 'base64')))}\n`)
}
