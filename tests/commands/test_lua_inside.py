"""Scripts that the engine runs by Lua, without Python: they answer and do what they do with it, or they hand over.

The judge is the same node with its fast paths off (`Pair`), as for programs. Where a run hands over, its commands have
had their effect: nothing may be done twice, and nothing left out.
"""

import json
import random
from dataclasses import replace

import pytest

from compat.oracle.draw import Draw
from compat.oracle.families.scripts import scripts
from compat.oracle.stream import Send
from respram.catalog.hot import HOT_NAMES
from respram.commands.running import HANDLERS
from respram.scripting.cache import digest_of
from respram.scripting.compiler import compile_script
from tests import dear

from ..engine.conftest import ENGINES
from .test_programs import KEYS, Pair, stir

pytest.importorskip("lupa")

SEED = 20_261_130
RANDOM_SCRIPTS = (400, 1_500)  # in `make test`; in `make test-slow`
LET_GO = (b"+del", b"+unlink", b"+hdel", b"+zrem", b"+zremrangebyscore")
LUA = "local f = function() end "  # what no program has


@pytest.fixture
def pair() -> Pair:
    if "native" not in ENGINES:
        pytest.skip("the pure engine leaves all of Lua to Python")
    made = Pair("native")
    for client in made.clients:
        client(b"ACL", b"SETUSER", b"default", *LET_GO)
    return made


def run(pair: Pair, text: str, keys: tuple[bytes, ...] = (), arguments: tuple[bytes, ...] = ()) -> tuple[bytes, int]:
    """The answer, and how many scripts the engine ran by itself for it: 1 or 0."""
    whole = (LUA + text).encode("latin-1")
    assert compile_script(whole) is None
    pair(b"SCRIPT", b"LOAD", whole)
    before = pair.ran()
    answer = pair(b"EVALSHA", digest_of(whole), b"%d" % len(keys), *keys, *arguments)
    pair.state()
    return answer, pair.ran() - before


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("return 1", b":1\r\n"), ("return 1.9", b":1\r\n"), ("return -1.9", b":-1\r\n"), ("return nil", b"$-1\r\n"),
        ("return false", b"$-1\r\n"), ("return true", b":1\r\n"), ("return 'x'", b"$1\r\nx\r\n"),
        ("return ''", b"$0\r\n\r\n"), ("return {1, 'x', {2}}", b"*3\r\n:1\r\n$1\r\nx\r\n*1\r\n:2\r\n"),
        ("return {ok = 'FINE'}", b"+FINE\r\n"), ("return redis.status_reply('FINE')", b"+FINE\r\n"),
        ("return redis.call('SET', KEYS[1], 'v')", b"+OK\r\n"),
        ("redis.call('SET', KEYS[1], 'v') return redis.call('GET', KEYS[1])", b"$1\r\nv\r\n"),
        ("return redis.call('GET', KEYS[1])", b"$-1\r\n"),
        ("return redis.call('MGET', 'a', 'b')", b"*2\r\n$-1\r\n$-1\r\n"),
        ("redis.call('SET', KEYS[1], 7) return redis.call('INCRBY', KEYS[1], 2.0)", b":9\r\n"),
        ("redis.call('SET', KEYS[1], 1e15) return redis.call('GET', KEYS[1])", b"$16\r\n1000000000000000\r\n"),
        ("redis.call('SET', KEYS[1], 0.1) return redis.call('GET', KEYS[1])", b"$19\r\n0.10000000000000001\r\n"),
        ("redis.call('HSET', KEYS[1], 'f', 'v') return redis.call('HGETALL', KEYS[1])",
         b"*2\r\n$1\r\nf\r\n$1\r\nv\r\n"),
        ("local t = cjson.decode(ARGV[1]) return t.a", b":5\r\n"), ("return {#KEYS, #ARGV, KEYS[2], ARGV[2]}",
                                                                  b"*2\r\n:1\r\n:1\r\n"),
        ("return string.format('%s-%03d', ARGV[1]:sub(2, 4), 7)", b"$7\r\n\"a\"-007\r\n"),
        ("local n = 0 for w in ('a,b,c'):gmatch('[^,]+') do n = n + #w end return n", b":3\r\n"),
        ("return select(2, pcall(error, 'x'))", b"$1\r\nx\r\n"),
        ("local c = coroutine.wrap(function() coroutine.yield(redis.call('INCR', KEYS[1])) end) return c()",
    b":1\r\n"),
        ("local r = redis.pcall('SET', KEYS[1], 'v', 'PX', 'x') return type(r)", None),
        ("return redis.call('TIME')[1] + 0", None),
        ("return redis.sha1hex('')", b"$40\r\nda39a3ee5e6b4b0d3255bfef95601890afd80709\r\n"),
        ("return cmsgpack.unpack(cmsgpack.pack(0.5)) * 2", b":1\r\n"), ("return loadstring('return 7')()", b":7\r\n"),
        ("math.randomseed(7) return math.random(1000)", None), ("return math.random(1000)", None),
        ("redis.call('ZADD', KEYS[1], 1, 'a', 2, 'b') return redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, 1)", b":1\r\n"),
        ("redis.call('HSET', KEYS[1], 'a', 1) return redis.call('HDEL', KEYS[1], 'a')", b":1\r\n"),
        ("redis.call('HSET', KEYS[1], 'a', 1) return redis.call('HINCRBYFLOAT', KEYS[1], 'a', 1)", b"$1\r\n2\r\n"),
        ("redis.call('SET', KEYS[1], 'x') return redis.pcall('INCR', KEYS[1]).err",
         b"$43\r\nERR value is not an integer or out of range\r\n"),
    ],
)  # fmt: skip
def test_the_engine_runs_it(pair: Pair, text: str, answer: bytes | None) -> None:
    told, ran = run(pair, text, (b"a",), (b'{"a":5}',))
    assert ran == 1 or "pcall('SET" in text
    assert answer is None or told == answer


