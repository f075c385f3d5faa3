// The two gates side by side: Headgate as it is installed, with its defaults, and NGINX as one would set it up for the
// same job. NGINX runs as one process, as Headgate does, and both hold one key for the upstream.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, innermost, listening, startBeside, startMeasured } from './machine.ts'
import { answerHeaders, clientKey, jsonAnswer, upstreamKey } from './messages.ts'

/** A running gate. */
export interface Gate {
  readonly name: string
  readonly port: number
  readonly pid: number
}

const command = join(import.meta.dir, '..', 'bin', 'headgate')

/** Starts Headgate through its own command: one key, everything else by default. */
export function startHeadgate(folder: string, upstreamPort: number): Promise<Gate> {
  return headgate(folder, upstreamPort, {})
}

/** The same, for a load that finds out by itself how much it may be: nothing is turned away. */
export function startPatientHeadgate(folder: string, upstreamPort: number): Promise<Gate> {
  return headgate(folder, upstreamPort, { server: ', overload: { mode: off }' })
}

/** Starts Headgate with its cache on; `store` says where answers are kept. */
export function startCachingHeadgate(folder: string, upstreamPort: number, store: string): Promise<Gate> {
  return headgate(folder, upstreamPort, { more: `cache: { mode: exact, store: { ${store} } }\n${limits}` })
}

/** Never reached: what counts is that they count. */
const limits = `limits:
  - { name: calls, per: key, requests: 100000000/1m }
  - { name: tokens, per: [team, model], tokens: 2000000000/1h }
`

/** `server`: further members of that section; `more`: further sections. */
async function headgate(
  folder: string,
  upstreamPort: number,
  { server = '', more = '' }: { readonly server?: string; readonly more?: string },
): Promise<Gate> {
  const port = freePort()
  const own = join(folder, `headgate-${port}`)
  mkdirSync(own)
  const file = join(own, 'headgate.yaml')
  writeFileSync(
    file,
    `server: { listen: "127.0.0.1:${port}", limits: { connectionsPerAddress: 100000 }${server} }
admin: { listen: "127.0.0.1:0" }
storage: { path: data }
upstreams:
  - { name: bench, provider: openai-compatible, baseUrl: "http://127.0.0.1:${upstreamPort}/v1", keys: ["${upstreamKey}"] }
access:
  keys: [{ name: bench, hash: "sha256:${Bun.SHA256.hash(clientKey, 'hex')}" }]
${more}`,
  )
  const log = join(own, 'output.txt')
  const launcher = startMeasured([command, 'serve', '--config', file], log)
  await listening(port, launcher, log)
  return { name: 'headgate', port, pid: innermost(launcher.pid) }
}

/** Starts NGINX as a proxy. `log`: with an access log in JSON, buffered as Headgate's is. */
export async function startNginx(folder: string, upstreamPort: number, log: boolean): Promise<Gate> {
  const fields = ['time_iso8601', 'request_method', 'uri', 'status', 'request_length', 'bytes_sent']
  const times = [
    'request_time',
    'upstream_header_time',
    'upstream_addr',
    'upstream_status',
    'remote_addr',
    'request_id',
  ]
  const format = [...fields, ...times].map((name) => `"${name}":"$${name}"`).join(',')
  const http = `
  log_format line escape=json '{${format}}';
  access_log ${log ? 'access.log line buffer=64k flush=1s' : 'off'};
  upstream api { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:PORT backlog=4096;
    location /v1/ {
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer ${upstreamKey}";
      proxy_buffering off;
      proxy_request_buffering off;
    }
  }`
  return nginx(folder, log ? 'nginx' : 'nginx without log', { http, measured: true })
}

/** Starts NGINX with `proxy_cache` keyed by the request's body. `disk`: in the temporary folder of the bench, else in memory. */
export async function startCachingNginx(folder: string, upstreamPort: number, disk: boolean): Promise<Gate> {
  const place = disk ? 'answers' : `/dev/shm/headgate-bench-${freePort()}`
  const http = `
  access_log off;
  proxy_cache_path ${place} levels=1:2 keys_zone=answers:64m max_size=2g inactive=24h use_temp_path=off;
  upstream api { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:PORT backlog=4096;
    location /v1/ {
      client_body_buffer_size 64k;
      proxy_cache answers;
      proxy_cache_methods POST;
      proxy_cache_key "$request_uri|$http_authorization|$request_body";
      proxy_cache_valid 200 24h;
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer ${upstreamKey}";
    }
  }`
  return nginx(folder, 'nginx', { http, measured: true })
}

/** Starts an NGINX that answers every request with the same chat completion: an upstream that is never the bottleneck. */
export async function startFixedUpstream(folder: string): Promise<Gate> {
  const headers = answerHeaders.map(([name, value]) => `      add_header ${name} "${value}";`).join('\n')
  const http = `
  access_log off;
  server {
    listen 127.0.0.1:PORT backlog=4096;
    location / {
      default_type application/json;
${headers}
      return 200 '${jsonAnswer}';
    }
  }`
  return nginx(folder, 'upstream', { http, measured: false })
}

async function nginx(folder: string, name: string, how: { http: string; measured: boolean }): Promise<Gate> {
  const port = freePort()
  const own = join(folder, `nginx-${port}`)
  mkdirSync(own)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const file = join(own, 'nginx.conf')
  writeFileSync(
    file,
    `daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 8192; }
http {
  ${temporary.map((one) => `${one}_temp_path ${one};`).join(' ')}
  keepalive_requests 100000000;
  client_max_body_size 0;
  tcp_nodelay on;
${how.http.replace('PORT', String(port))}
}
`,
  )
  const log = join(own, 'output.txt')
  const argv = ['nginx', '-p', own, '-c', file, '-e', 'error.log']
  const process = how.measured ? startMeasured(argv, log) : startBeside(argv, log)
  await listening(port, process, log)
  return { name, port, pid: innermost(process.pid) }
}
