// What limits ask of Redis: one script reserves under all rules of a request or under none, one settles, one keeps alive
// what is open. Time is Redis' own, so that gateways whose clocks differ count alike. Each rule has two keys: its counter,
// and the reservations open on it. The kinds of time are those of the counters beside this file:
//   s  sliding: a hash of amounts by slice (a 64th of the window), with t = their sum, o and n = oldest and newest slice
//   r  rate: when all that passed is made up for, in ms
//   p  period: a hash of s = spent and r = reserved; beside it a sorted set of reservations by when they lapse, each
//      `id:amount`, so that what a gateway that died had reserved comes back by itself
//   c  concurrent: a sorted set of slots by when they lapse
// A clock of Redis that was set ahead empties windows early; each gateway's own counters hold then. One that was set back
// finds moments that lie ahead: what they stand for counts on as if it were of now, and nobody is locked out for longer.
// All keys have one hash tag: a cluster keeps them on one node, which is what makes one request atomic.

const shared = `
local function now_ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local function whole(n) return string.format('%.0f', n) end
local function lapse(k, r, now)
  local gone = redis.call('ZRANGEBYSCORE', r, '-inf', now, 'LIMIT', 0, 500)
  for _, m in ipairs(gone) do
    redis.call('ZREM', r, m)
    redis.call('HINCRBY', k, 'r', '-' .. string.match(m, ':(%d+)$'))
  end
end
local function redate(k, now, lease)
  local ahead = redis.call('ZRANGEBYSCORE', k, whole(now + 2 * lease), '+inf', 'LIMIT', 0, 500)
  for _, m in ipairs(ahead) do redis.call('ZADD', k, 'XX', whole(now + lease), m) end
end
local function trim(k, w, now)
  local cur = math.floor(now / w)
  local f = redis.call('HMGET', k, 't', 'o', 'n')
  if not f[1] then return 0, cur, nil, nil end
  local t, o, n = tonumber(f[1]), tonumber(f[2]), tonumber(f[3])
  if n > cur + 64 then
    redis.call('DEL', k)
    if t <= 0 then return 0, cur, nil, nil end
    redis.call('HSET', k, whole(cur), whole(t), 't', whole(t), 'o', whole(cur), 'n', whole(cur))
    redis.call('PEXPIRE', k, whole(w * 66 + 1000))
    return t, cur, cur, cur
  end
  if n < cur - 64 then redis.call('DEL', k) return 0, cur, nil, nil end
  if o < cur - 64 then
    for b = o, cur - 65 do
      local v = redis.call('HGET', k, whole(b))
      if v then t = t - tonumber(v) redis.call('HDEL', k, whole(b)) end
    end
    o = cur - 64
    redis.call('HSET', k, 't', whole(t), 'o', whole(o))
  end
  return t, cur, o, n
end
local function put(k, w, seen, amount)
  local cur = seen.cur
  redis.call('HINCRBY', k, whole(cur), whole(amount))
  redis.call('HINCRBY', k, 't', whole(amount))
  if not seen.n or cur > seen.n then redis.call('HSET', k, 'n', whole(cur)) end
  if not seen.o or cur < seen.o then redis.call('HSET', k, 'o', whole(cur)) end
  redis.call('PEXPIRE', k, whole(w * 66 + 1000))
end
`

/**
 * KEYS: two for each rule. ARGV: id, lease in ms, then for each rule: kind, limit, amount, p1, p2, `1` to enforce.
 * p1: slice in ms (s), time of one request (r), life of the key in ms, 0 = for ever (p). p2: least that was spent (p).
 * Answers 1 or 0 (refused), then for each rule: used, ms to wait (0 = it fits, -1 = ask your calendar), ms until clear
 * (-1 likewise), handle.
 */
