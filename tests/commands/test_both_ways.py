"""Fast paths and `dispatch` answer alike: random commands, on a node with the ones and on a node without them.

The clock of both is the same, so lives are compared to the millisecond. A command comes in forms that a fast path
takes and in forms that it declines; which of them it is nobody may see.
"""

from collections.abc import Callable
from random import Random

import pytest

from respram.config.settings import Config
from tests import dear
from tests.commands.rig import Client, Rig
from tests.engine.conftest import ENGINES

ROUNDS, STEPS = dear.first(1, (range(10), range(10, 20))), 320
LET_GO = ("del", "unlink", "getdel", "delex", "delifeq", "hdel", "srem", "zrem", "spop", "smove", "zpopmin", "zpopmax",
          "zremrangebylex", "hgetdel", "zmpop")
KEYS = (b"h", b"i", b"s", b"t", b"z", b"y", b"text", b"none")
NAMES = (b"a", b"b", b"c", b"", b"\r\n\xff", b"n" * 40, b"7")
TIMES = (b"1", b"100", b"5000", b"0", b"-1", b"x", b"9223372036854775807", b"1800000009", b"1800000009000", b"10000000")
NUMBERS = (b"0", b"1", b"-1", b"5", b"9", b"-9", b"9223372036854775807", b"-9223372036854775808", b"x", b"1.5", b"")
Make = Callable[[Random], tuple[bytes, ...]]


def names(rng: Random, least: int = 1) -> tuple[bytes, ...]:
    return tuple(rng.choice(NAMES) for _ in range(rng.randint(least, 3)))


def fielded(rng: Random, width: int = 1) -> tuple[bytes, ...]:
    some = names(rng)
    count = rng.choice((len(some), len(some), len(some), len(some), 0, 7))
    parts = [part for name in some for part in ((name, rng.choice(NUMBERS)) if width == 2 else (name,))]
    return (rng.choice((b"FIELDS", b"fields", b"fields", b"fieldz")), b"%d" % count, *parts)


def word(rng: Random, *words: bytes) -> tuple[bytes, ...]:
    """One of them, or none."""
    chosen = rng.choice((b"", b"", *words))
    return tuple(chosen.split())


def life(rng: Random, *more: bytes) -> tuple[bytes, ...]:
    if rng.random() < 0.3:
        return ()
    unit = rng.choice((b"EX", b"px", b"EXAT", b"PXAT", *more))
    return (unit,) if unit in more else (unit, rng.choice(TIMES))


