"""What scripts cost beside Redis, by what they do: recognised ones, Lua with commands that have a fast path and with
others, and the ways in which a script fails.

CPU of the server as everywhere here, per EVALSHA, in pipelines of 16 on one connection. Before its first turn a script
is run once at each server, and its answer has to be an error at both or at neither. Its figure is allowed to be LIMITS
times that of Redis.
"""

import contextlib
import hashlib
import os
import socket
import sys
from argparse import Namespace
from functools import partial
from typing import NamedTuple

from benchmarks import machine, options, tables
from benchmarks.commands import encoded
from benchmarks.compare import THEIRS, taking_turns
from benchmarks.machine import Affinity
from benchmarks.servers import REPLY_S_MAX, BenchError, Kind, Programs, Server, serving
from benchmarks.turns import Turn, lines, save, take_turns

SERVERS = "redis,native"
PIPELINE = 16
BATCHES = 64  # batches of different keys, sent in turn
ROUNDS = 1_500  # pipelines of one turn
QUICK_DIVISOR = 10
LIMITS = {"recognised": 1.2, "Lua": 2.5, "other commands": 2.5, "errors": 2.5, "the host's": 2.5}
LET_GO = (b"+del", b"+unlink", b"+hdel", b"+zrem", b"+zremrangebyscore", b"+srem", b"+getdel", b"+zpopmin")
END = b"$7\r\n--end--\r\n"  # the reply to an ECHO after each pipeline


class Script(NamedTuple):
    group: str
    title: str
    text: bytes
    arguments: tuple[bytes, ...] = ()