export const reserveScript = {
  name: 'headgateReserve',
  lua: `${shared}
local now, id, lease, ok = now_ms(), ARGV[1], tonumber(ARGV[2]), 1
local seen = {}
for i = 1, #KEYS / 2 do
  local k, r, a = KEYS[2 * i - 1], KEYS[2 * i], 3 + (i - 1) * 6
  local e = { kind = ARGV[a], limit = tonumber(ARGV[a + 1]), amount = tonumber(ARGV[a + 2]),
    p1 = tonumber(ARGV[a + 3]), p2 = tonumber(ARGV[a + 4]), wait = 0, clear = 0, handle = 0 }
  if e.kind == 's' then
    local t, cur, o, n = trim(k, e.p1, now)
    e.used, e.cur, e.o, e.n, e.handle = t, cur, o, n, cur
    if t + e.amount > e.limit and o then
      local left, b = t, o
      while b < n and left + e.amount > e.limit do
        left = left - tonumber(redis.call('HGET', k, whole(b)) or '0')
        b = b + 1
      end
      if left + e.amount > e.limit then b = n + 1 end
      e.wait = math.max(1, (b + 64) * e.p1 - now)
    elseif t + e.amount > e.limit then e.wait = 1 end
    if n then e.clear = (n + 65) * e.p1 - now end
  elseif e.kind == 'r' then
    e.ahead = math.min(math.max(0, tonumber(redis.call('GET', k) or '0') - now), e.limit * e.p1)
    e.used = math.ceil(e.ahead / e.p1 - 0.001)
    e.wait = e.ahead - (e.limit - e.amount) * e.p1
    if e.wait < 0.01 then e.wait = 0 end
    e.clear = e.ahead
  elseif e.kind == 'p' then
    lapse(k, r, now)
    redate(r, now, lease)
    local f = redis.call('HMGET', k, 's', 'r')
    local s = tonumber(f[1] or '0')
    if e.p2 > s then s = e.p2 redis.call('HSET', k, 's', whole(s)) end
    e.used = s + tonumber(f[2] or '0')
    if e.used + e.amount > e.limit then e.wait = -1 end
    e.clear = -1
  else
    redis.call('ZREMRANGEBYSCORE', k, '-inf', now)
    redate(k, now, lease)
    e.used = redis.call('ZCARD', k)
    if e.used + e.amount > e.limit then e.wait = 1000 end
  end
  if e.wait ~= 0 and ARGV[a + 5] == '1' then ok = 0 end
  seen[i] = e
end
local out = { ok }
for i, e in ipairs(seen) do
  local k, r = KEYS[2 * i - 1], KEYS[2 * i]
  if ok == 1 then
    e.used = e.used + e.amount
    if e.kind == 's' then
      if e.amount > 0 then put(k, e.p1, e, e.amount) end
      e.clear = (math.max(e.n or e.cur, e.cur) + 65) * e.p1 - now
    elseif e.kind == 'r' then
      e.clear = e.ahead + e.amount * e.p1
      redis.call('SET', k, string.format('%.3f', now + e.clear), 'PX', whole(e.clear + 1000))
    elseif e.kind == 'p' then
      if e.amount > 0 then
        redis.call('ZADD', r, whole(now + lease), id .. ':' .. whole(e.amount))
        redis.call('HINCRBY', k, 'r', whole(e.amount))
      end
      if e.p1 > 0 then redis.call('PEXPIRE', k, whole(e.p1)) redis.call('PEXPIRE', r, whole(e.p1)) end
    elseif e.amount > 0 then
      redis.call('ZADD', k, whole(now + lease), id)
      redis.call('PEXPIRE', k, whole(lease * 2))
    end
  end
  out[#out + 1] = whole(e.used)
  out[#out + 1] = whole(math.ceil(e.wait))
  out[#out + 1] = whole(math.ceil(e.clear))
  out[#out + 1] = whole(e.handle)
end
return out`,
}

/** KEYS: two for each rule. ARGV: id, then for each rule: kind, reserved, actual, p1, handle. */
export const settleScript = {
  name: 'headgateSettle',
  lua: `${shared}
local now, id = now_ms(), ARGV[1]
for i = 1, #KEYS / 2 do
  local k, r, a = KEYS[2 * i - 1], KEYS[2 * i], 2 + (i - 1) * 5
  local kind, reserved, actual = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local delta, p1 = tonumber(actual) - tonumber(reserved), tonumber(ARGV[a + 3])
  if kind == 's' then
    if delta ~= 0 and redis.call('HEXISTS', k, ARGV[a + 4]) == 1 then
      redis.call('HINCRBY', k, ARGV[a + 4], whole(delta))
      redis.call('HINCRBY', k, 't', whole(delta))
    elseif delta > 0 then
      local _, cur, o, n = trim(k, p1, now)
      put(k, p1, { cur = cur, o = o, n = n }, delta)
    end
  elseif kind == 'r' then
    local clear = tonumber(redis.call('GET', k) or '0')
    if delta ~= 0 and (clear > now or delta > 0) then
      local ahead = math.max(0, math.max(0, clear - now) + delta * p1)
      redis.call('SET', k, string.format('%.3f', now + ahead), 'PX', whole(ahead + 1000))
    end
  elseif kind == 'p' then
    if reserved ~= '0' and redis.call('ZREM', r, id .. ':' .. reserved) == 1 then
      redis.call('HINCRBY', k, 'r', '-' .. reserved)
    end
    if actual ~= '0' then
      redis.call('HINCRBY', k, 's', actual)
      if p1 > 0 and redis.call('PTTL', k) < 0 then redis.call('PEXPIRE', k, whole(p1)) end
    end
  else
    redis.call('ZREM', k, id)
  end
end
return 1`,
}

/** Keeps reservations and slots from lapsing. KEYS: the sorted set of each. ARGV: lease in ms, then each one's member. */
export const renewScript = {
  name: 'headgateRenew',
  lua: `${shared}
local now, lease = now_ms(), tonumber(ARGV[1])
for i, k in ipairs(KEYS) do
  redis.call('ZADD', k, 'XX', whole(now + lease), ARGV[i + 1])
  if redis.call('PTTL', k) >= 0 and redis.call('PTTL', k) < lease * 2 then redis.call('PEXPIRE', k, whole(lease * 2)) end
end
return 1`,
}
