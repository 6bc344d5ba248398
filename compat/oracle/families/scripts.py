"""A family of scripts: random ones, and those that widespread libraries send.

The libraries' scripts run as a user who may let go, as on Redis everybody may. Of time only what does not depend on the
moment is compared (rules.py has the clocks).
"""

from compat.oracle.draw import Draw
from compat.oracle.families import strings
from compat.oracle.families.plan import Plan
from compat.oracle.stream import Send, Word

# name of the library -> its script, number of keys, arguments that make it do something
LIBRARIES: tuple[tuple[str, bytes, int, tuple[tuple[bytes, ...], ...]], ...] = (
    ("redis-py Lock: release", b"""
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('del', KEYS[1])
        return 1
    """, 1, ((b"7",), (b"other",))),
    ("redis-py Lock: extend", b"""
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        local expiration = redis.call('pttl', KEYS[1])
        if not expiration then
            expiration = 0
        end
        if expiration < 0 then
            return 0
        end

        local newttl = ARGV[2]
        if ARGV[3] == "0" then
            newttl = ARGV[2] + expiration
        end
        redis.call('pexpire', KEYS[1], newttl)
        return 1
    """, 1, ((b"7", b"100000", b"0"), (b"7", b"100000", b"1"), (b"x", b"1000", b"0"))),
    ("redis-py Lock: reacquire", b"""
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('pexpire', KEYS[1], ARGV[2])
        return 1
    """, 1, ((b"7", b"100000"), (b"x", b"1000"))),
    ("node-redlock: acquire", b"""
  -- Return 0 if an entry already exists.
  for i, key in ipairs(KEYS) do
    if redis.call("exists", key) == 1 then
      return 0
    end
  end

  -- Create an entry for each provided key.
  for i, key in ipairs(KEYS) do
    redis.call("set", key, ARGV[1], "PX", ARGV[2])
  end

  -- Return the number of entries added.
  return #KEYS
""", 2, ((b"7", b"100000"),)),
    ("node-redlock: extend", b"""
  -- Return 0 if an entry exists with a *different* lock value.
  for i, key in ipairs(KEYS) do
    if redis.call("get", key) ~= ARGV[1] then
      return 0
    end
  end

  -- Update the entry for each provided key.
  for i, key in ipairs(KEYS) do
    redis.call("set", key, ARGV[1], "PX", ARGV[2])
  end

  -- Return the number of entries updated.
  return #KEYS
""", 2, ((b"7", b"100000"), (b"x", b"100000"))),
    ("node-redlock: release", b"""
  local count = 0
  for i, key in ipairs(KEYS) do
    -- Only remove entries for *this* lock value.
    if redis.call("get", key) == ARGV[1] then
      redis.pcall("del", key)
      count = count + 1
    end
  end

  -- Return the number of entries removed.
  return count
""", 2, ((b"7",), (b"x",))),
    ("redsync: delete", b"""
	local val = redis.call("GET", KEYS[1])
	if val == ARGV[1] then
		return redis.call("DEL", KEYS[1])
	elseif val == false then
		return -1
	else
		return 0
	end
""", 1, ((b"7",), (b"x",))),
    ("redsync: touch", b"""
	if redis.call("GET", KEYS[1]) == ARGV[1] then
		return redis.call("PEXPIRE", KEYS[1], ARGV[2])
	else
		return 0
	end
""", 1, ((b"7", b"100000"), (b"x", b"100000"))),
    ("rate-limit-redis: increment", b"""
      local totalHits = redis.call("INCR", KEYS[1])
      local timeToExpire = redis.call("PTTL", KEYS[1])

      if timeToExpire <= 0 or ARGV[1] == "1"
      then
          redis.call("PEXPIRE", KEYS[1], tonumber(ARGV[2]))
          timeToExpire = tonumber(ARGV[2])
      end

      return { totalHits, timeToExpire > 0 }
""", 1, ((b"1", b"100000"), (b"0", b"100000"))),
    ("rate-limiter-flexible: increment", b"""
      redis.call('set', KEYS[1], 0, 'EX', ARGV[2], 'NX')
      local consumed = redis.call('incrby', KEYS[1], ARGV[1])
      local ttl = redis.call('pttl', KEYS[1])
      if ttl == -1 then
        redis.call('expire', KEYS[1], ARGV[2])
        ttl = 1000 * ARGV[2]
      end
      return {consumed, ttl > 0}
""", 1, ((b"1", b"100"), (b"5", b"100"))),
    ("limits: fixed window", b"""
local current
local amount = tonumber(ARGV[2])
current = redis.call("incrby", KEYS[1], amount)

if tonumber(current) == amount then
    redis.call("expire", KEYS[1], ARGV[1])
end

return current
""", 1, ((b"100", b"1"), (b"100", b"3"))),
    ("Laravel: release lock", b"""
if redis.call("get",KEYS[1]) == ARGV[1] then
    return redis.call("del",KEYS[1])
else
    return 0
end
""", 1, ((b"7",), (b"x",))),
    ("Laravel: add", b"return redis.call('exists',KEYS[1])<1 and redis.call('setex',KEYS[1],ARGV[2],ARGV[1])", 1,
     ((b"7", b"100"),)),
    ("Laravel: limiter", b"""
local c
c = redis.call('incrby', KEYS[1], 1)
if tonumber(c) == 1 then redis.call('pexpire', KEYS[1], ARGV[1]) end
return c
""", 1, ((b"100000",),)),
    ("Spring Cloud Gateway: request rate limiter", b"""
redis.replicate_commands()

local tokens_key = KEYS[1]
local timestamp_key = KEYS[2]

local rate = tonumber(ARGV[1])
local capacity = tonumber(ARGV[2])
local now = tonumber(ARGV[3])
local requested = tonumber(ARGV[4])

local fill_time = capacity/rate
local ttl = math.floor(fill_time*2)

local last_tokens = tonumber(redis.call("get", tokens_key))
if last_tokens == nil then
  last_tokens = capacity
end

local last_refreshed = tonumber(redis.call("get", timestamp_key))
if last_refreshed == nil then
  last_refreshed = 0
end

local delta = math.max(0, now-last_refreshed)
local filled_tokens = math.min(capacity, last_tokens+(delta*rate))
local allowed = filled_tokens >= requested
local new_tokens = filled_tokens
local allowed_num = 0
if allowed then
  new_tokens = filled_tokens - requested
  allowed_num = 1
end

if ttl > 0 then
  redis.call("setex", tokens_key, ttl, new_tokens)
  redis.call("setex", timestamp_key, ttl, now)
end

return { allowed_num, new_tokens }
""", 2,
((b"10", b"1000", b"1700000000", b"1"), (b"0.5", b"100", b"1700000007", b"200"), (b"3", b"7000", b"1700000100", b"3"))),
    ("bucket4j: compare and swap", b"""
if redis.call('get', KEYS[1]) == ARGV[1] then
  redis.call('psetex', KEYS[1], ARGV[3], ARGV[2]); return 1;
else return 0; end
""", 1, ((b"7", b"8", b"100000"), (b"x", b"y", b"100000"))),
    ("bucket4j: set if absent", b"""
if redis.call('set', KEYS[1], ARGV[1], 'nx', 'px', ARGV[2]) then return 1; else return 0; end
""", 1, ((b"7", b"100000"),)),
    ("redis_rate: counter with bounds", b"""
redis.replicate_commands()
local key, limit = KEYS[1], tonumber(ARGV[1])
local t = redis.call('TIME')
local n = redis.call('INCR', key)
if n == 1 then redis.call('EXPIRE', key, ARGV[2]) end
if n > limit then return {limit, tostring(n - limit), '-1'} end
return {n, tostring(limit - n), string.format('%.2f', #t / 4)}
""", 1, ((b"3", b"100"), (b"100", b"100"))),
)  # fmt: skip