LUA = b"local f = function() end "  # no recognised script begins like this
SCRIPTS = (
    Script("recognised", "compare and delete", b"if redis.call('get',KEYS[1]) == ARGV[1] then "
           b"return redis.call('del',KEYS[1]) else return 0 end", (b"token",)),
    Script("recognised", "compare and expire", b"if redis.call('get',KEYS[1]) == ARGV[1] then "
           b"return redis.call('pexpire',KEYS[1],ARGV[2]) else return 0 end", (b"token", b"60000")),
    Script("recognised", "INCR and PEXPIRE", b"local n = redis.call('INCR', KEYS[1]) if n == 1 then "
           b"redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return n", (b"60000",)),
    Script("Lua", "INCR and PEXPIRE", LUA + b"local n = redis.call('INCR', KEYS[1]) if n == 1 then "
           b"redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return n", (b"60000",)),
    Script("Lua", "SET and GET", LUA + b"redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])",
           (b"value",)),
    Script("Lua", "a table, and SET", LUA + b"local t = {} for i = 1, 10 do t[i] = i end "
           b"redis.call('SET', KEYS[1], table.concat(t, ',')) return t"),
    Script("Lua", "string.match, format, upper, and SET", LUA + b"local a, b = ARGV[1]:match('(%w+):(%w+)') "
           b"redis.call('SET', KEYS[1], string.format('%s-%s', a:upper(), b)) return 1", (b"abc:def",)),
    Script("Lua", "cjson.decode, encode, and SET", LUA + b"local t = cjson.decode(ARGV[1]) t.n = t.n + 1 "
           b"redis.call('SET', KEYS[1], cjson.encode(t)) return t.n", (b'{"n":1,"name":"x"}',)),
    Script("Lua", "redis.sha1hex", LUA + b"return redis.sha1hex(ARGV[1])", (b"value",)),
    Script("Lua", "HSET and HDEL", LUA + b"redis.call('HSET', KEYS[1], 'f', 'v') "
           b"return redis.call('HDEL', KEYS[1], 'f')"),
    Script("Lua", "ZADD, ZREMRANGEBYSCORE, ZCARD", LUA + b"redis.call('ZADD', KEYS[1], 5, ARGV[1]) "
           b"redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, 1) return redis.call('ZCARD', KEYS[1])", (b"member",)),
    Script("other commands", "ZADD, PEXPIRE of a sorted set", LUA + b"redis.call('ZADD', KEYS[1], 5, ARGV[1]) "
           b"return redis.call('PEXPIRE', KEYS[1], 60000)", (b"member",)),
    Script("other commands", "a moving window: ZREMRANGEBYSCORE, ZCARD, ZADD, PEXPIRE",
           b"local now = tonumber(ARGV[1]) redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - 60) "
           b"local n = redis.call('ZCARD', KEYS[1]) if n < 10 then redis.call('ZADD', KEYS[1], now, ARGV[1]) end "
           b"redis.call('PEXPIRE', KEYS[1], 60000) return {n, 10}", (b"1000",)),
    Script("other commands", "HMSET, EXPIRE of a hash", LUA + b"redis.call('HMSET', KEYS[1], 'tokens', 5, 'at', 7) "
           b"return redis.call('EXPIRE', KEYS[1], 60)"),
    Script("other commands", "HSET, TTL of a hash", LUA + b"redis.call('HSET', KEYS[1], 'f', 'v') "
           b"return redis.call('TTL', KEYS[1])"),
    Script("other commands", "HINCRBYFLOAT", LUA + b"return redis.call('HINCRBYFLOAT', KEYS[1], 'f', '0.5')"),
    Script("other commands", "HSET, DEL of a hash", LUA + b"redis.call('HSET', KEYS[1], 'f', 'v') "
           b"return redis.call('DEL', KEYS[1])"),
    Script("other commands", "SADD, SRANDMEMBER", LUA + b"redis.call('SADD', KEYS[1], 'a', 'b') "
           b"return redis.call('SRANDMEMBER', KEYS[1])"),
    Script("other commands", "SADD, SINTER", LUA + b"redis.call('SADD', KEYS[1], 'a', 'b') "
           b"return redis.call('SINTER', KEYS[1], KEYS[1])"),
    Script("other commands", "SET, OBJECT ENCODING", LUA + b"redis.call('SET', KEYS[1], 'v') "
           b"return redis.call('OBJECT', 'ENCODING', KEYS[1])"),
    Script("errors", "redis.error_reply", LUA + b"return redis.error_reply('LIMITED try later')"),
    Script("errors", "a table with err", LUA + b"return {err = 'LIMITED try later'}"),
    Script("errors", "error('text')", LUA + b"error('text')"),
    Script("errors", "error({err = 'TEXT'})", LUA + b"error({err = 'TEXT more'})"),
    Script("errors", "WRONGTYPE of redis.call", LUA + b"redis.call('HSET', KEYS[1], 'f', 'v') "
           b"return redis.call('INCR', KEYS[1])"),
    Script("errors", "WRONGTYPE of redis.call, recognised", b"redis.call('HSET', KEYS[1], 'f', 'v') "
           b"return redis.call('INCR', KEYS[1])"),
    Script("errors", "an unknown command", LUA + b"return redis.call('NOSUCH', KEYS[1])"),
    Script("errors", "WRONGTYPE of redis.pcall, returned", LUA + b"redis.call('HSET', KEYS[1], 'f', 'v') "
           b"return redis.pcall('INCR', KEYS[1])"),
    Script("errors", "WRONGTYPE, caught by redis.pcall", LUA + b"redis.call('HSET', KEYS[1], 'f', 'v') "
           b"local r = redis.pcall('INCR', KEYS[1]) if r.err then return 0 end return 1"),
    Script("errors", "WRONGTYPE, caught by pcall", LUA + b"redis.call('HSET', KEYS[1], 'f', 'v') "
           b"local ok = pcall(redis.call, 'INCR', KEYS[1]) if ok then return 1 end return 0"),
    Script("errors", "error, caught by pcall", LUA + b"local ok = pcall(function() error('x') end) "
           b"return ok and 1 or 0"),
    Script("errors", "nil indexed, caught by pcall", LUA + b"local ok = pcall(function() return KEYS[9].x end) "
           b"return ok and 1 or 0"),
    Script("the host's", "redis.log of a level that is not kept", LUA + b"redis.log(redis.LOG_DEBUG, 'x') return 1"),
    Script("the host's", "redis.setresp(3), and HGETALL", LUA + b"redis.setresp(3) "
           b"redis.call('HSET', KEYS[1], 'f', 'v') "
           b"local r = redis.call('HGETALL', KEYS[1]) return r.map.f"),
    Script("the host's", "redis.acl_check_cmd", LUA + b"return redis.acl_check_cmd('GET', KEYS[1]) and 1 or 0"),
)  # fmt: skip


