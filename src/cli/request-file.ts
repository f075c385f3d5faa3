// A request in a file, as commands that explain take it: the JSON body alone, or a wrapper around it that also says where it
// goes, with which header fields and by whose key. A body that is all of the file, or a text in the wrapper, counts byte for
// byte, since how it is written can matter.

import { readText } from '../config/read-text.ts'

/** What the file says. */
export interface RequestFile {
  readonly method: string
  /** Path with its query. */
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
  /** Null = it says nothing. */
  readonly key: string | null
  /** Null = there is none. */
  readonly body: string | null
}

const bytesMax = 32 * 1024 * 1024
const members = ['method', 'path', 'headers', 'key', 'body']
const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/

/** Reads one; `path`: where it goes if it does not say so. @returns why not, in words that follow the file's name */
export async function readRequestFile(
  file: string,
  path: string | null,
): Promise<RequestFile | { wrong: string }> {
  const read = await readText(file, bytesMax)
  if ('wrong' in read) return read
  let value: unknown
  try {
    value = JSON.parse(read.text)
  } catch (cause) {
    return { wrong: `it is no JSON: ${(cause as Error).message.replace(/^JSON Parse error: /, '')}` }
  }
  if (!isMapping(value)) return { wrong: 'it is no JSON object' }
  // No endpoint takes a member called `body`.
  if ('body' in value || ('path' in value && !('model' in value))) return wrapped(value, path)
  const goes = path ?? guessed(value)
  if (goes === null)
    return { wrong: 'it does not show which endpoint it is for: say --path, such as --path /v1/embeddings' }
  const method = 'POST'
  return checkedPath({ method, path: goes, headers: [], key: null, body: read.text })
}

function wrapped(value: Record<string, unknown>, path: string | null): RequestFile | { wrong: string } {
  const other = Object.keys(value).find((name) => !members.includes(name))
  if (other !== undefined) return { wrong: `"${other}" is none of ${members.join(', ')}` }
  const { method, key = null, body = null, headers = {} } = value
  if (key !== null && typeof key !== 'string') return { wrong: 'key: expected a name, or an id' }
  if (body !== null && typeof body !== 'string' && !isMapping(body))
    return { wrong: 'body: expected an object, or a text that is sent as it is' }
  if (method !== undefined && (typeof method !== 'string' || !/^[A-Z]{1,16}$/.test(method)))
    return { wrong: 'method: expected a word such as POST' }
  const fields = fieldsOf(headers)
  if (fields === null) return { wrong: 'headers: expected a mapping of names to texts, or to lists of texts' }
  const own = value['path']
  if (own !== undefined && typeof own !== 'string') return { wrong: 'path: expected a text' }
  const goes = own ?? path ?? (isMapping(body) ? guessed(body) : null)
  if (goes === null) return { wrong: 'it has no "path", such as "/v1/embeddings"' }
  const text = body === null || typeof body === 'string' ? body : JSON.stringify(body)
  return checkedPath({
    method: method ?? (body === null ? 'GET' : 'POST'),
    path: goes,
    headers: fields,
    key,
    body: text,
  })
}

function checkedPath(request: RequestFile): RequestFile | { wrong: string } {
  const good = /^\/[\x21-\x7e]*$/.test(request.path) && !request.path.includes('#')
  return good
    ? request
    : { wrong: `"${request.path.slice(0, 80)}" is no path: expected one such as /v1/embeddings` }
}

function fieldsOf(headers: unknown): [string, string][] | null {
  if (!isMapping(headers)) return null
  const fields: [string, string][] = []
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (typeof one !== 'string' || !headerName.test(name) || !headerValue.test(one)) return null
      fields.push([name, one.trim()])
    }
  }
  return fields
}

/** Where a body that can only be for one endpoint goes. */
function guessed(body: Record<string, unknown>): string | null {
  if ('messages' in body) return '/v1/chat/completions'
  if ('voice' in body) return '/v1/audio/speech'
  const { model } = body
  if (typeof model === 'string' && 'input' in body) {
    if (/embedding/i.test(model)) return '/v1/embeddings'
    return /moderation/i.test(model) ? '/v1/moderations' : '/v1/responses'
  }
  return null
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
