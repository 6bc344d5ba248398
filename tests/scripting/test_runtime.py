"""The sandbox: what a script cannot reach, cannot keep, and cannot hold up.
Each attack is followed by ordinary work.
"""

import gc
import random
import weakref
from collections.abc import Iterator

import pytest

from respram.scripting.runtime import BROKEN, BULK, FAILED, NULLED, NUMBER, RESP, CompileError, Runtime

from .hosts import MEMORY_BYTES, Echo, evaluate

pytest.importorskip("lupa")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    made = Runtime(MEMORY_BYTES, b"7.2.4")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def still_works(runtime: Runtime) -> Iterator[None]:
    yield
    assert runtime.failure is None
    again = evaluate(runtime,
                     "local t = {} for i = 1, 100 do t[i] = ('%d'):format(i) end return table.concat(t, ','):sub(1, 5)")
    assert (again.kind, again.value) == (BULK, b"1,2,3")
    assert evaluate(runtime, "return redis.call('echo', 'x')").value == b"x"
    assert evaluate(runtime, "return tostring(string.rep) == tostring(('').rep)").value == b":1\r\n"


def failure(runtime: Runtime, text: str, host: Echo | None = None) -> bytes:
    outcome = evaluate(runtime, text, host=host)
    assert outcome.kind in (FAILED, BROKEN), outcome
    assert isinstance(outcome.value, bytes)
    return outcome.value


# -- nothing of the host, and nothing that lasts ---------------------------------------------------
@pytest.mark.parametrize(
    "name",
    ["python", "os", "io", "package", "require", "debug", "module", "dofile", "loadfile", "print", "newproxy",
     "getfenv", "setfenv", "lupa",
     "host_call", "NOTHING"],
)  # fmt: skip
def test_there_is_no_way_out_by_name(runtime: Runtime, name: str) -> None:
    assert f"nonexistent global variable '{name}'".encode() in failure(runtime, f"return {name}")
    outcome = evaluate(runtime, f"return tostring(rawget(_G, '{name}'))")
    assert outcome.value == b"nil"


def test_no_userdata_but_the_empty_null_can_be_reached(runtime: Runtime) -> None:
    """Whatever a script can walk to from its globals: no Python object, no thread of the host, no unknown function."""
    found = evaluate(
        runtime,
        """
        local seen, kinds = {}, {}
        local function walk(value)
          kinds[type(value)] = (kinds[type(value)] or 0) + 1
          if seen[value] then return end
          if type(value) == 'userdata' then assert(value == cjson.null) assert(getmetatable(value) == nil) end
          if type(value) ~= 'table' then return end
          seen[value] = true
          for key, inner in pairs(value) do walk(key) walk(inner) end
          local metatable = getmetatable(value)
          if metatable then walk(metatable) end
        end
        walk(_G)
        walk(getmetatable(''))
        return {kinds.table, kinds['function'], kinds.userdata, kinds.thread or 0}
        """,
    )
    assert found.kind == RESP
    tables, functions, userdata, threads = [int(line[1:]) for line in found.value.split(b"\r\n")[1:5]]
    assert tables > 8 and functions > 60 and (userdata, threads) == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1", "_G.x = 1", "rawset(_G, 'x', 1)", "string.x = 1", "string.rep = nil", "rawset(string, 'rep', nil)",
        "table.insert(string, 'x')", "table.insert(_G, 1, 'x')", "setmetatable(_G, {})", "setmetatable(string, {})",
        "getmetatable(_G).__index = 1", "getmetatable('').__index = {}", "rawset(getmetatable(''), '__index', {})",
        "getmetatable('').__index.rep = nil", "redis.call = nil", "rawset(redis, 'call', function() end)",
        "math.random = nil",
        "cjson.null = 1", "coroutine.create = nil", "local t = getmetatable(redis) t.x = 1",
    ],
)  # fmt: skip
def test_what_scripts_share_cannot_be_changed(runtime: Runtime, text: str) -> None:
    assert b"Attempt to modify a readonly table" in failure(runtime, text)


