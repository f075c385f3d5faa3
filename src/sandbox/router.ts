// Finds the endpoint of a method and path. Routes are bucketed by method and tried in order; a `:name*`
// at the end takes all that is left (model names may hold slashes).

import type { Handler, Route } from './world.ts'

interface Compiled {
  readonly segments: readonly string[]
  readonly rest: boolean
  readonly handler: Handler
}

/** A request's endpoint with the named parts of the path, still percent-encoded. */
export interface Found {
  readonly handler: Handler
  readonly params: Record<string, string>
}

function matched(route: Compiled, segments: readonly string[]): Record<string, string> | null {
  if (route.rest ? segments.length < route.segments.length - 1 : segments.length !== route.segments.length)
    return null
  const params: Record<string, string> = {}
  for (const [i, wanted] of route.segments.entries()) {
    const got = segments[i] ?? ''
    if (wanted.endsWith('*')) params[wanted.slice(1, -1)] = segments.slice(i).join('/')
    else if (wanted.startsWith(':')) {
      if (got === '') return null
      params[wanted.slice(1)] = got
    } else if (wanted !== got) return null
  }
  return params
}

/** Endpoints by method and path. The first route that fits wins. */
export class Router {
  readonly #byMethod = new Map<string, Compiled[]>()

  constructor(routes: readonly Route[]) {
    for (const [method, path, handler] of routes) {
      const segments = path.split('/').slice(1)
      const compiled = { segments, rest: path.endsWith('*'), handler }
      this.#byMethod.set(method, [...(this.#byMethod.get(method) ?? []), compiled])
    }
  }

  find(method: string, path: string): Found | null {
    const segments = path.split('/').slice(1)
    for (const bucket of [method, '*']) {
      for (const route of this.#byMethod.get(bucket) ?? []) {
        const params = matched(route, segments)
        if (params !== null) return { handler: route.handler, params }
      }
    }
    return null
  }
}
