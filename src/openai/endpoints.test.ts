import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'bun:test'
import { findEndpoint, operations, unknownEndpoint } from './endpoints.ts'

const data = process.env['HEADGATE_TEST_DATA'] ?? resolve(import.meta.dir, '../../../shared/data')
const descriptionFile = resolve(data, 'openapi.json')

interface Described {
  readonly method: string
  readonly path: string
  readonly media: readonly string[]
  readonly answers: readonly string[]
}

type Media = { content?: Record<string, unknown> }

function described(): Described[] {
  const { paths } = JSON.parse(readFileSync(descriptionFile, 'utf8')) as {
    paths: Record<string, Record<string, { requestBody?: Media; responses?: Record<string, Media> }>>
  }
  const all: Described[] = []
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { requestBody, responses }] of Object.entries(methods)) {
      if (!['get', 'post', 'put', 'patch', 'delete', 'head', 'options'].includes(method)) continue
      all.push({
        method: method.toUpperCase(),
        path: `/v1${path.split('?')[0]!.replace(/\{[^}]+\}/g, 'id_123')}`,
        media: Object.keys(requestBody?.content ?? {}),
        answers: Object.values(responses ?? {}).flatMap((answer) => Object.keys(answer.content ?? {})),
      })
    }
  }
  return all
}

describe.skipIf(!existsSync(descriptionFile))(
  "against OpenAI's published API description (needs the test data)",
  () => {
    test('every operation it describes is known', () => {
      const all = described()
      expect(all.length).toBeGreaterThan(250)
      expect(all.filter(({ method, path }) => findEndpoint(method, path) === null)).toEqual([])
    })

    test('bodies are treated as the media types it describes', () => {
      const wrong: string[] = []
      for (const { method, path, media } of described()) {
        const endpoint = findEndpoint(method, path)!
        if (endpoint.operation === 'organization' || endpoint.operation === 'projects') continue
        const kinds = media.map((type) =>
          type === 'application/json' ? 'json' : type === 'multipart/form-data' ? 'multipart' : 'any',
        )
        const body = kinds.length === 0 ? 'none' : kinds.length === 1 ? kinds[0]! : 'any'
        if (endpoint.body !== body) wrong.push(`${method} ${path}: ${endpoint.body}, described as ${body}`)
      }
      expect(wrong).toEqual([])
    })

    test('what costs and says its model in the body has it there, and what costs otherwise never passes for free', () => {
      const { paths } = JSON.parse(readFileSync(descriptionFile, 'utf8')) as {
        paths: Record<string, Record<string, unknown>>
      }
      let costly = 0
      for (const path of Object.keys(paths)) {
        const endpoint = findEndpoint('POST', `/v1${path.replace(/\{[^}]+\}/g, 'id_123')}`)
        if (endpoint === null || endpoint.metered === 'free') continue
        costly++
        expect({ path, none: endpoint.model === 'none' }).toEqual({ path, none: false })
        if (endpoint.body === 'multipart' || endpoint.body === 'none')
          expect(endpoint.model).toBe('elsewhere')
      }
      expect(costly).toBeGreaterThan(25)
    })

    test('what may answer with server-sent events says so', () => {
      const streaming = described().filter(({ answers }) => answers.includes('text/event-stream'))
      expect(streaming.length).toBeGreaterThan(5)
      expect(streaming.filter(({ method, path }) => !findEndpoint(method, path)!.streams)).toEqual([])
    })
  },
)

test('operations carry the names of the SDK resources', () => {
  const named: [string, string, string][] = [
    ['POST', '/v1/chat/completions', 'chat.completions'],
    ['GET', '/v1/chat/completions/chatcmpl-1/messages', 'chat.completions'],
    ['POST', '/v1/responses', 'responses'],
    ['POST', '/v1/embeddings', 'embeddings'],
    ['POST', '/v1/images/generations', 'images.generations'],
    ['POST', '/v1/audio/speech', 'audio.speech'],
    ['GET', '/v1/files/file-1/content', 'files'],
    ['POST', '/v1/batches', 'batches'],
    ['POST', '/v1/threads/runs', 'threads.runs'],
    ['POST', '/v1/threads/thread_1/runs', 'threads.runs'],
    ['GET', '/v1/threads/runs', 'threads'],
    ['GET', '/v1/videos/characters/char_1', 'videos'],
    ['GET', '/v1/videos/characters/content', 'videos'],
    ['GET', '/v1/organization/projects/p/users/u', 'organization'],
  ]
  for (const [method, path, operation] of named) expect(findEndpoint(method, path)?.operation).toBe(operation)
})

test('a literal segment wins over an id, and an id may look like a literal', () => {
  expect(findEndpoint('POST', '/v1/responses/compact')).toMatchObject({ metered: 'usage', body: 'json' })
  expect(findEndpoint('GET', '/v1/responses/compact')).toMatchObject({ metered: 'free', body: 'none' })
})

test('an id that is a literal but for its case is unknown', () => {
  expect(findEndpoint('POST', '/v1/threads/Runs')).toBeNull()
  expect(findEndpoint('POST', '/v1/threads/RUNS')).toBeNull()
  expect(findEndpoint('POST', '/v1/responses/COMPACT')).toBeNull()
  expect(findEndpoint('POST', '/v1/threads/thread_AbC')?.operation).toBe('threads')
  expect(findEndpoint('GET', '/v1/models/Org%2FModel')?.operation).toBe('models')
})