@pytest.mark.parametrize(
    "text",
    [
        # The real tables hide behind those that a script sees.
        "for k, v in pairs(_G) do if type(v) == 'table' and k ~= 'KEYS' and k ~= 'ARGV' then "
        "assert(not pcall(function() v.evil = 1 end)) end end return 1",
        "local f, t, k = pairs(string) assert(not pcall(function() t.evil = 1 end)) return f(t, k) ~= nil and 1",
        "local t = setmetatable({}, string) t.evil = 1 assert(rawget(string, 'evil') == nil) return 1",
        "local t = setmetatable({}, getmetatable('')) assert(t.rep == string.rep) return 1",
        "assert(next(string) ~= nil) assert(next({}, nil) == nil) return 1",
        "local ok, e = pcall(error, string) assert(not ok and e == string) return 1",
        "table.sort(string) table.remove(string) return 1",
        "assert(loadstring('x = 1', '=sandbox')) assert(not pcall(loadstring('x = 1', '=sandbox'))) return 1",
        "assert(not pcall(loadstring('return debug'))) assert(loadstring('return _G')() == _G) return 1",
        "assert(load(function() end)) assert(load(function() return nil end)() == nil) return 1",
        "assert(select('#', loadstring('\\27Lua\\81\\0\\1\\4\\8\\4\\8\\0')) == 2) return 1",
        "local code = {'\\27', 'Lua\\81\\0\\1\\4\\8\\4\\8\\0'} local i = 0 "
        "assert(not load(function() i = i + 1 return code[i] end)) return 1",
        "assert(string.dump == nil) return 1",
        "local t = setmetatable({}, {__index = function(_, k) return k end}) assert(redis.pcall('echo', t.x) == 'x') "
        "return 1",
        "local t = setmetatable({}, {__tostring = function() return 'x' end}) assert(redis.pcall('echo', t).err) "
        "return 1",
        "assert(redis.pcall('echo', redis.call).err) assert(redis.pcall(cjson.null).err) assert(redis.pcall(nil).err) "
        "return 1",
        "assert(redis.pcall('echo', coroutine.create(function() end)).err) return 1",
        "local seen = {} for k in pairs(redis) do seen[#seen + 1] = k end assert(#seen > 15) return 1",
        "collectgarbage('stop') collectgarbage('setpause', 1) assert(collectgarbage('count') > 0) return 1",
    ],
)  # fmt: skip
def test_a_way_around_leads_nowhere(runtime: Runtime, text: str) -> None:
    outcome = evaluate(runtime, text)
    assert (outcome.kind, outcome.value) == (NUMBER, 1), outcome


def test_nothing_of_one_script_is_there_for_the_next(runtime: Runtime) -> None:
    assert evaluate(runtime, "ARGV.secret = ARGV[1] KEYS[7] = 'x' return 1", b"value").value == 1
    assert evaluate(runtime, "return tostring(ARGV.secret) .. tostring(KEYS[7]) .. #ARGV").value == b"nilnil0"


def test_errors_are_strings_and_tables_never_objects_of_the_host(runtime: Runtime) -> None:
    host = Echo()
    with pytest.raises(RuntimeError, match="a bug of the host"):
        evaluate(
            runtime,
            "local ok, e = pcall(redis.call, 'fail') while true do pcall(redis.call, 'echo', type(e)) end",
            host=host,
        )
    assert set(map(tuple, host.called[1:])) <= {(b"echo", b"string")}
    outcome = evaluate(
        runtime, "local ok, e = pcall(redis.call, 'fault', 'BAD thing') return type(e) .. e", host=Echo()
    )
    assert outcome.value == b"stringBAD thing"
    outcome = evaluate(runtime, "local ok, e = xpcall(function() redis.call('fault', 'BAD x') end, function(e) return "
                                "e end) return e.err")
    assert outcome.value == b"BAD x"


@pytest.mark.parametrize("level", ["0/0", "1/0", "-1", "4", "2^31"])
def test_a_level_that_is_none_is_refused(runtime: Runtime, level: str) -> None:
    assert failure(runtime, f"redis.log({level}, 'x')") == b"ERR Invalid debug level."


# -- time -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "local function f() return pcall(f) end while true do f() end",
        "coroutine.wrap(function() while true do end end)()",
        "while true do coroutine.wrap(function() while true do pcall(function() while true do end end) end end)() end",
        "local function nest(n) if n == 0 then while true do end end coroutine.wrap(nest)(n - 1) end nest(50)",
        "while true do pcall(coroutine.resume, coroutine.create(function() while true do pcall(error) end end)) end",
        "while true do pcall(string.gsub, 'abc', '.', function() while true do end end) end",
        "table.sort({3, 2, 1, 5}, function() while true do end end)",
        "setmetatable({}, {__index = function() while true do end end}).x()",
        "local t = setmetatable({}, {__eq = function() while true do end end}) return t == setmetatable({}, "
        "getmetatable(t))",
        "load(function() return ' ' end)",
        "load(function() while true do end end)",
        "while true do redis.pcall('echo', 'x') end",
        "local s = ('a'):rep(30) .. 'b' while true do s:find(('a?'):rep(30) .. ('a'):rep(30)) end",
        "return (('a'):rep(3000)):find('.-.-.-.-.-.-b')",
        "return (('a'):rep(3000)):match('^(.*)(.*)(.*)(.*)(.*)b$')",
        "return (('a'):rep(3000)):gsub('.-.-.-.-.-b', '')",
        "for _ in (('a'):rep(3000)):gmatch('.-.-.-.-.-b') do end",
        "local a = ('a'):rep(1000000) return a:find(('a'):rep(500000) .. 'b', 1, true)",
        "loadstring('while true do end', '=sandbox')()",
        "local s = {} for i = 1, 1e9 do s[i % 100 + 1] = cjson.encode({i, {i}}) cjson.decode(s[i % 100 + 1]) end",
        "while true do string.rep('', 1e15) end",
    ],
)  # fmt: skip
def test_every_loop_can_be_ended(runtime: Runtime, text: str) -> None:
    assert b"Script killed by user" in failure(runtime, text, Echo(ticks_max=200))


