// Stored objects belong to whoever made them. A request may name only its caller's own, anywhere: path, query, JSON, form,
// lines of a batch. Answers are watched for new ids, which are kept before the client can see them, and lists show only the
// caller's part. Nothing is parsed unless a native search finds a member's name that could hold an id. "Not yours" and "never
// heard of" are one answer, after the same look at the store. What cannot be looked into is refused.

import { Finding } from '../../base/known-bytes.ts'
import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { ObjectRecord } from '../../objects/objects.ts'
import { ownerOf } from '../../objects/owner.ts'
import { findEndpoint, type Endpoint } from '../../openai/endpoints.ts'
import { idsInQuery, NamedIds } from '../../openai/object-ids.ts'
import { bodyMayNameIds, checkSources, idsOfBody } from './object-body.ts'
import { FormIds, isForm } from './object-form.ts'
import { shownList } from './object-list.ts'
import { kept } from './object-record.ts'
import { unreachable, type ObjectRules } from './object-rules.ts'
import type { Transformer } from './transformer.ts'

type Records = ReadonlyMap<string, ObjectRecord>

/** The rule that keeps the objects of one owner from every other. */
export function createObjects(rules: ObjectRules): Transformer {
  return {
    request(x) {
      const endpoint = endpointOf(x)
      const several = rules.several()
      if (x.request.upgrade !== null) checkSocket(x, several && rules.sockets === 'refuse')
      if (namesNothing(x, endpoint)) return
      const ids = new NamedIds()
      idsOfPath(x, endpoint, ids)
      idsInQuery(x.request.query, ids)
      if (x.bodyBytes !== null) {
        if (several) checkSources(x, endpoint)
        idsOfBody(x, several, ids)
      } else if (x.requestBody !== null) {
        checkStreamed(x, endpoint, several)
        if (isForm(x))
          x.requestBody = new FormIds(x, {
            source: x.requestBody,
            strict: several,
            check: (found) => check(x, found, rules),
          })
      }
      return check(x, ids, rules)
    },
    reply(x, reply, ask) {
      if (reply.tunnel !== null || reply.status < 200 || reply.status >= 300) return reply
      const endpoint = endpointOf(x)
      const list = shownList(x, reply, { rules, endpoint, ask })
      if (list === null) return kept(x, reply, { rules, endpoint })
      return endpoint.operation === 'unknown'
        ? list.then((shown) => kept(x, shown, { rules, endpoint }))
        : list
    },
    tap: () => null,
  }
}

const mayNameNote = new Finding(bodyMayNameIds)

/** Nearly every request: an inference whose body shows no name of an id. */
function namesNothing(x: Exchange, endpoint: Endpoint): boolean {
  if (endpoint.ownsIds && endpoint.metered !== 'usage') return false
  return (
    endpoint.model === 'body' &&
    endpoint.idSegments.length === 0 &&
    x.request.query.length < 2 &&
    x.bodyBytes !== null &&
    !mayNameNote.of(x.knownBody, x.bodyBytes)
  )
}

/** The row of a path, also where only its case differs: some servers do not mind case, so their answers are judged alike. */
function endpointOf(x: Exchange): Endpoint {
  const endpoint = x.endpoint!
  if (endpoint.operation !== 'unknown') return endpoint
  return findEndpoint(x.request.method, x.request.path.toLowerCase()) ?? endpoint
}

function checkSocket({ endpoint }: Exchange, refused: boolean): void {
  if (!refused || endpoint!.operation !== 'responses') return
  throw new Failure(
    'access_denied',
    'Responses over WebSocket are not served here, since they can name the objects of others. Use POST /v1/responses.',
  )
}

/** Of the outer object all that is inside of it is the owner's; an inner id must only not be another's. */
function idsOfPath(x: Exchange, endpoint: Endpoint, ids: NamedIds): void {
  const { path } = x.request
  if (endpoint.operation === 'unknown') {
    for (const segment of path.split('/', 32)) ids.add('id', segment)
    return
  }
  if (endpoint.modelInPath && x.request.method === 'DELETE') ids.add('model_id', modelOf(path))
  if (endpoint.idSegments.length === 0) return
  const segments = path.slice(4).split('/')
  for (const [order, at] of endpoint.idSegments.entries()) {
    const id = segments[at] ?? ''
    if (order === 0) ids.sure.add(id)
    else ids.maybe.add(id)
  }
}

/** The model in a path, as an upstream decodes it. */
function modelOf(path: string): string {
  return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1))
}

/** What streams through and is no form is looked into by nobody: it passes only as what holds no members. */
function checkStreamed(x: Exchange, endpoint: Endpoint, several: boolean): void {
  if (!several || isForm(x)) return
  const { headers } = x.request
  const type = headers.count('content-type') === 1 ? headers.get('content-type')! : ''
  if (/^(?:(?:audio|image|video)\/|application\/(?:octet-stream|sdp|pdf)\b)/i.test(type)) return
  // A body where none is expected is read by nobody, but for a POST's; an empty object names nothing.
  const { length } = x.requestBody!
  if (endpoint.body === 'none' && (x.request.method !== 'POST' || (length >= 0 && length <= 2))) return
  throw new Failure(
    'unsupported_media_type',
    'Send this body as multipart/form-data, or as application/json with a Content-Length.',
  )
}

/** Holds ids against the table. @throws Failure('not_found' | 'bad_request' | 'overloaded') */
function check(x: Exchange, ids: NamedIds, rules: ObjectRules): void | Promise<void> {
  if (ids.size === 0) return
  if (ids.overflowed) throw new Failure('bad_request', 'The request names too many objects. Split it up.')
  const owner = ownerOf(x.principal, rules.owner)
  const all = ids.maybe.size === 0 ? [...ids.sure] : [...ids.sure.union(ids.maybe)]
  let found: Records | Promise<Records>
  try {
    found = rules.objects.find(all, owner)
  } catch (cause) {
    throw unreachable(cause)
  }
  if (!(found instanceof Promise)) return judge(x, ids, { found, owner, rules })
  return found.then(
    (records) => judge(x, ids, { found: records, owner, rules }),
    (cause: unknown) => {
      throw unreachable(cause)
    },
  )
}

function judge(
  x: Exchange,
  ids: NamedIds,
  { found, owner, rules }: { found: Records; owner: string; rules: ObjectRules },
): void {
  for (const record of found.values()) if (record.owner !== owner) throw notFound()
  for (const id of ids.sure) {
    const record = found.get(id)
    if (record !== undefined) x.objectAccount ??= record.account
    else if (rules.unknown === 'deny' && rules.several()) throw notFound()
    else x.unknownObjects = true
  }
  for (const { account } of found.values()) x.objectAccount ??= account
}

function notFound(): Failure {
  return new Failure(
    'not_found',
    'No object has this id. Check the id, and that it was made with a key of the same owner.',
  )
}
