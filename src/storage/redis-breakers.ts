// Breakers and spent quotas as gateways share them over Redis. A change is kept in a hash with an end, by Redis' own clock,
// and published on a channel: who listens has it at once, who starts later reads the hash. That is read again now and then,
// since a message can be lost. Commands go over the connection that limits use; a subscriber needs one of its own. What
// comes from Redis is not believed further than it fits: others may write there.

import { Cluster, Redis } from 'ioredis'
import { newId } from '../base/id.ts'
import type { Secret } from '../base/secret.ts'
import type { Script, ScriptCall } from './redis.ts'

/** A change as gateways tell each other; see stages/6-route/breaker-share.ts. */
export interface SharedChange {
  readonly what: 'breaker' | 'quota'
  readonly account: string
  readonly model: string
  /** Milliseconds; 0 = over. */
  readonly forMs: number
  readonly times: number
}

/** As much of `RedisStore` as is needed. */
export interface Commands {
  readonly up: boolean
  run(call: ScriptCall): Promise<unknown>
  tell(call: ScriptCall): void
}

const channel = 'headgate:breakers'
const stateKey = 'headgate:{breakers}:shut'
const leaseKey = 'headgate:{breakers}:probe:'
const fieldsMax = 5000
const textLengthMax = 1024
const forMsMax = 7 * 86_400_000
const timesMax = 8
const learnEveryMs = 15_000
const learnSoonMs = 20
/** Until Redis is known to be back. */
const learnAgainMs = 250

const nowLua = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
`

const tellScript: Script = {
  name: 'headgateBreakerTell',
  lua: `${nowLua}
local ms = tonumber(ARGV[2])
redis.call('DEL', KEYS[2])
if ms == 0 then
  redis.call('HDEL', KEYS[1], ARGV[1])
elseif redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 or redis.call('HLEN', KEYS[1]) < tonumber(ARGV[6]) then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ms) .. ' ' .. ARGV[3])
  if redis.call('PTTL', KEYS[1]) < ms then redis.call('PEXPIRE', KEYS[1], ms) end
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1`,
}

const learnScript: Script = {
  name: 'headgateBreakerLearn',
  lua: `${nowLua}
local all = redis.call('HGETALL', KEYS[1])
local left = {}
for at = 1, #all, 2 do
  local till, times = string.match(all[at + 1], '^(%d+) (%d+)$')
  if till and tonumber(till) > now then
    left[#left + 1] = all[at]
    left[#left + 1] = tonumber(till) - now
    left[#left + 1] = tonumber(times)
  else
    redis.call('HDEL', KEYS[1], all[at])
  end
end
return left`,
}

const claimScript: Script = {
  name: 'headgateBreakerClaim',
  lua: `${nowLua}
local till = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%d+) ')
if till and tonumber(till) > now then return 0 end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return 1 end
return 0`,
}

export class RedisBreakers {
  readonly #id = newId('gw')
  readonly #subscriber: Redis | Cluster
  #heard: ((change: SharedChange) => void) | null = null
  #every: ReturnType<typeof setInterval> | null = null
  #soon: ReturnType<typeof setTimeout> | null = null
  /** Counts what was told, so that an answer older than that is not taken for news. */
  #told = 0
  #closed = false

  constructor(
    urls: readonly Secret[],
    private readonly commands: Commands,
  ) {
    const options = {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResubscribe: false,
      connectTimeout: 2000,
      retryStrategy: (times: number) => Math.min(50 * times, 1000),
    }
    const texts = urls.map((url) => url.reveal())
    this.#subscriber =
      texts.length === 1
        ? new Redis(texts[0]!, options)
        : new Cluster(texts, { redisOptions: options, enableOfflineQueue: false, lazyConnect: true })
    // Without a listener an error would end the process; that Redis is away is told by whoever asks it.
    this.#subscriber.on('error', () => {})
    this.#subscriber.on('ready', () => {
      this.#subscriber.subscribe(channel).then(
        () => this.learn(),
        () => {},
      )
    })
    this.#subscriber.on('message', (_channel: string, text: string) => this.#message(text))
  }

  get up(): boolean {
    return this.commands.up
  }

  tell(change: SharedChange): void {
    const { what, account, model, forMs, times } = change
    const field = JSON.stringify([what, account, model])
    if (field.length > textLengthMax / 2) return
    this.#told++
    const message = JSON.stringify([this.#id, what, account, model, forMs, times])
    this.commands.tell({
      script: tellScript,
      keys: [stateKey, leaseKey + field],
      args: [field, forMs, times, channel, message, fieldsMax],
    })
  }

  /** Connects, and hears of changes from then on; of those that hold already as soon as it is connected. */
  listen(heard: (change: SharedChange) => void): void {
    this.#heard = heard
    void this.#subscriber.connect().catch(() => {})
    this.#every = setInterval(() => void this.#learnNow(), learnEveryMs)
    this.#every.unref()
  }

  learn(inMs = learnSoonMs): void {
    if (this.#soon !== null || this.#closed) return
    this.#soon = setTimeout(() => {
      this.#soon = null
      if (this.commands.up) void this.#learnNow()
      else this.learn(learnAgainMs)
    }, inMs)
    this.#soon.unref()
  }

  async claim(account: string, model: string, ms: number): Promise<boolean> {
    const field = JSON.stringify(['breaker', account, model])
    if (field.length > textLengthMax / 2) return true
    const keys = [stateKey, leaseKey + field]
    try {
      return (await this.commands.run({ script: claimScript, keys, args: [field, this.#id, ms] })) === 1
    } catch {
      return true
    }
  }

  close(): void {
    this.#closed = true
    if (this.#every !== null) clearInterval(this.#every)
    if (this.#soon !== null) clearTimeout(this.#soon)
    this.#subscriber.disconnect()
  }

  async #learnNow(): Promise<void> {
    if (!this.commands.up || this.#closed) return
    const told = this.#told
    let answer: unknown
    try {
      answer = await this.commands.run({ script: learnScript, keys: [stateKey], args: [] })
    } catch {
      return
    }
    if (!Array.isArray(answer)) return
    if (told !== this.#told) return this.learn()
    for (let at = 0; at + 2 < answer.length && at < fieldsMax * 3; at += 3) {
      const [field, forMs, times] = answer.slice(at, at + 3) as unknown[]
      const named = typeof field === 'string' ? listIn(field) : null
      if (named?.length === 3) this.#take([...named, forMs, times])
    }
  }

  #message(text: string): void {
    const parts = listIn(text)
    if (parts?.length === 6 && parts[0] !== this.#id) this.#take(parts.slice(1))
  }

  #take([what, account, model, forMs, times]: readonly unknown[]): void {
    if ((what !== 'breaker' && what !== 'quota') || typeof account !== 'string' || typeof model !== 'string')
      return
    if (!isCount(forMs, forMsMax) || !isCount(times, timesMax) || times < 1) return
    this.#heard?.({ what, account, model, forMs, times })
  }
}

function isCount(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
}

function listIn(text: string): unknown[] | null {
  if (text.length > textLengthMax) return null
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : null
  } catch {
    return null
  }
}