class Client:
    """One connection. An ECHO behind each pipeline tells where its answers end."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=REPLY_S_MAX)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, batch: bytes) -> bytes:
        self.sock.sendall(batch)
        answers = b""
        while not answers.endswith(END):
            data = self.sock.recv(1 << 20)
            if not data:
                raise BenchError("the server hung up")
            answers += data
        return answers[: -len(END)]


def batch_of(commands: list[tuple[bytes, ...]]) -> bytes:
    return b"".join(encoded(*command) for command in (*commands, (b"ECHO", END[4:-2])))


def batches(script: Script, number: int) -> list[bytes]:
    digest = hashlib.sha1(script.text, usedforsecurity=False).hexdigest().encode()
    return [
        batch_of([
            (b"EVALSHA", digest, b"1", b"s%d:%d" % (number, batch * PIPELINE + place), *script.arguments)
            for place in range(PIPELINE)
        ])
        for batch in range(BATCHES)
    ]  # fmt: skip


def measure(server: Server, script: Script, number: int, rounds: int, where: Affinity) -> tuple[float, bool]:
    """CPU of the server in microseconds per script, and whether it answers with an error."""
    made = batches(script, number)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, where.client)
    try:
        with Client(server.port) as client:
            if server.kind.name != THEIRS:
                client.ask(batch_of([(b"ACL", b"SETUSER", b"default", *LET_GO)]))
            client.ask(batch_of([(b"SCRIPT", b"LOAD", script.text)]))
            fails = client.ask(made[0]).startswith(b"-")
            for batch in made:
                client.ask(batch)
            before_s = machine.cpu_s(server.pid)
            for turn in range(rounds):
                client.ask(made[turn % BATCHES])
            cpu_s = machine.cpu_s(server.pid) - before_s
    finally:
        os.sched_setaffinity(0, before)
    return cpu_s / (rounds * PIPELINE) * 1e6, fails


def page(facts: dict[str, str], turns: list[Turn], kinds: list[Kind]) -> str:
    return "\n\n".join([
        "# Scripts",
        f"Made by the command at the end of the list; do not edit. EVALSHA in pipelines of {PIPELINE} on one "
        f"connection, {BATCHES * PIPELINE:,} keys.\n"
        "Medians of all turns, ± their spread; a ratio is the median of the turns' ratios, with the lowest and "
        "highest. `allowed` is the\nratio that is aimed at.",
        tables.facts_list(facts),
        tables.table(
            ["server CPU, us per script", *(kind.label for kind in kinds), "respram to Redis", "allowed"],
            lines(turns, kinds, lambda title: LIMITS[title.partition(": ")[0]]),
        ),
    ]) + "\n"  # fmt: skip


def work(given: Namespace, kinds: list[Kind], programs: Programs, where: Affinity) -> None:
    facts = options.facts_of(kinds, programs, where)
    rounds = ROUNDS // (QUICK_DIVISOR if given.quick else 1)
    turns: list[Turn] = []
    fails: dict[str, bool] = {}

    def one(server: Server, script: Script, number: int) -> float:
        cpu_us, fails[server.kind.name] = measure(server, script, number, rounds, where)
        return cpu_us

    def check(title: str) -> None:
        if len(set(fails.values())) > 1:
            raise BenchError(f"{title}: an error at some and none at others: {fails}")

    def keep(whole: bool) -> None:
        save(given, "scripts", whole, facts, turns, page(facts, turns, kinds))

    rows = [(f"{script.group}: {script.title}", partial(one, script=script, number=number))
            for number, script in enumerate(SCRIPTS)]  # fmt: skip
    with options.saving(keep), contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(kind, programs, where)) for kind in kinds]
        with taking_turns(servers):
            take_turns(given.turns, servers, rows, turns, check)


def main(argv: list[str]) -> int:
    parser = options.parser_for("scripts", "What scripts cost, by what they do.", SERVERS, 600)
    parser.add_argument(
        "--turns", type=options.positive, default=3, metavar="N", help="how often each server has its turn (default 3)"
    )
    given = parser.parse_args(argv)
    kinds = options.chosen_kinds(parser, given.servers)
    if any(kind.memcache or not kind.has_keys for kind in kinds):
        parser.error("memcached and the floor know no scripts")
    return options.run(given, partial(work, given, kinds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
