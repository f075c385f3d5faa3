// Calls of the admin API from an address of the tester's choice: wrong tokens are counted by address, so tests that send
// many of them come from many.

import { request as httpRequest } from 'node:http'

export interface AdminCall {
  readonly token?: string | null
  readonly body?: unknown
  /** The body as it is, in place of `body`. */
  readonly text?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** A loopback address to call from. */
  readonly from?: string
}

export interface AdminAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly json: any
}

/** One call to the admin port at `port`. */
export function callAdmin(
  port: number,
  what: `${string} /${string}`,
  call: AdminCall = {},
): Promise<AdminAnswer> {
  const [method, path] = what.split(' ') as [string, string]
  const { token = null, body, headers = {}, from = '127.0.0.1' } = call
  const text = call.text ?? (body === undefined ? undefined : JSON.stringify(body))
  const sent: Record<string, string> = {
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(text === undefined ? {} : { 'content-length': String(Buffer.byteLength(text)) }),
    ...headers,
  }
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port, method, path, headers: sent, localAddress: from, agent: false },
      (response) => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('error', reject)
        response.on('end', () => {
          const answer = Buffer.concat(parts).toString()
          const json =
            /json/.test(response.headers['content-type'] ?? '') && answer !== '' ? JSON.parse(answer) : null
          resolve({ status: response.statusCode!, headers: response.headers, text: answer, json })
        })
      },
    )
    request.on('error', reject)
    request.end(text)
  })
}
