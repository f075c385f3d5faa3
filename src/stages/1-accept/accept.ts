// Stage 1, accept: the strict front above HTTP itself. Decides what kind of request this is (endpoint), refuses paths,
// hosts and upgrades that could be read in two ways, and reads or bounds the body. The head is judged before anybody is
// authenticated; the body is read only afterwards, so that a stranger cannot make us hold 32 MB.

import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { findEndpoint, unknownEndpoint } from '../../openai/endpoints.ts'
import { FormModel } from '../../openai/form-model.ts'
import { bodyPlan, readJson } from './body.ts'
import { createFindClient } from './client-address.ts'
import { createCors, type CorsOptions } from './cors.ts'
import { LimitedBody } from './limited-body.ts'
import { pathProblem } from './path.ts'
import { noteTold } from './told.ts'

/** What stage 1 needs of the configuration. */
export interface AcceptOptions {
  /** Host names accepted, lower-case, without port; empty = any. */
  readonly publicHosts: readonly string[]
  /** CIDR blocks of proxies whose word about the client is believed. */
  readonly trustedProxies: readonly string[]
  readonly cors?: CorsOptions | undefined
  /** Longest JSON body, and longest body of any other kind. */
  readonly jsonBodyBytes: number
  readonly uploadBytes: number
}

export interface AcceptStage {
  /** Judges the head: client, host, path, endpoint, upgrade. The answer, where there is no more to ask for. @throws Failure */
  head(x: Exchange): Reply | null
  /** Reads a JSON body whole, puts a bound on any other. Undefined where there is nothing to wait for. @throws Failure */
  body(x: Exchange): Promise<void> | undefined
}

export function createAccept(options: AcceptOptions): AcceptStage {
  const hosts = new Set(options.publicHosts)
  const findClient = createFindClient(options.trustedProxies)
  const cors = options.cors === undefined ? null : createCors(options.cors)
  return {
    head(x) {
      const { request } = x
      if (cors !== null) x.corsLines = cors.lines(request.headers)
      x.clientAddress = findClient(request)
      if (hosts.size > 0) checkHost(request.headers.get('host')!, hosts)
      const endpoint = findEndpoint(request.method, request.path)
      const problem = pathProblem(request.path, endpoint?.modelInPath ?? false)
      if (problem !== null) throw new Failure('malformed_request', problem)
      if (!request.path.startsWith('/v1/')) {
        throw new Failure(
          'not_found',
          `There is nothing at this path: the API is under /v1, such as /v1/models.`,
        )
      }
      x.endpoint = endpoint ?? unknownEndpoint
      checkUpgrade(x)
      noteTold(x)
      const allowed = cors === null ? null : cors.preflight(request)
      if (allowed === null) return null
      x.corsLines += allowed
      return { status: 204, headerLines: '', dated: false, contentType: '', body: null, tunnel: null }
    },
    body(x) {
      const { body } = x.request
      if (body === null) return undefined
      const plan = bodyPlan(x, options)
      if (body.whole === null && plan === 'whole') return readJson(x, body, options.jsonBodyBytes)
      if (plan === 'stream' && x.endpoint!.metered !== 'free')
        x.form = FormModel.of(x.request.headers.get('content-type'))
      if (body.whole === null) {
        x.requestBody = new LimitedBody(body, options.uploadBytes, (bytes, last) => {
          x.bytesIn = bytes
          x.form?.add(last)
        })
        return undefined
      }
      x.form?.add(body.whole)
      x.requestBody = body
      x.bytesIn = body.length
      if (plan === 'whole') x.bodyBytes = body.whole
      return undefined
    },
  }
}

function checkHost(host: string, hosts: ReadonlySet<string>): void {
  const name = host.toLowerCase().replace(/:[0-9]+$/, '')
  if (!hosts.has(name)) {
    throw new Failure(
      'misdirected_request',
      'This host name is not served here. Check the base URL your client uses.',
    )
  }
}

function checkUpgrade(x: Exchange): void {
  const { upgrade } = x.request
  if (upgrade === null || upgrade === x.endpoint!.upgrade) return
  throw new Failure('malformed_request', 'This path cannot be upgraded to another protocol.')
}