@pytest.mark.parametrize(
    "text",
    [
        "redis.call('INCR', KEYS[1]) return redis.call('OBJECT', 'ENCODING', KEYS[1])",  # a command without a fast path
        "redis.call('INCR', KEYS[1]) error('own')", "redis.call('INCR', KEYS[1]) return {err = 'own'}",
        "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[1], 1)",
        "redis.call('INCR', KEYS[1]) return redis.call()", "redis.call('INCR', KEYS[1]) return redis.call('GET', {})",
        "redis.call('INCR', KEYS[1]) return redis.call('NOSUCH')",
        "redis.call('SET', KEYS[1], 'x') return redis.call('INCR', KEYS[1])",
        "redis.call('INCR', KEYS[1]) redis.call('SELECT', 1) return redis.call('INCR', KEYS[1])",
        "redis.call('INCR', KEYS[1]) return redis.sha1hex('x')",
        "redis.call('INCR', KEYS[1]) redis.setresp(3) return 1",
        "redis.call('INCR', KEYS[1]) collectgarbage('step') return 1",
        "math.randomseed(7) return {redis.call('INCR', KEYS[1]), math.random(1000), math.random(1000)}",
        "math.randomseed(7) redis.call('SET', KEYS[1], math.random(1000)) collectgarbage('step') "
        "return math.random(1000)",
        "redis.call('SET', KEYS[1], math.random(1000)) return {err = 'own ' .. math.random(1000)}",
        "redis.call('ZADD', KEYS[1], 1, 'a', 2, 'b') redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, 1) error('own')",
        "redis.call('HSET', KEYS[1], 'a', 1) local n = redis.call('HDEL', KEYS[1], 'a') collectgarbage('step') "
        "return n",
        "for i = 1, 150 do redis.call('HSET', KEYS[1], i, i) redis.call('HINCRBYFLOAT', KEYS[1], i, 1) end "
        "collectgarbage('step') return 1",
        "redis.call('SET', KEYS[1], 'x') local r = redis.pcall('INCR', KEYS[1]) collectgarbage('step') return r.err",
        "redis.call('INCR', KEYS[1]) return redis.call('RENAME', KEYS[1], 'c')",
        "redis.call('INCR', KEYS[1]) redis.call('EXPIRE', KEYS[1], 0) return redis.call('EXISTS', KEYS[1])",
        "redis.call('INCR', KEYS[1]) redis.call('PERSIST', KEYS[1]) return redis.call('TTL', KEYS[1])",
        "redis.call('INCR', KEYS[1]) return redis.call('LPUSH', KEYS[1], 1)",
        "redis.call('INCR', KEYS[1]) return loadstring('return 7')()",
        "redis.call('INCR', KEYS[1]) return collectgarbage('step')",
        "redis.call('INCR', KEYS[1]) return cmsgpack.unpack(cmsgpack.pack(0.5)) * 2",
        "redis.call('INCR', KEYS[1]) cjson.encode_max_depth(3) local ok = pcall(cjson.encode, {{{{1}}}}) "
        "cjson.encode_max_depth(1000) return tostring(ok)",
        "local n = redis.call('INCR', KEYS[1]) for i = 1, 300000 do n = n + 1 end "
        "return n + redis.call('INCR', KEYS[1])",
        "local n = redis.call('INCR', KEYS[1]) local s = string.rep('x', 3000000) "
        "return #s + redis.call('INCR', KEYS[1])",
        "local n = redis.call('INCR', KEYS[1]) local ok = pcall(string.rep, 'x', 3000000) "
        "return {tostring(ok), redis.call('INCR', KEYS[1])}",
        "for i = 1, 30 do redis.call('INCR', KEYS[1]) pcall(function() error('x') end) end "
        "return {pcall(redis.call, 'OBJECT', 'FREQ', KEYS[1])}",
        "redis.call('INCR', KEYS[1]) local c = coroutine.create(function() redis.call('INCR', KEYS[1]) "
        "redis.call('OBJECT', 'ENCODING', KEYS[1]) redis.call('INCR', KEYS[1]) end) "
        "local ok = coroutine.resume(c) redis.call('INCR', KEYS[1]) return tostring(ok)",
        "local ok = pcall(function() redis.call('OBJECT', 'ENCODING', KEYS[1]) end) for i = 1, 5 do "
        "redis.call('INCR', KEYS[1]) end return tostring(ok)",
        "return redis.call('INCR', KEYS[1]) / 0", "return redis.call('SET', KEYS[1], -0.0)",
        "local r = ('x'):rep(100):match('.-.-b') return redis.call('INCR', KEYS[1])",
        "redis.call('SET', KEYS[1], ('v'):rep(700000)) "
        "return #(redis.call('GET', KEYS[1]) .. redis.call('GET', KEYS[1]))",
        "for i = 1, 2000 do redis.call('GETRANGE', KEYS[1], 0, -1) "
        "redis.call('APPEND', KEYS[1], 'some text more') end return 1",
    ],
)  # fmt: skip
def test_what_is_handed_over_is_done_once(pair: Pair, text: str) -> None:
    run(pair, text, (b"a",))
    run(pair, text, (b"b",))
    for name in (b"a", b"b", b"c"):
        pair(b"GET", name)
    assert run(pair, "return redis.call('INCR', KEYS[1])", (b"c",)) == (b":1\r\n", 1)


