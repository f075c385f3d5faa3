// A gate in front of two sandboxes, the first of which is made to fail: what every scenario of failing over starts from.

import { startSandbox, type Sandbox } from '../../../src/sandbox/sandbox.ts'
import { clientKey, finallyClose, startGate, upstreamAt, type ConfigTree, type Gate } from '../harness.ts'

export interface Accounts {
  readonly gate: Gate
  readonly first: Sandbox
  readonly second: Sandbox
}

/** An answer as a client sees it. */
export interface Seen {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The upstream whose answer it is. */
  readonly upstream: string | null
  readonly attempts: number
}

/** `priority` over two accounts: the first is asked first. `more`: settings of the first upstream. */
export async function twoAccounts(route: ConfigTree = {}, more: ConfigTree = {}): Promise<Accounts> {
  const first = await startSandbox()
  const second = await startSandbox()
  finallyClose(() => first.close())
  finallyClose(() => second.close())
  const gate = await startGate({
    upstreams: [
      upstreamAt(first.url, { name: 'first', ...more }),
      upstreamAt(second.url, { name: 'second' }),
    ],
    routes: [{ pick: 'priority', ...route }],
  })
  return { gate, first, second }
}

/** Asks for a chat completion. */
export async function chat(gate: { readonly port: number }, body: ConfigTree = {}): Promise<Seen> {
  return post(gate, '/v1/chat/completions', {
    model: 'gpt-4o-mini',
    messages: [{ role: 'user', content: 'Say something.' }],
    ...body,
  })
}

/** One POST with the client's key. */
export async function post(gate: { readonly port: number }, path: string, body: unknown): Promise<Seen> {
  return call(gate, path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

/**
 * One call with the client's key, on a connection of its own: a kept one is closed by the gate where a test moves the
 * clock on, and fetch may use it in that very moment.
 */
export async function call(
  gate: { readonly port: number },
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string | FormData } = {},
): Promise<Seen> {
  const response = await fetch(`http://127.0.0.1:${gate.port}${path}`, {
    ...init,
    keepalive: false,
    headers: { authorization: `Bearer ${clientKey}`, ...init.headers },
  })
  return {
    status: response.status,
    headers: response.headers,
    text: await response.text(),
    upstream: response.headers.get('x-headgate-upstream'),
    attempts: Number(response.headers.get('x-headgate-attempts')),
  }
}

/** What a chat's stream says, put together, and whether it came to its end. */
export function said(text: string): { content: string; done: boolean; error: string | null } {
  let content = ''
  let error: string | null = null
  for (const line of text.split('\n')) {
    if (!line.startsWith('data: {')) continue
    const event = JSON.parse(line.slice('data: '.length)) as {
      choices?: { delta?: { content?: string } }[]
      error?: { code: string }
    }
    content += event.choices?.[0]?.delta?.content ?? ''
    error ??= event.error?.code ?? null
  }
  return { content, done: text.includes('data: [DONE]'), error }
}

/** How many chat calls an account was sent. */
export function chats({ requests }: Sandbox): number {
  return requests.filter(({ path }) => path === '/v1/chat/completions').length
}
