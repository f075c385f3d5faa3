// Fetches a key set over HTTPS. The address is the operator's and stays so: no redirect is followed. What comes back is
// bounded in time and in bytes, since whoever stands behind that address may be broken or taken over.

import { keySetBytesMax } from './jwt-key-set.ts'

export interface FetchOptions {
  readonly url: string
  /** PEM of the CA to trust; null = the public ones. */
  readonly caPem: string | null
  readonly timeoutMs: number
}

/** Whole answer of a GET. @throws Error whose message follows `cannot be fetched: ` */
export async function fetchKeySet({ url, caPem, timeoutMs }: FetchOptions): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const reply = await fetch(url, {
      redirect: 'manual',
      signal,
      decompress: false,
      headers: { accept: 'application/jwk-set+json, application/json', 'accept-encoding': 'identity' },
      ...(caPem === null ? {} : { tls: { ca: caPem } }),
    })
    const wrong = troubleOf(reply)
    if (wrong === null) return await readBounded(reply)
    await reply.body?.cancel()
    throw new Error(wrong)
  } catch (cause) {
    if (signal.aborted) throw new Error(`no whole answer within ${timeoutMs / 1000} s`)
    throw new Error(reasonOf(cause))
  }
}

function troubleOf(reply: Response): string | null {
  if (reply.status >= 300 && reply.status < 400)
    return `it redirects (${reply.status}), which is not followed`
  if (reply.status !== 200) return `it answers ${reply.status}`
  if ((reply.headers.get('content-encoding') ?? 'identity') !== 'identity') return 'it answers compressed'
  return null
}

async function readBounded(reply: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of reply.body ?? []) {
    bytes += chunk.length
    if (bytes > keySetBytesMax) throw new Error('it is larger than 256 KB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as Error & { readonly code?: unknown }
  return typeof code === 'string' && !message.includes(code) ? `${message} (${code})` : message
}