@pytest.mark.parametrize(
    "text",
    [
        "error('own')", "error('own', 0)", "error('')", "error()", "error({})", "error({err = 'OWN text'})",
        "error({err = 'OWN', source = 'x', line = 7})", "error({err = 5})", "error(7)", "return {err = 'OWN text'}",
        "return {err = ''}", "return {err = 'a\\0b'}", "return {err = 'a\\r\\nb'}", "return {err = '-x'}",
        "return redis.error_reply('OWN text')", "return redis.error_reply('-OWN text')",
        "return redis.error_reply('x')",
        "local t = nil return t.x", "return 1 + {}", "return 1 < 'x'", "return nothing", "x = 1", "KEYS()",
        "local function deep(n) return 1 + deep(n + 1) end return deep(1)", "string.rep()", "('x'):bad()",
        "error(setmetatable({}, {__index = function() error('more') end}))", "redis.call('INCR', KEYS[1]) error('x')",
        "return pcall(error, {err = 'x'})", "return select(2, pcall(error, {err = 'x'}))", "error(redis)", "error(_G)",
        "return coroutine.wrap(function() error('in it') end)()", "return loadstring('error(1)')()",
        "return table.concat({{}})", "return tostring(nil) .. nil", "local t = setmetatable({}, {}) t.x.y = 1",
        "redis.setresp(4)", "redis.log(9, 'x')", "redis.log(1)", "redis.setresp()", "redis.acl_check_cmd()",
        "return xpcall(function() error('x') end, function(e) return redis.error_reply(e) end)",
        "return redis.call('INCR', KEYS[1], 1)", "return redis.call('NOSUCH')", "return redis.call('OBJECT', 'NOSUCH')",
        "redis.call('HSET', KEYS[1], 'a', 1) return redis.call('INCR', KEYS[1])", "return redis.call('MULTI')",
        "redis.call('HSET', KEYS[1], 'a', 1) return redis.pcall('INCR', KEYS[1])",
        "return redis.pcall('BLPOP', 'l', 0)",
        "redis.call('SET', KEYS[1], 'x') return redis.pcall('INCR', KEYS[1])", "return redis.pcall('NOSUCH').err",
        "return redis.call('RENAME', KEYS[1], 'c')", "return redis.call('PERSIST', KEYS[1])",
        "return redis.call('FLUSHALL')", "return redis.call('LPUSH', KEYS[1], 1)",
    ],
)  # fmt: skip
def test_the_engine_tells_errors_itself(pair: Pair, text: str) -> None:
    """And counts them as Python does. A few of them it leaves to Python; the answers are compared either way."""
    answer, ran = run(pair, text, (b"a",))
    counts = [client(b"INFO", b"errorstats").split(b"\r\n", 1)[1] for client in pair.clients]
    assert counts[0] == counts[1]
    assert run(pair, text, (b"b",))[0][:1] == answer[:1]
    left = ("error('')", "\\r", "deep(n)", "BLPOP", "PERSIST", "LPUSH", "FLUSHALL")
    assert ran == 1 or any(part in text for part in left)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("redis.log(redis.LOG_NOTICE, KEYS[1]) return 1", b":1\r\n"),
        ("return tostring(redis.acl_check_cmd('GET', 'x'))", b"$4\r\ntrue\r\n"),
        ("return tostring(redis.acl_check_cmd('GETDEL', 'x'))", b"$5\r\nfalse\r\n"),
        ("return redis.pcall(redis.acl_check_cmd, 'NOSUCH')", None),
        ("redis.setresp(3) return redis.call('GET', 'none')", b"$-1\r\n"),
        ("redis.setresp(3) redis.call('HSET', KEYS[1], 'f', 'v') return redis.call('HGETALL', KEYS[1]).map.f",
         b"$1\r\nv\r\n"),
        ("redis.setresp(3) redis.call('SADD', KEYS[1], 'm') return redis.call('SMEMBERS', KEYS[1]).set.m and 7",
         b":7\r\n"),
        ("redis.setresp(3) redis.call('ZADD', KEYS[1], 1.5, 'm') return redis.call('ZSCORE', KEYS[1], 'm').double * 2",
         b":3\r\n"),
        ("redis.setresp(3) redis.setresp(2) return redis.call('GET', 'none') == false and 1", b":1\r\n"),
        ("redis.setresp(3) return redis.call('HRANDFIELD', 'none') == nil and 1", b":1\r\n"),
        ("redis.setresp(3) return redis.call('MGET', 'none', 'none')", None),
        ("redis.setresp(3) redis.call('HSET', KEYS[1], 'f', 'v') return redis.call('HGETALL', KEYS[1])", None),
    ],
)  # fmt: skip
def test_the_host_is_asked_by_the_engine(pair: Pair, text: str, answer: bytes | None) -> None:
    for proto in (b"3", b"2"):
        for client in pair.clients:
            client(b"HELLO", proto)
        told, ran = run(pair, text, (b"a%b" % proto,))
        assert ran == 1 or "redis.pcall(" in text
        assert answer is None or proto == b"3" or told == answer