LIVES: tuple[Make, ...] = (
    lambda rng: (rng.choice((b"HEXPIRE", b"HPEXPIRE", b"HEXPIREAT", b"HPEXPIREAT")), rng.choice(KEYS),
                 rng.choice(TIMES), *word(rng, b"NX", b"xx", b"GT", b"lt", b"FOO"), *fielded(rng)),
    lambda rng: (rng.choice((b"HTTL", b"HPTTL", b"HEXPIRETIME", b"HPEXPIRETIME")), rng.choice(KEYS), *fielded(rng)),
    lambda rng: (b"HGETEX", rng.choice(KEYS), *life(rng, b"PERSIST"), *fielded(rng)),
    lambda rng: (b"HGETDEL", rng.choice(KEYS), *fielded(rng)),
    lambda rng: (b"HSETEX", rng.choice(KEYS), *word(rng, b"FNX", b"fxx"), *life(rng, b"KEEPTTL"), *fielded(rng, 2)),
)  # fmt: skip
STRINGS: tuple[Make, ...] = (
    lambda rng: (b"INCREX", rng.choice(KEYS), *word(rng, b"BYINT 3", b"byint -9", b"BYFLOAT 0.5", b"BYINT x"),
                 *word(rng, b"UBOUND 5", b"ubound 9223372036854775807", b"UBOUND -20"),
                 *word(rng, b"LBOUND -3", b"lbound 2"), *word(rng, b"SATURATE"), *life(rng, b"PERSIST"),
                 *word(rng, b"ENX"), *word(rng, b"NX", b"xx")),
    lambda rng: (b"MSETEX", rng.choice((b"1", b"2", b"2", b"x")), rng.choice(KEYS), rng.choice(NUMBERS),
                 rng.choice((b"text", b"none", b"more")), rng.choice(NUMBERS), *life(rng, b"KEEPTTL"),
                 *word(rng, b"NX", b"xx")),
    lambda rng: (b"HINCRBYFLOAT", rng.choice(KEYS), rng.choice(NAMES), rng.choice((*NUMBERS, b"0.1", b"1e2"))),
    lambda rng: (rng.choice((b"TYPE", b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME", b"EXISTS", b"TOUCH")),
                 rng.choice(KEYS)),
    lambda rng: (rng.choice((b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT")), rng.choice(KEYS), rng.choice(TIMES),
                 *word(rng, b"NX", b"xx", b"GT", b"lt")),
    lambda rng: (rng.choice((b"DEL", b"UNLINK")), rng.choice(KEYS)),
)  # fmt: skip
SETS: tuple[Make, ...] = (
    lambda rng: (rng.choice((b"SINTER", b"SUNION", b"SDIFF")), *(rng.choice(KEYS[2:4] * 6 + KEYS) for _ in names(rng))),
    lambda rng: (b"SINTERCARD", rng.choice((b"2", b"2", b"1", b"0", b"x")), rng.choice(KEYS[2:4]),
                 rng.choice(KEYS[2:5]), *word(rng, b"LIMIT 1", b"limit 0", b"LIMIT -1", b"LIMIT")),
    lambda rng: (rng.choice((b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE")), rng.choice(KEYS[2:5] * 3 + KEYS),
                 *(rng.choice(KEYS[2:4] * 6 + KEYS) for _ in names(rng))),
    lambda rng: (b"SMOVE", rng.choice(KEYS[2:5]), rng.choice(KEYS[2:4]), rng.choice(NAMES)),
    lambda rng: (rng.choice((b"HSCAN", b"SSCAN", b"ZSCAN")), rng.choice(KEYS[:6]),
                 rng.choice((b"0", b"0", b"2", b"5", b"-1", b"x")),
                 *word(rng, b"MATCH *", b"match n*", b"MATCH [ab]", b"MATCH"),
                 *word(rng, b"COUNT 2", b"count 1000", b"COUNT 0"), *word(rng, b"NOVALUES")),
)  # fmt: skip
ENDS = (b"-", b"+", b"[a", b"(a", b"[c", b"(n", b"[", b"x", b"")
RANGES: tuple[Make, ...] = (
    lambda rng: (b"ZADD", rng.choice(KEYS[3:6]), *word(rng, b"NX", b"xx", b"GT", b"lt"), *word(rng, b"CH"), b"INCR",
                 rng.choice((*NUMBERS, b"0.5", b"-0", b"inf", b"-inf", b"1e3", b"200000000000000")), rng.choice(NAMES),
                 *word(rng, b"1 a")),
    lambda rng: (rng.choice((b"ZPOPMIN", b"ZPOPMAX")), rng.choice(KEYS[3:6]),
                 *word(rng, b"1", b"2", b"0", b"9", b"-1")),
    lambda rng: (rng.choice((b"ZLEXCOUNT", b"ZREMRANGEBYLEX")), rng.choice(KEYS[3:6]),
                 rng.choice(ENDS), rng.choice(ENDS)),
    lambda rng: (rng.choice((b"ZRANGEBYLEX", b"ZREVRANGEBYLEX")), rng.choice(KEYS[3:6]), rng.choice(ENDS),
                 rng.choice(ENDS), *word(rng, b"LIMIT 1 2", b"limit 0 -1", b"LIMIT -1 1", b"WITHSCORES")),
    lambda rng: (b"ZRANGE", rng.choice(KEYS[3:6]), rng.choice(ENDS), rng.choice(ENDS), b"BYLEX", *word(rng, b"REV"),
                 *word(rng, b"LIMIT 1 2", b"WITHSCORES")),
)  # fmt: skip
SOURCES = KEYS[2:6] * 6 + KEYS


def weighed(rng: Random) -> tuple[bytes, ...]:
    """How many keys, they, and words behind them; at times too many, too few or wrong ones."""
    keys = tuple(rng.choice(SOURCES) for _ in range(rng.randint(1, 4)))
    numbers = (b"2", b"-1", b"0.1", b"0", b"1e3", b"inf", b"x")[: rng.choice((4, 4, 7))]
    weights = tuple(rng.choice(numbers) for _ in keys)
    return (rng.choice((b"%d" % len(keys),) * 9 + (b"0", b"-1", b"x", b"9")), *keys,
            *rng.choice(((), (), (b"WEIGHTS", *weights), (b"weights", *weights, b"AGGREGATE", b"max"))),
            *word(rng, b"AGGREGATE MIN", b"aggregate sum", b"AGGREGATE", b"WEIGHTS"))


def counted(rng: Random) -> tuple[bytes, ...]:
    keys = tuple(rng.choice(SOURCES) for _ in range(rng.randint(1, 3)))
    return b"%d" % rng.choice((len(keys), len(keys), len(keys), 0, 7)), *keys


ALGEBRA: tuple[Make, ...] = (
    lambda rng: (rng.choice((b"ZUNION", b"ZINTER")), *weighed(rng), *word(rng, b"WITHSCORES", b"withscores", b"x")),
    lambda rng: (rng.choice((b"ZUNIONSTORE", b"ZINTERSTORE")), rng.choice(KEYS[3:6] * 3 + KEYS), *weighed(rng)),
    lambda rng: (b"ZDIFF", *counted(rng), *word(rng, b"WITHSCORES", b"WEIGHTS 1")),
    lambda rng: (b"ZDIFFSTORE", rng.choice(KEYS[3:6] * 3 + KEYS), *counted(rng), *word(rng, b"WITHSCORES")),
    lambda rng: (b"ZINTERCARD", *counted(rng), *word(rng, b"LIMIT 1", b"limit 0", b"LIMIT -1", b"LIMIT")),
    lambda rng: (b"ZMPOP", *counted(rng), *word(rng, b"MIN", b"max", b"min", b"MAX", b"MID"),
                 *word(rng, b"COUNT 1", b"count 2", b"COUNT 9", b"COUNT 0", b"COUNT")),
    lambda rng: (b"ZRANGESTORE", rng.choice(KEYS[3:6] * 3 + KEYS), rng.choice(KEYS[4:6] * 3 + KEYS),
                 rng.choice((b"0", b"1", b"-2")), rng.choice((b"-1", b"2", b"0", b"x")), *word(rng, b"REV"),
                 *word(rng, b"LIMIT 0 2", b"LIMIT 0 -1", b"WITHSCORES")),
    lambda rng: (b"ZRANGESTORE", rng.choice(KEYS[3:6] * 3 + KEYS), rng.choice(KEYS[4:6] * 3 + KEYS),
                 rng.choice((b"-inf", b"(0", b"0", b"2")), rng.choice((b"+inf", b"2", b"(2", b"inf")), b"BYSCORE",
                 *word(rng, b"REV", b"LIMIT 1 2")),
    lambda rng: (b"ZRANGESTORE", rng.choice(KEYS[3:6] * 3 + KEYS), rng.choice(KEYS[4:6] * 3 + KEYS),
                 rng.choice(ENDS), rng.choice(ENDS), b"BYLEX", *word(rng, b"REV", b"limit 0 2")),
)  # fmt: skip
COUNTS = (b"0", b"1", b"2", b"5", b"1000", b"-1", b"-3", b"-9", b"x", b"9223372036854775807", b"-9223372036854775808")
DRAWS: tuple[Make, ...] = (
    lambda rng: (rng.choice((b"SRANDMEMBER", b"SPOP")), rng.choice(KEYS[2:5]), *word(rng, *COUNTS), *word(rng, b"1")),
    lambda rng: (b"HRANDFIELD", rng.choice(KEYS[:3]), *word(rng, *COUNTS), *word(rng, b"WITHVALUES", b"withscores")),
    lambda rng: (b"ZRANDMEMBER", rng.choice(KEYS[3:6]), *word(rng, *COUNTS), *word(rng, b"WITHSCORES", b"withvalues")),
)  # fmt: skip
BOUNDS = (b"0", b"1", b"-1", b"3", b"-2", b"17", b"-30", b"200", b"x")
STRING_KEYS = (b"text", b"none", b"more", b"text", b"none", b"h")
TARGETS = STRING_KEYS[:3]


def part(rng: Random, least: int) -> tuple[bytes, ...]:
    """Bounds of a part of a value, and the unit that they count in."""
    bounds = (rng.choice(BOUNDS), rng.choice(BOUNDS), rng.choice((b"BIT", b"bit", b"BYTE", b"bite")))
    return bounds[: rng.choice((0, 3, 3, 3, least))]


BITS: tuple[Make, ...] = (
    lambda rng: (b"SET", rng.choice(TARGETS),
                 bytes(rng.choice((0, 0xFF, 0x10, 0xA5)) for _ in range(rng.choice((0, 1, 2, 9, 70))))),
    lambda rng: (b"BITCOUNT", rng.choice(STRING_KEYS), *part(rng, 2)),
    lambda rng: (b"BITPOS", rng.choice(STRING_KEYS), rng.choice((b"0", b"1", b"0", b"1", b"2")), *part(rng, 1)),
    lambda rng: (b"BITOP", rng.choice((b"AND", b"or", b"XOR", b"xor", b"NAND")), rng.choice(TARGETS),
                 *(rng.choice(STRING_KEYS) for _ in range(rng.randint(1, 3)))),
    lambda rng: (b"BITOP", b"NOT", rng.choice(TARGETS),
                 *(rng.choice(STRING_KEYS) for _ in range(rng.choice((1, 1, 1, 2))))),
)  # fmt: skip
ASKED = (b"IFEQ 5", b"ifne 5", b"IFDEQ dedb980100c87e72", b"IFDNE DEDB980100C87E72", b"IFDEQ 5", b"IFEQ")
GOING: tuple[Make, ...] = (
    lambda rng: (rng.choice((b"GETDEL", b"DIGEST")), rng.choice(STRING_KEYS)),
    lambda rng: (b"DELEX", rng.choice(STRING_KEYS), *word(rng, *ASKED)),
    lambda rng: (b"DELIFEQ", rng.choice(STRING_KEYS), rng.choice(NUMBERS)),
    lambda rng: (b"SET", rng.choice(TARGETS), rng.choice(NUMBERS), *word(rng, *ASKED), *word(rng, b"GET", b"NX"),
                 *life(rng, b"KEEPTTL")),
    lambda rng: (b"COPY", rng.choice(STRING_KEYS), rng.choice(TARGETS), *word(rng, b"REPLACE", b"replace"),
                 *word(rng, b"DB 0", b"db 1", b"DB 16", b"DB x", b"DB", b"DB 1 db 0")),
)  # fmt: skip
WALKS: tuple[Make, ...] = (
    lambda rng: (b"RANDOMKEY", *word(rng, b"x")),
    lambda rng: (b"KEYS", rng.choice((b"*", b"t*", b"[hs]", b"?", b"", b"n\\one", b"x" * 300))),
    lambda rng: (b"SCAN", rng.choice((b"0", b"0", b"0", b"-1", b"x")), *word(rng, b"MATCH *", b"match t*", b"MATCH"),
                 *word(rng, b"COUNT 1000", b"count 3", b"COUNT 0"),
                 *word(rng, b"TYPE hash", b"type STRING", b"TYPE zset", b"TYPE list", b"TYPE")),
)  # fmt: skip
COMMANDS: tuple[Make, ...] = LIVES * 3 + STRINGS + SETS + RANGES + ALGEBRA + DRAWS + BITS + GOING + WALKS
BASE: tuple[Make, ...] = (
    lambda rng: (b"HSET", rng.choice((b"h", b"i")), rng.choice(NAMES), rng.choice(NUMBERS)),
    lambda rng: (b"SADD", rng.choice((b"s", b"t")), *names(rng)),
    lambda rng: (b"ZADD", rng.choice((b"z", b"y")), rng.choice((b"0", b"0", b"2")), rng.choice(NAMES)),
    lambda rng: (b"SET", rng.choice((b"text", b"none", b"h")), rng.choice(NUMBERS), *life(rng)),
    lambda rng: (b"EXPIRE", rng.choice(KEYS), b"20"),
)
LOOKS = ((b"HGETALL", b"h"), (b"HGETALL", b"i"), (b"ZRANGE", b"z", b"0", b"-1", b"WITHSCORES"), (b"PTTL", b"h"),
         (b"HPTTL", b"h", b"FIELDS", b"7", *NAMES), (b"HPTTL", b"s", b"FIELDS", b"7", *NAMES), (b"GET", b"text"),
         (b"SMEMBERS", b"s"), (b"SMEMBERS", b"t"), (b"ZRANGE", b"y", b"0", b"-1", b"WITHSCORES"),
         (b"PTTL", b"text"), (b"PTTL", b"y"))  # fmt: skip


def connected(engine: str, hot: bool, proto: bytes) -> Client:
    client = Rig(ENGINES[engine], hot=hot, config=Config(let_go=LET_GO)).connect()
    client(b"HELLO", proto)
    return client


@pytest.mark.parametrize("rounds", ROUNDS, ids=str)
@pytest.mark.parametrize("proto", [b"2", b"3"])
@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_fast_path_answers_as_dispatch_does(engine: str, proto: bytes, rounds: range) -> None:
    answered: set[bytes] = set()
    for seed in rounds:
        rng = Random(seed)
        fast, slow = connected(engine, True, proto), connected(engine, False, proto)
        said: list[tuple[bytes, ...]] = []
        for _ in range(STEPS):
            said.append(rng.choice(COMMANDS if rng.random() < 0.6 else BASE)(rng))
            reply = fast(*said[-1])
            assert reply == slow(*said[-1]), (seed, said[-5:])
            if not reply.startswith(b"-"):
                answered.add(said[-1][0])
            if rng.random() < 0.1:
                milliseconds = rng.choice((1, 60, 3000))
                fast.advance(milliseconds)
                slow.advance(milliseconds)
        for look in LOOKS:
            assert fast(*look) == slow(*look), (seed, look)
    assert answered >= {make(Random(seed))[0] for make in COMMANDS for seed in range(20)}