describe('what says which model the cost is for', () => {
  test.each([
    [
      'body',
      'chat/completions responses responses/compact completions embeddings images/generations images/edits',
    ],
    ['body', 'audio/speech videos threads/runs threads/t/runs fine_tuning/jobs'],
    [
      'elsewhere',
      'batches evals/e/runs fine_tuning/alpha/graders/run fine_tuning/jobs/f/resume chatkit/sessions',
    ],
    ['elsewhere', 'realtime/calls realtime/calls/c/accept realtime/client_secrets realtime/sessions'],
    ['elsewhere', 'realtime/transcription_sessions realtime/translations/client_secrets'],
    ['elsewhere', 'audio/transcriptions audio/translations images/variations audio/voices videos/v/remix'],
    ['elsewhere', 'threads/t/runs/r/submit_tool_outputs videos/edits videos/extensions files'],
    [
      'none',
      'assistants threads threads/t threads/t/messages conversations moderations evals responses/r/cancel',
    ],
    ['none', 'fine_tuning/alpha/graders/validate responses/input_tokens fine_tuning/jobs/f/pause'],
  ] as const)('%s: %s', (model, paths) => {
    for (const path of paths.split(' '))
      expect({ path, model: findEndpoint('POST', `/v1/${path}`)?.model }).toEqual({ path, model })
  })

  test('a socket does not say', () => {
    expect(findEndpoint('GET', '/v1/realtime')?.model).toBe('elsewhere')
    expect(findEndpoint('GET', '/v1/responses')?.model).toBe('elsewhere')
  })
})

test('WebSocket paths', () => {
  expect(findEndpoint('GET', '/v1/realtime')?.upgrade).toBe('websocket')
  expect(findEndpoint('GET', '/v1/responses')?.upgrade).toBe('websocket')
  expect(findEndpoint('GET', '/v1/responses/resp_1')?.upgrade).toBeNull()
})

test('a model id may hold an encoded slash, no other id may', () => {
  expect(findEndpoint('GET', '/v1/models/org%2fmodel')).toMatchObject({
    operation: 'models',
    modelInPath: true,
  })
  expect(findEndpoint('DELETE', '/v1/models/ft:gpt-4o:org::x%2Fy')?.operation).toBe('models')
  expect(findEndpoint('GET', '/v1/files/a%2Fcontent')).toBeNull()
  expect(findEndpoint('GET', '/v1/files/a%2fb/content')).toBeNull()
  expect(findEndpoint('GET', '/v1/organization/a%2fb')).toBeNull()
})

test.each([
  ['GET', '/v1/chat'],
  ['GET', '/v1'],
  ['GET', '/v1/'],
  ['GET', ''],
  ['GET', '/chat/completions'],
  ['PUT', '/v1/chat/completions'],
  ['HEAD', '/v1/chat'],
  ['HEAD', '/v1/realtime'],
  ['HEAD', '/v1/embeddings'],
  ['OPTIONS', '/v1/chat/completions'],
  ['post', '/v1/chat/completions'],
  ['POST', '/v1/chat/completions/'],
  ['POST', '/v1/Chat/completions'],
  ['POST', '/v1//chat/completions'],
  ['POST', '/v1/chat%2fcompletions'],
  ['POST', '/v1/ch%61t/completions'],
  ['POST', '/V1/chat/completions'],
  ['POST', '/v1/chat/completions?x=1'],
  ['POST', '/v2/chat/completions'],
  ['GET', '/v1/files/'],
  ['GET', '/v1/files//content'],
  ['GET', '/v1/models/org/model'],
  ['GET', '/v1/__proto__'],
  ['constructor', '/v1/models'],
  ['GET', `/v1${'/a'.repeat(100_000)}`],
])('%s on a path not in the table is unknown', (method, path) => {
  expect(findEndpoint(method, path)).toBeNull()
})

test('HEAD is the row of GET', () => {
  for (const path of ['/v1/models', '/v1/files/file-1/content', '/v1/chat/completions'])
    expect(findEndpoint('HEAD', path)).toBe(findEndpoint('GET', path))
})

test.each([
  ['GET', '/v1/files', []],
  ['GET', '/v1/files/file-1/content', [1]],
  ['POST', '/v1/threads/thread_1/runs/run_1/cancel', [1, 3]],
  ['GET', '/v1/fine_tuning/jobs/ftjob-1', [2]],
  ['DELETE', '/v1/models/ft:x', []],
])('%s %s has ids at %p', (method, path, at) => {
  expect(findEndpoint(method, path)?.idSegments).toEqual(at)
})

test.each([
  ['GET', '/v1/videos/video_1', 'video'],
  ['POST', '/v1/videos', 'video'],
  ['POST', '/v1/videos/video_1/remix', 'video'],
  ['DELETE', '/v1/videos/video_1', null],
  ['GET', '/v1/videos', null],
  ['GET', '/v1/videos/video_1/content', null],
  ['GET', '/v1/fine_tuning/jobs/ftjob-1', 'job'],
] as const)('%s %s shows what costs later: %s', (method, path, later) => {
  expect(findEndpoint(method, path)!.later).toBe(later)
})

test('what is unknown is never repeated and streams through', () => {
  expect(unknownEndpoint).toEqual({
    operation: 'unknown',
    body: 'any',
    streams: true,
    repeatable: false,
    metered: 'unmetered',
    ownsIds: false,
    idSegments: [],
    upgrade: null,
    modelInPath: false,
    model: 'elsewhere',
    includeUsage: false,
    later: null,
  })
})

test('the list of operations is sorted, without repeats, and ends with unknown', () => {
  const known = operations.slice(0, -1)
  expect(known).toEqual([...new Set(known)].sort())
  expect(known).toContain('chat.completions')
  expect(operations.at(-1)).toBe('unknown')
})
