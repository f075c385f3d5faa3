// Stage 1, accept: the strict front above HTTP itself. Decides what kind of request this is (endpoint), refuses paths,
// hosts and upgrades that could be read in two ways, and reads or bounds the body. The head is judged before anybody is
// authenticated; the body is read only afterwards, so that a stranger cannot make us hold 32 MB.

import { Finding } from '../../base/known-bytes.ts'
import type { Exchange, IncomingRequest, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { findEndpoint, unknownEndpoint, type Endpoint } from '../../openai/endpoints.ts'
import { FormModel } from '../../openai/form-model.ts'
import { bodyPlan, KnownBodies, readJson, takeWhole } from './body.ts'
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
  /** Bytes for what is known of JSON bodies that come again; absent = none is known. */
  readonly knownBodies?: number
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
  const known = options.knownBodies === undefined ? null : new KnownBodies(options.knownBodies)
  const { jsonBodyBytes: bytesMax } = options
  return {
    head(x) {
      const { request } = x
      if (cors !== null) x.corsLines = cors.lines(request.headers)
      x.clientAddress = findClient(request)
      if (hosts.size > 0) checkHost(request.headers.get('host')!, hosts)
      x.endpoint = endpoints.of(request.headers.known, request)
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
      if (body.whole === null && plan === 'whole') return readJson(x, body, { bytesMax, known })
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
      if (plan === 'whole') takeWhole(x, body, known)
      x.requestBody = body
      x.bytesIn = body.length
      return undefined
    },
  }
}

/** @throws Failure where there can be nothing at its path */
const endpoints = new Finding(({ method, path }: IncomingRequest): Endpoint => {
  const endpoint = findEndpoint(method, path)
  const problem = pathProblem(path, endpoint?.modelInPath ?? false)
  if (problem !== null) throw new Failure('malformed_request', problem)
  if (path.startsWith('/v1/')) return endpoint ?? unknownEndpoint
  throw new Failure('not_found', `There is nothing at this path: the API is under /v1, such as /v1/models.`)
})

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