def test_a_killed_script_does_nothing_more(runtime: Runtime) -> None:
    host = Echo(ticks_max=50)
    failure(runtime, "while true do pcall(function() while true do end end) redis.call('echo', 'after') end", host)
    assert host.called == []


# -- memory and depth -----------------------------------------------------------------------------------
# The next answer does not fit after a hundred ticks; from there on each tick collects, and keeps a small error.
SLOWLY = "local t = {} while true do t[#t + 1] = redis.pcall('big') end"


@pytest.mark.parametrize(
    "text",
    [
        "return string.rep('x', 1e9)", "return ('x'):rep(2^53)", "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = {} end",
        "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() end) end",
        "local t = {} for i = 1, 1e9 do t[i] = function() return i end end",
        "local s = ('x'):rep(1e6) return s:gsub('.', s)",
        "local t = {} for i = 1, 9 do t[i] = redis.call('big') .. i end return #t",
        "local s = ('x'):rep(7e6) return cjson.encode({s, s, s, s})",
        "local s = ('x'):rep(7e6) return cmsgpack.pack(s, s, s, s)",
        "local s = ('x'):rep(7e6) return table.concat({s, s, s, s})", "local s = ('x'):rep(7e6) return {s, s, s, s}",
        "local s = ('\\1'):rep(4e6) return cjson.encode(s)", "return struct.pack('c2000000000', 'x')",
        "local t = {} while true do pcall(function() while true do t[#t + 1] = ('x'):rep(100) .. #t end end) "
        "error('full') end",
        "local function f(n) local t = {} for i = 1, 1000 do t[i] = n .. i end return t, f(n + 1) end return f(1)",
        SLOWLY,
    ],
)  # fmt: skip
def test_memory_is_bounded(runtime: Runtime, text: str) -> None:
    failure(runtime, text, Echo(ticks_max=150 if text == SLOWLY else 5_000))
    assert runtime.used_bytes() - runtime.base_bytes < MEMORY_BYTES


@pytest.mark.parametrize(
    "text",
    [
        "local function f() return 1 + f() end return f()", "local function f() f() end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
        "local function f() return pcall(f) end return f()",
        "local t = {} t.t = t return cjson.encode(t)", "return cjson.decode(('['):rep(100000))",
        "return loadstring(('('):rep(100000))()", "return loadstring('return ' .. ('{'):rep(100000))()",
        "return ('x'):rep(300):find(('x?'):rep(250000) .. 'y')", "return ('x'):find(('('):rep(100000))",
        "return ('('):rep(1000000):find(('%b()'):rep(40))",
        "return {unpack({1}, 2^31, 1)}", "return {unpack({1}, -2^31, 2^31 - 1)}", "return {unpack({1}, 1, 2^31 - 1)}",
        "return {unpack({1}, '1', 1e300)}",
        "return {unpack({1}, -1e300, 1/0)}", "return {unpack({1}, 0/0, 3)}",
        "local s = ('x'):rep(100000) return unpack({s:byte(1, -1)})", "return string.char(unpack({}, 1, 1e8))",
        "local t = {} for i = 1, 300000 do t = {t} end return cmsgpack.pack(t) == nil and error('x')",
        "local function f(...) return f(1, ...) end return f()",
        "local function f(n) return coroutine.wrap(f)(n + 1) end return f(0)",
    ],
)  # fmt: skip
def test_depth_is_bounded(runtime: Runtime, text: str) -> None:
    outcome = evaluate(runtime, text, host=Echo(ticks_max=20_000))
    assert outcome.kind in (FAILED, BROKEN, NULLED, RESP)


WIDE = b"local function f(" + b", ".join(b"a%d" % number for number in range(200)) + b", ...) return a1 end return f()"


