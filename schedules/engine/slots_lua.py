"""The scripts that run inside Redis."""

from __future__ import annotations

import hashlib


class Script:
    """A script and the hash by which Redis knows it once it was sent."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


# Each run gets a slot in all of its scopes or in none, one after the other, in one call. The slot of the run's former
# attempt, which a lost one still holds, becomes this one's. KEYS: the epoch, then every scope there is. ARGV, for each
# run: its two members, how many scopes it joins, for each of them its place in KEYS and its limit, how many scopes
# have to be empty, and their places. Returns nil on a wrong epoch; else, for each run, 0 or the place of what is full.
ACQUIRE = Script("""
local epoch = redis.call('GET', KEYS[1])
if not epoch or not string.find(redis.call('INFO', 'server'), 'run_id:' .. epoch, 1, true) then return false end
local answers, at = {}, 1
while at <= #ARGV do
  local member, former, joined = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local scopes, after, full = at + 3, at + 3 + 2 * joined, 0
  for i = scopes, after - 2, 2 do
    local key, limit = KEYS[tonumber(ARGV[i])], tonumber(ARGV[i + 1])
    if limit >= 0 and redis.call('SCARD', key) >= limit
      and redis.call('SISMEMBER', key, member) + redis.call('SISMEMBER', key, former) == 0 then
      full = tonumber(ARGV[i])
      break
    end
  end
  local empty = tonumber(ARGV[after])
  for i = after + 1, after + empty do
    if full == 0 and redis.call('EXISTS', KEYS[tonumber(ARGV[i])]) == 1 then full = tonumber(ARGV[i]) end
  end
  if full == 0 then
    for i = scopes, after - 2, 2 do
      redis.call('SREM', KEYS[tonumber(ARGV[i])], former)
      redis.call('SADD', KEYS[tonumber(ARGV[i])], member)
    end
  end
  answers[#answers + 1] = full
  at = after + 1 + empty
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
