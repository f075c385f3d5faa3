// What tests of stored objects share: callers of several teams, and the stores that the table of objects can be in.

import { expect } from 'bun:test'
import { systemClock } from '../../src/base/clock.ts'
import type { Secret } from '../../src/base/secret.ts'
import { StoredObjects } from '../../src/objects/stored-objects.ts'
import { openStorage } from '../../src/storage/open.ts'
import { finallyClose, scratchFolder, upstreamAt, type ConfigTree } from './harness.ts'

export const key = (name: string): string =>
  `hg_test_${name}${'7Rk2vXq9LmZt4WcYb8NfHs3JgPd6Ua5E'.slice(name.length)}`
export const [ann, amy, bob, cyd] = [key('ann'), key('amy'), key('bob'), key('cyd')]
/** Ann and Amy are of one team, Bob of another, Cyd of none. */
export const access = {
  keys: [
    { name: 'ann', value: ann, team: 'core' },
    { name: 'amy', value: amy, team: 'core' },
    { name: 'bob', value: bob, team: 'sales' },
    { name: 'cyd', value: cyd },
  ],
}

export const treeAt = (url: string, more: ConfigTree = {}): ConfigTree => ({
  upstreams: [upstreamAt(url)],
  access: { ...access, ...more },
})

export interface Answer {
  readonly status: number
  readonly json: any
  readonly text: string
}

export interface Caller {
  (method: string, path: string, body?: unknown): Promise<Answer>
}

export function callerOf(port: number, secret: string): Caller {
  return async (method, path, body) => {
    const headers: Record<string, string> = { authorization: `Bearer ${secret}` }
    const isForm = body instanceof FormData
    if (body !== undefined && !isForm) headers['content-type'] = 'application/json'
    const sent =
      body === undefined ? null : isForm ? body : typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await fetch(`http://127.0.0.1:${port}/v1${path}`, { method, headers, body: sent })
    const text = await answer.text()
    let json: unknown = null
    try {
      json = JSON.parse(text)
    } catch {}
    return { status: answer.status, json, text }
  }
}

export function form(fields: Record<string, string | Blob>): FormData {
  const made = new FormData()
  for (const [name, value] of Object.entries(fields))
    if (typeof value === 'string') made.append(name, value)
    else made.append(name, value, 'file.jsonl')
  return made
}

export async function file(call: Caller, purpose = 'assistants', text = 'some text'): Promise<string> {
  const { status, json } = await call('POST', '/files', form({ purpose, file: new Blob([text]) }))
  expect({ status, error: json?.error }).toEqual({ status: 200, error: undefined })
  return json.id as string
}

export async function made(call: Caller, path: string, body: unknown): Promise<any> {
  const { status, json, text } = await call('POST', path, body)
  if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`)
  return json
}

/** What another must get: to the letter what an id gets that never existed. */
export const gone = {
  message: 'No object has this id. Check the id, and that it was made with a key of the same owner.',
  type: 'invalid_request_error',
  param: null,
  code: 'not_found',
}

export async function hidden(call: Caller, method: string, path: string, body?: unknown): Promise<void> {
  const { status, json } = await call(method, path, body)
  expect({ method, path, body, status, error: json?.error }).toEqual({
    method,
    path,
    body,
    status: 404,
    error: gone,
  })
}

export const chat = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }] }

export const at = (path: string, id: string): string => path.replace('{}', id)
export const idsOf = (answer: Answer): string[] => (answer.json.data as { id: string }[]).map(({ id }) => id)

export async function storedIn(postgres: Secret | null, folder = scratchFolder()): Promise<StoredObjects> {
  const storage = await openStorage({ path: folder, postgres }, systemClock)
  const objects = new StoredObjects({ storage, clock: systemClock, keepMs: 86_400_000 })
  finallyClose(async () => {
    await objects.close()
    await storage.close()
  })
  return objects
}