LOCK_KEYS = (b"lock:a", b"lock:b", b"lock:c")


def libraries(draw: Draw, proto: int, count: int) -> Plan:
    become = [
        Send(0, (b"ACL", b"SETUSER", b"free", b"on", b"nopass", b"~*", b"&*", b"+@all", b"+del", b"+unlink")),
        Send(0, (b"AUTH", b"free", b"any")),
    ]
    leave = [Send(0, (b"AUTH", b"default", b"any")), Send(0, (b"ACL", b"DELUSER", b"free"))]
    return Plan((*become, *(one_of_a_library(draw) for _ in range(count)), *leave))


def one_of_a_library(draw: Draw) -> Send:
    if draw.chance(0.3):
        return Send(0, (b"SET", draw.pick(LOCK_KEYS), draw.pick((b"7", b"x", b"12")), b"PX", b"1000000"))
    _, text, keys, arguments = draw.pick(LIBRARIES)
    return Send(0, (b"EVAL", text, b"%d" % keys, *draw.shuffled(LOCK_KEYS)[:keys], *draw.pick(arguments)))


# -- random ones ------------------------------------------------------------------------------------
def scripts(draw: Draw, proto: int, count: int) -> Plan:
    """A script that was loaded is run by the engine where it can be; one that is new, by Lua with all it has."""
    plan: list[Send] = []
    while len(plan) < count:
        one = draw.pick((of_a_command, of_a_command, of_values, of_values, of_libraries, of_errors))(draw)
        if draw.chance(0.6):
            plan.append(Send(0, (b"SCRIPT", b"LOAD", one.argv[1])))
        plan.append(one)
    return Plan(tuple(plan))