def test_what_was_asked_of_the_host_is_asked_once(pair: Pair) -> None:
    """Also where the script is handed over: a second line in the log, or a reply out of its order, would tell."""
    before = [len(rig.lines) for rig in pair.rigs]
    text = (
        "redis.log(redis.LOG_WARNING, 'one') local may = redis.acl_check_cmd('GET', 'x') local n = redis.call('INCR', "
        "KEYS[1]) redis.setresp(3) redis.call('HSET', 'b', 'f', 'v') local got = redis.call('HGETALL', 'b') "
        "collectgarbage('step') redis.log(redis.LOG_WARNING, 'two') "
        "return {tostring(may), n, got.map.f, redis.call('INCR', KEYS[1])}"
    )
    answer, ran = run(pair, text, (b"a",))
    assert (answer, ran) == (b"*4\r\n$4\r\ntrue\r\n:1\r\n$1\r\nv\r\n:2\r\n", 0)
    told = [sum("script_log" in line for line in rig.lines[at:]) for rig, at in zip(pair.rigs, before, strict=True)]
    assert told == [2, 2]


def test_lua_takes_over_from_a_program(pair: Pair) -> None:
    """With the replies that the program got: what it has done is not done again."""
    text = (
        b"local n = redis.call('INCR', KEYS[1]) redis.call('HSET', KEYS[2], 'f', n) "
        b"return redis.call('PEXPIRE', KEYS[2], 0)"
    )
    assert compile_script(text) is not None
    pair(b"SCRIPT", b"LOAD", text)
    for number in range(1, 4):
        before = pair.ran()
        assert pair(b"EVAL", text, b"2", b"a", b"b") == b":1\r\n"
        assert pair.ran() - before == 1
        assert pair(b"GET", b"a") == b"$1\r\n%d\r\n" % number
    failing = b"redis.call('INCR', KEYS[1]) redis.call('HSET', KEYS[2], 'f', 1) return redis.call('INCR', KEYS[2])"
    assert pair(b"EVAL", failing, b"2", b"a", b"b").startswith(b"-WRONGTYPE")
    assert pair(b"GET", b"a") == b"$1\r\n4\r\n"


