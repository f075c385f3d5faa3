// One call of the admin API, from a request to an answer: token, route, role, then what was sent. In this order, so that
// without a token nothing can be learnt, not even which paths exist. Answers are JSON and never cached; no CORS field is
// ever sent, so that no web page reads one.

import { z } from 'zod'
import type { LogEvent } from './admin.ts'
import type { FailedAttempts } from './failed-attempts.ts'
import { describeApi } from './openapi.ts'
import { ApiProblem } from './problem.ts'
import { route, type AdminWorld, type Route } from './route.ts'
import { apiRoutes } from './routes.ts'
import { readBody, readQuery } from './sent.ts'
import type { AdminTokens, Operator } from './tokens.ts'

/** All routes, the description itself among them. */
export const allRoutes: readonly Route[] = [
  ...apiRoutes,
  route({
    method: 'GET',
    path: '/api/openapi.json',
    role: 'viewer',
    summary: 'This description',
    status: 200,
    answer: z.record(z.string(), z.unknown()),
    refusals: [],
    handle: () => (description ??= describeApi(allRoutes)),
  }),
]
let description: unknown

export interface ApiParts {
  readonly world: AdminWorld
  readonly tokens: () => AdminTokens
  readonly failures: FailedAttempts
  readonly event: LogEvent
}

/** Answers a call under /api. Never rejects. `address`: of the caller. */
export async function answerApi(request: Request, address: string, parts: ApiParts): Promise<Response> {
  try {
    const operator = operatorOf(request, address, parts)
    const url = new URL(request.url)
    const { found, params } = findRoute(request.method, url.pathname)
    if (found.role === 'admin' && operator.role !== 'admin') {
      const message = `The token "${operator.name}" may only read. Use one with the role admin.`
      throw new ApiProblem('access_denied', message)
    }
    const query = readQuery(found, url.searchParams)
    const body = await readBody(found, request)
    const answer = await found.handle({ params, query, body, operator, world: parts.world })
    return answer instanceof Response ? answer : json(answer, found.status)
  } catch (cause) {
    if (cause instanceof ApiProblem) return refusal(cause)
    parts.event('error', 'This is a bug: please report it.', { cause })
    return refusal(new ApiProblem('internal_error', 'The gateway failed. Its log says how.'))
  }
}

/** @throws ApiProblem */
function operatorOf(request: Request, address: string, { tokens, failures }: ApiParts): Operator {
  const token = /^bearer ([\x21-\x7e]{1,1024})$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  const operator = token === undefined ? null : tokens().identify(token)
  if (operator !== null) return operator
  const waitSeconds = failures.book(address)
  if (waitSeconds > 0) {
    const message = 'Too many calls without a valid token came from this address. Wait before you try again.'
    throw new ApiProblem('rate_limit_exceeded', message, { waitSeconds })
  }
  const message = 'A valid admin token is needed. Send yours in the Authorization header: Bearer <token>.'
  throw new ApiProblem('invalid_admin_token', message)
}

/** @throws ApiProblem */
function findRoute(method: string, path: string): { found: Route; params: Record<string, string> } {
  const wanted = method === 'HEAD' ? 'GET' : method
  const allowed: string[] = []
  for (const found of allRoutes) {
    const params = match(found.path, path)
    if (params === null) continue
    if (found.method === wanted) return { found, params }
    allowed.push(found.method)
  }
  if (allowed.length === 0)
    throw new ApiProblem(
      'not_found',
      'There is nothing at this path. GET /api/openapi.json lists what there is.',
    )
  const message = `This path does not know ${/^[A-Z]{1,16}$/.test(method) ? method : 'this method'}, but ${allowed.join(' and ')}.`
  throw new ApiProblem('method_not_allowed', message, { allowed })
}

/** The named segments of `path` where it fits; ids are plain characters only, so nothing has to be decoded. */
function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return null
  const params: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const text = given[index]!
    if (part.startsWith(':')) {
      if (!/^[A-Za-z0-9_-]{1,128}$/.test(text)) return null
      params[part.slice(1)] = text
    } else if (part !== text) return null
  }
  return params
}

/** A refusal as an answer. */
export function refusal(problem: ApiProblem): Response {
  const headers: Record<string, string> = {}
  const { waitSeconds, allowed } = problem.about
  if (waitSeconds !== undefined) headers['retry-after'] = String(waitSeconds)
  if (allowed !== undefined) headers['allow'] = allowed.join(', ')
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer'
  return json(problem, problem.status, headers)
}

/** JSON that no cache keeps and no browser takes for something else. */
export function json(value: unknown, status: number, headers: Record<string, string> = {}): Response {
  return Response.json(value, {
    status,
    headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...headers },
  })
}