@pytest.mark.parametrize(
    "text",
    [
        WIDE, b"function x:y(a, b, c, d, ...) end", b"local f = function(a, b, --[[ c ]] c, d, e, ...) end",
        b"--\rlocal f = function(a, b, c, d, e, ...) end",
        b"local s = \"\\\r\n\" local f = function(a, b, c, d, e, ...) return \"\" end",
        b"local s = [=[ ]] ]=] local f = function(a,b,c,d,e,...)end",
    ],
)  # fmt: skip
def test_parameters_that_lua_has_no_room_for_are_refused(runtime: Runtime, text: bytes) -> None:
    with pytest.raises(CompileError, match="four parameters"):
        runtime.compile(text)
    outcome = evaluate(runtime, "local f, e = loadstring(ARGV[1]) return e", text)
    assert b"four parameters" in outcome.value
    outcome = evaluate(
        runtime, "local given = {ARGV[1]} local f, e = load(function() return table.remove(given) end) return e", text
    )
    assert b"four parameters" in outcome.value


def test_few_parameters_before_the_rest_are_fine(runtime: Runtime) -> None:
    text = (
        "local function f(a, b, c, d, ...) return d + select('#', ...) end "
        "return f(1, 2, 3, 4, 5, 6) -- function(a, b, c, d, e, ...)"
    )
    assert evaluate(runtime, text).value == 6


def test_an_answer_that_contains_itself_ends(runtime: Runtime) -> None:
    outcome = evaluate(runtime, "local t = {} t[1] = t return t")
    assert outcome.kind == RESP and b"reached lua stack limit" in outcome.value


def test_thousands_of_arguments_reach_a_script(runtime: Runtime) -> None:
    values = [b"%d" % number for number in range(20_000)]
    script = runtime.compile(b"return {#KEYS, #ARGV, KEYS[12000], ARGV[1], ARGV[8000], ARGV[8001]}")
    outcome = runtime.run(script, Echo(), values[:12_000], values[12_000:], 2)
    assert outcome.value == b"*5\r\n:12000\r\n:8000\r\n$5\r\n11999\r\n$5\r\n12000\r\n$5\r\n19999\r\n"


def test_large_arguments_do_not_end_the_process(runtime: Runtime) -> None:
    large = b"x" * (2 * MEMORY_BYTES)
    outcome = evaluate(runtime, "return #ARGV[1]", large)
    assert outcome.kind in (NUMBER, BROKEN, FAILED)
    outcome = evaluate(runtime, "return redis.call('echo', ARGV[1]) == ARGV[1]", large)
    assert outcome.kind in (RESP, BROKEN, FAILED)


def test_a_runtime_that_holds_much_is_worn() -> None:
    made = Runtime(64 << 20, b"7.2.4")
    assert not made.is_worn()
    assert evaluate(made, "return #string.rep('x', 20000000)").value == 20_000_000
    assert not made.is_worn(), "what can be collected is collected"
    made.close()


def test_what_does_not_compile_is_told_with_its_own_text(runtime: Runtime) -> None:
    with pytest.raises(CompileError) as raised:
        runtime.compile(b"return redis.call('x') foo()")
    assert raised.value.text == b"user_script:1: '<eof>' expected near 'foo'"


PIECES = (
    "a", "b", ".", "%a", "%d", "[ab]", "[^a]", "[a-c]", "%s", "(", ")", "()", "*", "+", "-", "?", "^", "$", "%b()",
    "%f[%w]", "%1", "%", "[",
)  # fmt: skip
CALLS = (
    "find(s, p)",
    "match(s, p)",
    "gsub(s, p, '<%0>')",
    "gsub(s, p, {a = 1, b = 'x'})",
    "find(s, p, 2)",
    "gsub(s, p, '%1', 2)",
    "gmatch(s, p)()",
)


def test_random_patterns_match_as_in_c(runtime: Runtime) -> None:
    """The matcher that can be stopped agrees with the one in C."""
    careful = Runtime(MEMORY_BYTES, b"7.2.4", pattern_steps_max=0)
    rng = random.Random(20261129)
    matched = 0
    for _ in range(3_000):
        pattern = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 6)))
        subject = "".join(rng.choice("ab1 ()") for _ in range(rng.randint(0, 8)))
        text = (
            f"local s, p = ARGV[1], ARGV[2] local ok, a, b, c = pcall(function() return string.{rng.choice(CALLS)} "
            "end) "
            "return {tostring(ok), tostring(a), tostring(b), tostring(c)}"
        )
        expected = evaluate(runtime, text, subject.encode(), pattern.encode()).value
        assert evaluate(careful, text, subject.encode(), pattern.encode()).value == expected, (text, subject, pattern)
        matched += expected.count(b"true")
    assert matched > 500
    careful.close()


def test_a_runtime_that_is_closed_is_freed_at_once() -> None:
    """The collector would come too late: it counts objects, and each SCRIPT FLUSH left 430 KiB of Lua behind for it."""
    gc.disable()
    try:
        for text in ("", "return 1", "return redis.call('echo', 'x')"):
            made = Runtime(MEMORY_BYTES, b"7.2.4")
            if text:
                evaluate(made, text)
            gone = weakref.ref(made)
            made.close()
            del made
            assert gone() is None, text
    finally:
        gc.enable()
