"""The scripts that run inside Redis."""

from __future__ import annotations

from schedules.engine.connection import Script

# Each run gets a slot in all of its scopes or in none, one after the other, in one call. The slot of the run's former
# attempt, which a lost one still holds, becomes this one's. KEYS: the epoch, then every scope there is. ARGV: JSON, a
# list with, for each run, its member, its former member, [place in KEYS, limit] of each scope that it joins (no limit:
# -1), and the places of those that have to be empty. Returns nil on a wrong epoch; else, for each run, 0 or the place
# of what is full.
ACQUIRE = Script("""
local epoch = redis.call('GET', KEYS[1])
if not epoch or not string.find(redis.call('INFO', 'server'), 'run_id:' .. epoch, 1, true) then return false end
local answers = {}
for n, run in ipairs(cjson.decode(ARGV[1])) do
  local member, former, joined, full = run[1], run[2], run[3], 0
  for _, scope in ipairs(joined) do
    local key, limit = KEYS[scope[1]], scope[2]
    if limit >= 0 and redis.call('SCARD', key) >= limit
      and redis.call('SISMEMBER', key, member) + redis.call('SISMEMBER', key, former) == 0 then
      full = scope[1]
      break
    end
  end
  for _, place in ipairs(run[4]) do
    if full == 0 and redis.call('EXISTS', KEYS[place]) == 1 then full = place end
  end
  if full == 0 then
    for _, scope in ipairs(joined) do
      redis.call('SREM', KEYS[scope[1]], former)
      redis.call('SADD', KEYS[scope[1]], member)
    end
  end
  answers[n] = full
end
return answers
""")

# KEYS: the queue, the right to look for waiters, the wish that its holder looks once more, then the scopes. ARGV: the
# member, the former member, and how many messages are enough. Returns 1 when the caller has to look.
RELEASE = Script("""
for i = 4, #KEYS do redis.call('SREM', KEYS[i], ARGV[1], ARGV[2]) end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', 1000) then return 1 end
redis.call('SET', KEYS[3], '1', 'PX', 1000)
return 0
""")

# KEYS: the queue, the right to look, the wish. ARGV: how many messages are enough. Returns 1 when the holder of the
# right has to look once more; else it has given the right back.
LOOKED = Script("""
if redis.call('DEL', KEYS[3]) == 1 and redis.call('LLEN', KEYS[1]) < tonumber(ARGV[1]) then return 1 end
redis.call('DEL', KEYS[2])
return 0
""")