def test_a_script_that_declines_for_ever_is_left_to_python(pair: Pair) -> None:
    """It would cost both runs each time."""
    text = LUA + "redis.call('INCR', KEYS[1]) collectgarbage('step') return redis.call('OBJECT', 'ENCODING', KEYS[1])"
    for _ in range(40):
        pair(b"EVAL", text.encode(), b"1", b"a")
    assert pair(b"GET", b"a") == b"$2\r\n40\r\n"
    assert pair.ran() == 0


def test_a_bug_of_the_node_inside_is_one_outside(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("a bug")

    counted = "redis.call('HSET', KEYS[1], 'f', redis.call('INCR', 'c')) "
    body = counted + "return redis.call('OBJECT', 'ENCODING', 'c')"
    text = (LUA + body).encode()
    assert b"object" not in HOT_NAMES, "the test wants a command without a fast path"
    client = pair.clients[0]
    assert client(b"EVAL", text, b"1", b"a") == client(b"OBJECT", b"ENCODING", b"c")
    assert client(b"EVAL", text, b"1", b"a") == client(b"OBJECT", b"ENCODING", b"c")
    with monkeypatch.context() as patched:
        patched.setitem(HANDLERS, b"object|encoding", fail)
        with pytest.raises(RuntimeError):
            client(b"EVAL", text, b"1", b"a")
    again = pair.rigs[0].connect()
    assert again(b"GET", b"c") == b"$1\r\n3\r\n"
    assert again(b"HGET", b"a", b"f") == b"$1\r\n3\r\n"
    assert again(b"EVAL", text, b"1", b"a") == again(b"OBJECT", b"ENCODING", b"c")


@pytest.mark.parametrize("slow_one", ["redis.call('HINCRBYFLOAT', 'b', 'f', '1e0') ", ""])
def test_what_a_script_did_is_told_in_its_order(pair: Pair, slow_one: str) -> None:
    """By fast paths, and by commands that have none."""
    lines = []
    for rig in pair.rigs:
        listener = rig.connect()
        listener(b"HELLO", b"3")
        listener(b"CLIENT", b"TRACKING", b"ON", b"BCAST")
        listener(b"PSUBSCRIBE", b"n*")
        listener(b"SUBSCRIBE", b"news")
        lines.append(listener.line)
    for line in lines:
        line.out.clear()
    text = (
        f"redis.call('PUBLISH', 'news', 'x') redis.call('SET', KEYS[1], 1) redis.call('HSET', 'b', 'f', 1) {slow_one}"
        "redis.call('INCR', KEYS[1]) redis.call('ZADD', 'c', 1, 'm') redis.call('PUBLISH', 'news', 'y') "
        f"redis.call('SET', 'c', 1) redis.call('PUBLISH', 'news', 'z') {slow_one}return redis.call('DEL', KEYS[1])"
    )
    answer, ran = run(pair, text, (b"a",))
    assert (answer, ran) == (b":1\r\n", 1)
    fast, slow = (b"".join(line.out) for line in lines)
    assert fast == slow
    assert b"invalidate" in fast
    assert b"pmessage" in fast


def test_a_flushed_cache_leaves_nothing_to_the_engine(pair: Pair) -> None:
    text = (LUA + "return redis.call('INCR', KEYS[1])").encode()
    for number in range(1, 4):
        pair(b"SCRIPT", b"LOAD", text)
        before = pair.ran()
        assert pair(b"EVALSHA", digest_of(text), b"1", b"a") == b":%d\r\n" % number
        assert pair.ran() == before + 1
        pair(b"SCRIPT", b"FLUSH")
        assert pair(b"EVALSHA", digest_of(text), b"1", b"a").startswith(b"-NOSCRIPT")


def test_a_script_that_was_dropped_is_none_of_the_engines(pair: Pair) -> None:
    """Numbers of scripts are used again; what was taught under one may not come to run another's."""
    for rig in pair.rigs:
        rig.node.limits = replace(rig.node.limits, scripts_max=3)  # read when the first script comes
    texts = [(LUA + f"return {number}").encode() for number in range(12)]
    for _ in range(3):
        for number, text in enumerate(texts):
            assert pair(b"EVAL", text, b"0") == b":%d\r\n" % number
            assert pair(b"EVAL", text, b"0") == b":%d\r\n" % number


JSONS = (
    b"{}", b"[]", b"null", b"true", b"false", b"1", b"-0", b"0", b"01", b"-", b"1.", b".5", b"1.5e3", b"1e400",
    b"-1E-2", b"0x10",
    b"1.2.3", b"nan", b"inf", b"tru", b"truex", b"nullx", b"12345678901234567890", b"0.1", b"123456789012345",
    b"1234567890123456",
    b'""', b'"x', b'"a\\nb\\/\\u00e9\\u20ac\\u0000\\ud83d\\ude00"', b'"\\ud83d"', b'"\\x"', b'"\\u12g4"', b'"\x00"',
    b'"\x7f\x01/\\""',
    b"[1,2,]", b"[,1]", b"{,}", b'{"a":1,}', b'{"a" : [1, 2, {"b":null}], "c":"d"}', b'{"a":1,"a":2}', b"{1:2}",
    b'{"a"}', b"[1 2]",
    b" [ 1 , 2 ] ", b"[1]x", b"\x00\x00[]", b"[" * 60 + b"]" * 60, b"[" * 70 + b"]" * 70, b"[[1,null,3],{}]",
    b"\xef\xbb\xbf1",
    b'{"10":1,"9":2,"8":3,"x":4,"longer name of a key that is hashed in part only, as all long ones are":5}', b"",
)  # fmt: skip
VALUES = (
    "{}", "{1, 2, 3}", "{a = 1}", "{1, nil, 3}", "{[12] = 1}", "{[3] = 1, [4] = 2}", "{[1.5] = 1}", "{[0] = 1}",
    "{[-1] = 'x', a = 2}",
    "{[2^40] = 1}", "{cjson.null, true, false}", "cjson.null", "nil", "1/0", "0/0", "-0", "1e14",
    "123456789012345", "0.1", "1/3", "-5",
    "'\\0\\1\\31\\127\\200/\"\\\\\\b\\f'", "{{{}}}", "function() end", "{[true] = 1}", "{[{}] = 1}", "string",
    "redis", "_G",
    "setmetatable({}, {__index = function() return 7 end})", "setmetatable({1, 2}, {})",
    "(function() local t = {} t.t = t return t end)()",
    "(function() local t = {} for i = 1, 70 do t = {t} end return t end)()",
    "{['a/b'] = 'c\\nd', x = {y = {1, {z = 2}}}}",
)  # fmt: skip


@pytest.mark.parametrize("settings", ["", "cjson.encode_sparse_array(true) ", "cjson.encode_number_precision(3) "])
def test_cjson_is_the_same_inside(pair: Pair, settings: str) -> None:
    """A script that changes a setting hands over; the next ones have it, too."""
    run(pair, settings + "return 1")
    before = pair.ran()
    back = (
        "local ok, v = pcall(cjson.decode, ARGV[1]) local o, w = pcall(cjson.encode, {v}) "
        "return {tostring(ok), type(v), tostring(w)}"
    )
    for text in JSONS:
        run(pair, back, (), (text,))
    for value in VALUES:
        run(pair, f"local ok, v = pcall(cjson.encode, {value}) return {{tostring(ok), tostring(v)}}")
    assert pair.ran() - before > (len(JSONS) + len(VALUES)) * 2 // 3
    run(pair, "cjson.encode_sparse_array(false) cjson.encode_number_precision(14) return 1")


def test_random_json_is_the_same_inside(pair: Pair) -> None:
    rng = random.Random(SEED)

    def value(depth: int) -> object:
        how = rng.randrange(9 if depth else 5)
        if how < 2:
            return rng.choice((0, 1, -7, 3.25, 1e20, 0.1, 2**53, 123456789012345678))
        if how < 4:
            return "".join(rng.choice('ab/"\\\n\t\x01\u00e9\u20ac{}[],:') for _ in range(rng.randrange(8)))
        if how == 4:
            return rng.choice((True, False, None))
        if how < 7:
            return [value(depth - 1) for _ in range(rng.randrange(5))]
        return {rng.choice("abcdefgh") * rng.randrange(4): value(depth - 1) for _ in range(rng.randrange(6))}

    back = "local ok, v = pcall(cjson.decode, ARGV[1]) return {tostring(ok), ok and cjson.encode(v) or v}"
    for _ in range(600):
        made = json.dumps(value(4), ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, None, 1)))
        text = bytearray(made.encode())
        for _ in range(rng.choice((0, 0, 0, 1, 3))):
            text[rng.randrange(len(text))] = rng.choice(b'[]{}:,"\\0e.-xu \x00')
        run(pair, back, (), (bytes(text),))
    assert pair.ran() > 400


@pytest.mark.parametrize("count", dear.first(1, RANDOM_SCRIPTS))
def test_random_scripts_do_with_the_engine_what_they_do_with_python(pair: Pair, count: int) -> None:
    rng = random.Random(SEED)
    draw = Draw(f"{SEED}")
    for _ in range(count):
        stir(pair, rng)
        for one in scripts(draw, 2, 1).steps:
            assert isinstance(one, Send)
            argv = [word for word in one.argv if isinstance(word, bytes)]
            if argv[0].upper().startswith(b"EVAL"):
                argv[3] = rng.choice(KEYS)
            pair(*argv)
        pair.state()
    assert pair.ran() > count // 5, f"seed {SEED}"
