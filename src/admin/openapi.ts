// The description of the admin API, made from the routes themselves (OpenAPI 3.1, whose schemas are JSON Schema
// 2020-12, which is what zod writes).

import { z } from 'zod'
import manifest from '../../package.json' with { type: 'json' }
import { configProblemRow } from './routes.ts'
import type { Route } from './route.ts'

type Json = Readonly<Record<string, unknown>>

const meanings: Record<number, string> = {
  200: 'Done',
  201: 'Made',
  400: 'Malformed: `param` names the part',
  401: 'No token, or a wrong one',
  403: 'The token’s role may not',
  404: 'No such thing',
  409: 'It is in another state than this needs',
  413: 'The body is over 64 KB',
  415: 'The body is no application/json',
  421: 'The Host is none that this port answers to',
  422: 'The configuration is wrong: `problems` says where',
  429: 'Too many wrong tokens from this address',
  503: 'The store cannot be reached',
}

const error = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
    problems: z.array(configProblemRow).optional(),
  }),
})

/** The OpenAPI 3.1 document of `routes`. */
export function describeApi(routes: readonly Route[]): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:([a-z]+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Headgate admin API',
      version: manifest.version,
      description:
        'For operators. Lists answer `{rows, next}`, newest first; `next` goes back as `?cursor=`. Errors are ' +
        '`{"error":{"message","type","param","code"}}`. Unknown members are refused.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      schemas: { Error: schemaOf(error, 'output') },
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'An admin token.' } },
    },
  }
}

function operation(route: Route): Json {
  const { method, path, summary, description, role, query, body, bodyOptional } = route
  const refusals = [400, 401, 403, ...route.refusals, 413, 415, 421, 429]
  return {
    operationId: operationId(method, path),
    summary,
    description: [description, `Role: ${role}.`].filter((part) => part !== undefined).join(' '),
    ...parameters(path, query),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: bodyOptional !== true,
            content: { 'application/json': { schema: schemaOf(body, 'input') } },
          },
        }),
    responses: {
      [route.status]: {
        description: meanings[route.status],
        content: { 'application/json': { schema: schemaOf(route.answer, 'output') } },
      },
      ...Object.fromEntries(refusals.map((status) => [status, refusal(status)])),
    },
    'x-role': role,
  }
}

function refusal(status: number): Json {
  const schema = { $ref: '#/components/schemas/Error' }
  return { description: meanings[status], content: { 'application/json': { schema } } }
}

function parameters(path: string, query: z.ZodType | undefined): Json {
  const inPath = [...path.matchAll(/:([a-z]+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const schema = query === undefined ? {} : schemaOf(query, 'input')
  const properties = (schema['properties'] ?? {}) as Record<string, Json>
  const inQuery = Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: 'query',
    required: false,
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }))
  const all = [...inPath, ...inQuery]
  return all.length === 0 ? {} : { parameters: all }
}

/** `GET /api/keys/:id` as `getKeysById`. */
function operationId(method: string, path: string): string {
  const words = path
    .slice('/api/'.length)
    .split('/')
    .map((word) =>
      word.startsWith(':') ? `By${capital(word.slice(1))}` : capital(word.replace('.json', '')),
    )
  return method.toLowerCase() + words.join('')
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const found = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
  })
  delete found.$schema
  return found
}
