//! What must happen atomically in Redis. Each script touches one key only, so that keys may lie on different nodes of a cluster. And
//! none takes a key away and puts it back: while a slot is being moved, a key that is gone is the other node's, and the rest of the
//! script would fail.
//!
//! They are sent as text: they are shorter than the bookkeeping of hashes that a restarted or promoted server does not know.

use std::time::Duration;

use redis::{Pipeline, ToRedisArgs};

/// Writes a session over whatever stood there; answers the value that a living session there had.
/// Arguments: value, last use, life. The fields are set before others are removed: that is where a full Redis refuses.
pub(super) const PUT: &str = "\
local old = redis.call('HGET', KEYS[1], 'v')
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'u', ARGV[2])
redis.call('HDEL', KEYS[1], 'e')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return old";

/// Notes a use of a living session. Arguments: last use, life, `late`. A late note may have been overtaken by another gate's, so
/// it only ever prolongs.
pub(super) const EXTEND: &str = "\
if redis.call('HEXISTS', KEYS[1], 'v') == 0 then return 0 end
if ARGV[3] == '1' and redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[2]) then return 1 end
redis.call('HSET', KEYS[1], 'u', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1";

/// Replaces the value of a living session if it is still the expected one, keeping its expiry. Arguments: expected, new.
/// Answers 1 for done, 0 for changed meanwhile, -1 for gone.
pub(super) const SWAP_SESSION: &str = "\
local v = redis.call('HGET', KEYS[1], 'v')
if not v then return -1 end
if v ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[2])
return 1";

/// The same for a client.
pub(super) const SWAP_CLIENT: &str = "\
local v = redis.call('GET', KEYS[1])
if not v then return -1 end
if v ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1";

/// Ends a living session and answers its value, or nothing. Arguments: ending (empty: leave nothing), life of the tombstone, where
/// that is told to other gates, and as what. Who may not tell is no reason to keep the session. A full Redis lets a script write that
/// has removed something before.
pub(super) const END: &str = "\
local v = redis.call('HGET', KEYS[1], 'v')
if not v then return false end
if ARGV[1] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HDEL', KEYS[1], 'u')
  redis.call('HSET', KEYS[1], 'e', ARGV[1])
  redis.call('HDEL', KEYS[1], 'v')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return v";

/// Adds a session to its user's list. Arguments: hash, created, life of the list, cap (0: none), 1 to end the oldest or 0 to
/// refuse, the hash in whose place it comes (or empty), then hashes known to be dead. Answers the hashes that are one too many (they stay listed until they are ended), or 0
/// where the cap refuses.
pub(super) const ADMIT: &str = "\
local k, hash, cap, older = KEYS[1], ARGV[1], tonumber(ARGV[4]), ARGV[6]
local former = redis.call('ZSCORE', k, hash)
redis.call('ZADD', k, ARGV[2], hash)
for i = 7, #ARGV do redis.call('ZREM', k, ARGV[i]) end
local displaced = {}
if cap > 0 then
  local over = redis.call('ZCARD', k) - cap
  if older ~= hash and redis.call('ZSCORE', k, older) then over = over - 1 end
  if over > 0 then
    if ARGV[5] == '0' then
      if former then redis.call('ZADD', k, former, hash) else redis.call('ZREM', k, hash) end
      return 0
    end
    for _, other in ipairs(redis.call('ZRANGE', k, 0, over + 1)) do
      if other ~= hash and other ~= older and #displaced < over then displaced[#displaced + 1] = other end
    end
  end
end
if redis.call('PTTL', k) < tonumber(ARGV[3]) then redis.call('PEXPIRE', k, ARGV[3]) end
return displaced";

/// Counts a request by the generic cell rate algorithm, as `store::rate` does it. The key holds when the next request is due, in
/// microseconds of this server's clock. Arguments: microseconds between requests, burst. Answers how many microseconds to wait, 0
/// where it was counted.
pub(super) const TAKE: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local reach = interval * ARGV[2]
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
local after = math.max(now, math.min(due, now + reach)) + interval
if after > now + reach then return after - now - reach end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return 0";

/// Takes one counted request back. Argument: microseconds between requests.
pub(super) const GIVE_BACK: &str = "\
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
if due > 0 then redis.call('SET', KEYS[1], string.format('%.0f', due - ARGV[1]), 'KEEPTTL') end
return 0";

/// Counts a failed try, and locks where it was one too many within the time that counts. The key holds `locked`, or the
/// milliseconds at which tries failed. Arguments: tries, milliseconds that count, milliseconds of a lock. Answers how many
/// milliseconds a lock lasts that was set before (a key is there for one more than its expiry says), 0 where there was none.
pub(super) const FAIL: &str = "\
local held = redis.call('GET', KEYS[1])
if held == 'locked' then return math.max(redis.call('PTTL', KEYS[1]), 0) + 1 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local failed = {string.format('%.0f', now)}
for at in string.gmatch(held or '', '%d+') do
  if at + 0 > now - ARGV[2] then failed[#failed + 1] = at end
end
if #failed >= tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], 'locked', 'PX', ARGV[3] - 1)
else
  redis.call('SET', KEYS[1], table.concat(failed, ' '), 'PX', ARGV[2])
end
return 0";

/// How things stand with tries. Argument: milliseconds that count. Answers how many milliseconds a lock will last, or the number
/// of failures as a negative number.
pub(super) const LOOK: &str = "\
local held = redis.call('GET', KEYS[1])
if not held then return 0 end
if held == 'locked' then return math.max(redis.call('PTTL', KEYS[1]), 0) + 1 end
local time = redis.call('TIME')
local since = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
local failures = 0
for at in string.gmatch(held, '%d+') do
  if at + 0 > since then failures = failures - 1 end
end
return failures";

/// Counts one more, unless that is more than allowed. Arguments: most, life of the count. Answers 0, or for how many
/// milliseconds there is no room. The count begins anew when it expires.
pub(super) const COUNT: &str = "\
local left = redis.call('PTTL', KEYS[1])
local full = tonumber(redis.call('GET', KEYS[1]) or '0') >= tonumber(ARGV[1])
if full and left > 0 then return left end
if not full then redis.call('INCR', KEYS[1]) end
if left < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return full and 1 or 0";

/// Takes one back from a count that still stands.
pub(super) const UNCOUNT: &str = "\
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end
return 0";

/// Adds the call of a script to a round trip; its arguments follow with `arg`.
pub(super) fn call<'a>(commands: &'a mut Pipeline, script: &str, key: impl ToRedisArgs) -> &'a mut Pipeline {
    commands.cmd("EVAL").arg(script).arg(1).arg(key)
}

/// A duration as Redis takes it: milliseconds, at least one (zero would delete), at most what its clock can bear.
pub(super) fn millis(life: Duration) -> u64 {
    const CENTURY: u64 = 100 * 366 * 24 * 3600 * 1000;
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).clamp(1, CENTURY)
}