def run(draw: Draw, text: bytes, arguments: tuple[Word, ...] = (), key: Word | None = None) -> Send:
    name = draw.pick((b"EVAL", b"eval", b"EVAL_RO")) if draw.chance(0.2) else b"EVAL"
    return Send(0, (name, text, b"1", draw.key() if key is None else key, *arguments))


def of_a_command(draw: Draw) -> Send:
    """A command of another family, through `redis.call` or `pcall`, and something done with its reply. The script names
    the key that it touches: so several nodes answer as one does.
    """
    maker = draw.pick((
        strings.set_command, strings.get, strings.setnx, strings.getset, strings.incr, strings.append, strings.setrange,
        strings.getrange,
    ))  # fmt: skip
    argv = maker(draw).argv
    how = draw.pick((b"call", b"pcall"))
    text = draw.pick((
        b"return redis.%b(unpack(ARGV))",
        b"local r = redis.%b(unpack(ARGV)) return r",
        b"local r = redis.%b(unpack(ARGV)) return {type(r), r}",
        b"local r = redis.%b(unpack(ARGV)) if type(r) == 'table' then return r.ok or r.err end return r",
        b"local ok, r = pcall(redis.%b, unpack(ARGV)) return {tostring(ok), r}",
        b"redis.setresp(3) return redis.%b(unpack(ARGV))",
        b"redis.setresp(3) local r = redis.%b(unpack(ARGV)) return {type(r), r}",
        b"local r = redis.%b(unpack(ARGV)) return cjson.encode({r})",
        b"local r = redis.%b(unpack(ARGV)) return cmsgpack.pack(r)",
        b"for i = 1, 2 do redis.%b(unpack(ARGV)) end return #ARGV",
    ))  # fmt: skip
    return run(draw, text % how, argv, argv[1] if len(argv) > 1 else None)


def of_values(draw: Draw) -> Send:
    value = expression(draw, draw.number(0, 3))
    around = draw.pick((
        b"return %b", b"return {%b, 1}", b"return tostring(type(%b))", b"redis.setresp(3) return %b",
        b"return cjson.encode(%b)",
        b"return cmsgpack.pack(%b)", b"return cjson.encode(cmsgpack.unpack(cmsgpack.pack(%b)))",
        b"return {cjson.encode(%b)}",
        b"local v = %b return v", b"return (function(...) return select('#', ...) end)(%b)",
    ))  # fmt: skip
    return run(draw, around % value, (draw.value(), draw.integer()))


NUMBERS = (
    b"0", b"1", b"-1", b"3.9", b"-3.9", b"1e15", b"1e16", b"2^31", b"2^53", b"-2^63", b"1e300", b"0.1", b"1/3", b"255",
    b"65536", b"-129",
    b"100000",
)  # fmt: skip
TEXTS = (b"''", b"'x'", b"'10'", b"'0x10'", b"'a b\\r\\nc'", b"'\\0\\1\\127\\200'", b"'\"/\\\\'", b"ARGV[1]",
    b"ARGV[2]", b"KEYS[1]", b"('ab'):rep(20)")


def expression(draw: Draw, depth: int) -> bytes:
    how = draw.number(0, 9)
    if how < 3 or depth == 0:
        return draw.pick((draw.pick(NUMBERS), draw.pick(TEXTS), draw.pick(TEXTS),
                          draw.pick((b"true", b"false", b"nil", b"cjson.null"))))
    inner = [expression(draw, depth - 1) for _ in range(draw.number(0, 4))]
    if how < 6:
        return b"{%b}" % b", ".join(inner)
    if how == 6:
        names = draw.shuffled((b"a", b"b", b"ok", b"err", b"double", b"map", b"set", b"big_number", b"name", b"zeta"))
        return b"{%b}" % b", ".join(b"%b = %b" % pair for pair in zip(names, inner, strict=False))
    if how == 7:
        return b"{[%b] = %b}" % (draw.pick((b"1", b"2", b"4", b"12", b"-1", b"1.5", b"'1'")),
                                 expression(draw, depth - 1))
    if how == 8:
        name = draw.pick((b"map", b"set", b"double", b"ok", b"err", b"big_number"))
        return b"{%b = %b}" % (name, expression(draw, depth - 1))
    return b"({%b})[%d]" % (b", ".join(inner) or b"1", draw.number(1, 3))


FUNCTIONS = (
    b"string.len", b"string.sub", b"string.upper", b"string.reverse", b"string.byte", b"string.char", b"string.find",
    b"string.match",
    b"string.gsub", b"string.format", b"tonumber", b"type", b"math.floor", b"math.max", b"math.abs", b"math.fmod",
    b"select",
    b"unpack", b"table.concat", b"bit.band", b"bit.bor", b"bit.bxor", b"bit.lshift", b"bit.rshift", b"bit.arshift",
    b"bit.rol", b"bit.tohex",
    b"bit.tobit", b"bit.bswap", b"struct.pack", b"struct.unpack", b"struct.size", b"cmsgpack.pack", b"cmsgpack.unpack",
    b"cjson.encode",
    b"cjson.decode",
    b"redis.sha1hex", b"redis.status_reply", b"redis.error_reply", b"redis.setresp", b"rawequal", b"next", b"ipairs",
    b"loadstring",
    b"setmetatable", b"rawget", b"rawset", b"math.random", b"redis.log",
)  # fmt: skip
ARGUMENTS = (
    *NUMBERS[:12], *TEXTS, b"nil", b"true", b"{}", b"{1, 2, 3}", b"{a = 1}", b"'>I2'", b"'<i4d'", b"'bc0'", b"'s'",
    b"'(%w+)'", b"'.-x'", b"'%d*'",
    b"'[1,2,{\"a\":null}]'", b"'{\"x\":1.5e3}'", b"'[1,'", b"'\"\\\\u00e9\"'", b"'return 1'", b"'return ++'",
    b"'%5.2f|%d'", b"'\\146\\1\\2'",
    )  # fmt: skip


def of_libraries(draw: Draw) -> Send:
    """A function with arguments that need not suit it: the values or the message. Left out is what ends redis-server
    7.0:
    an error that is a table without a text, and string.rep beyond its memory."""
    arguments = b", ".join(draw.some(ARGUMENTS, 0, 4))
    call = b"%b(%b)" % (draw.pick(FUNCTIONS), arguments)
    seeded = b"math.randomseed(7) "
    text = draw.pick((
        b"return %b", b"return {%b}", b"local v = %b return v", b"return {pcall(function() return %b end)}",
        b"return (%b)",
        b"local t = {%b} return #t", b"return {select('#', %b)}",
    ))  # fmt: skip
    return run(draw, seeded + text % call, (draw.value(), draw.integer()))


BROKEN = (
    b"return nosuch", b"x = 1", b"error(%b)", b"error({err = 'CODE ' .. tostring(%b)})", b"error(%b, 0)",
    b"error(%b, 2)",
    b"local t = nil return t[%b]", b"return %b .. {}",
    b"return {} + %b", b"return #5", b"return %b < {}", b"local t = {} t[nil] = %b", b"return redis.call({%b})",
    b"return redis.call(%b)",
    b"return redis.pcall()", b"return redis.call('get', nil, %b)", b"return\n\nfoo(%b)", b"return assert(false, %b)",
    b"return assert(nil)",
    b"return 1 2",
    b"return +", b"if", b"local function f() error(%b) end f()",
    b"local function f() return redis.call('nosuch', %b) end return f()",
    b"return pcall(error, %b)", b"return {pcall(redis.call, 'incr', %b)}", b"return redis.error_reply(%b)",
    b"return redis.status_reply(%b)",
    b"return {err = %b}", b"return {ok = %b}", b"coroutine.wrap(function() error(%b) end)()",
    b"return {coroutine.resume(coroutine.create(error), %b)}",
    b"string.x = %b", b"_G.x = %b", b"rawset(_G, 'x', %b)", b"setmetatable(_G, %b)",
    b"return {xpcall(function() error(%b) end, tostring)}",
    b"return redis.call('set', KEYS[1], %b, 'EX', 100)", b"return redis.call('multi', %b)",
    b"return redis.call('eval', %b, 0)",
)  # fmt: skip
SAID = (b"'said'", b"'-CODE said'", b"'CODE said'", b"5", b"nil", b"true", b"'a\\nb'", b"ARGV[1]", b"''")


def of_errors(draw: Draw) -> Send:
    text = draw.pick(BROKEN)
    return run(draw, text % draw.pick(SAID) if b"%b" in text else text, (draw.value(), draw.integer()))
