"""Sorted sets: every command, as a user who may take members away; on Redis +@all has that anyway.

Names that are walked by name have one score all, because with several Redis itself does not say what such a range
covers.
"""

from compat.oracle.draw import INTEGERS, NOT_FLOATS, NOT_INTEGERS, Draw, send
from compat.oracle.families.plan import Plan
from compat.oracle.families.strings import each, life
from compat.oracle.stream import Send, Word

BY_NAME = (b"+zrem", b"+zpopmin", b"+zpopmax", b"+zmpop", b"+zremrangebyrank", b"+zremrangebyscore", b"+zremrangebylex",
           b"+del")
KEYS = (b"z0", b"z1", b"z2", b"a b")
NAMES = (b"a", b"b", b"c", b"d", b"e", b"ab", b"abc", b"", b"B", b"\x00", b"\xff", b"a\x00b", b"member:10", b"member:9")
SCORES = (
    b"0", b"1", b"-1", b"2", b"3", b"10", b"0.1", b"0.2", b"-0.5", b"1.5", b"3.14159265358979", b"1e3", b"1e17",
    b"1e22", b"1e300", b"-1e300",
    b"1e-5", b"5e-324", b"1e308", b"1.7976931348623157e308", b"123456789.123456789", b"9007199254740993",
    b"4611686018427387904",
    b"-4611686018427387905", b"0.30000000000000004", b"inf", b"-inf", b"+inf", b"Infinity", b"0x10", b"0x1p-3", b"-0",
    b"+5", b"005", b".5", b"5.",
)  # fmt: skip
ODD_SCORES = (*NOT_FLOATS, b"1e400", b"-1e400", b"1e-400", b"nan", b"(1", b"1e5000", b"0x", b"1\x00")
ENDS = (
    *SCORES, b"(0", b"(1", b"(2", b"(-inf", b"(inf", b"(10", b"(0.1", b"(", b"", b" 1", b"(nan", b"nan", b"1e400",
    b"-1e400", b"1\x00x", b"((1", b"[1", b"x",
)  # fmt: skip
NAME_ENDS = (b"-", b"+", b"[a", b"(a", b"[c", b"(c", b"[", b"(", b"[\xff", b"[member:9", b"(zz", b"-a", b"+a", b"a",
             b"", b"[ab")
RANKS = (b"0", b"1", b"2", b"3", b"5", b"100", b"-1", b"-2", b"-3", b"-100", *INTEGERS[-4:])
DRAWS = (
    (b"100",), (b"0",), (b"50", b"WITHSCORES"), (b"9223372036854775807", b"withscores"), (b"x",), (b"1", b"FOO"),
    (b"1", b"WITHSCORES", b"x"),
)  # fmt: skip
POPS = (
    (), (), (b"COUNT", b"2"), (b"COUNT", b"0"), (b"COUNT", b"x"), (b"count", b"100"), (b"COUNT",), (b"FOO", b"1"),
    (b"COUNT", b"1", b"COUNT", b"1"),
)  # fmt: skip

TIMEOUTS = (b"0.01", b"0.001", b"0.02", b"1e-3", b".01", b"0x1p-7")


def sorted_sets(draw: Draw, proto: int, count: int) -> Plan:
    become = [
        Send(0, (b"ACL", b"SETUSER", b"free", b"on", b"nopass", b"~*", b"&*", b"+@all", *BY_NAME)),
        Send(0, (b"AUTH", b"free", b"any")),
    ]  # fmt: skip
    writes = (zadd, zadd, zadd, zadd, zadd_plain, zadd_plain, zadd_plain, zincrby, zincrby)
    reads = (zscore, zmscore, zcard, zcount, zrank, zrank, zrange, zrange, zrange, by_score, by_score, zscan,
             zrandmember, other_type)
    takes = (zrem, zpop, zmpop, remove_range, remove_range)
    several = (union, union, union, intercard, range_store, store, store)
    drawn = each(draw, count, *writes, *reads, *takes, *several, everything, everything, life, exists)
    leave = [Send(0, (b"AUTH", b"default", b"any")), Send(0, (b"ACL", b"DELUSER", b"free"))]
    return Plan((*become, *drawn.steps, *leave))


def sorted_names(draw: Draw, proto: int, count: int) -> Plan:
    """All scores are one: ranges by name."""
    become = [
        Send(0, (b"ACL", b"SETUSER", b"free", b"on", b"nopass", b"~*", b"&*", b"+@all", *BY_NAME)),
        Send(0, (b"AUTH", b"free", b"any")),
    ]  # fmt: skip
    score = draw.pick(SCORES)

    def add(draw: Draw) -> Send:
        return send(draw, 0, b"ZADD", key(draw), *(word for name in draw.some(NAMES, 1, 6) for word in (score, name)))

    drawn = each(draw, count, add, add, add, by_name, by_name, by_name, by_name, remove_names, zrank, zrem, everything,
                 name_store)
    leave = [Send(0, (b"AUTH", b"default", b"any")), Send(0, (b"ACL", b"DELUSER", b"free"))]
    return Plan((*become, *drawn.steps, *leave))


def sorted_waits(draw: Draw, proto: int, count: int) -> Plan:
    """Pops that may wait: what is there is taken at once, what is not is waited for until the time is up, and nothing
    waits in MULTI.
    """
    waits = (b"+bzpopmin", b"+bzpopmax", b"+bzmpop")
    become = [
        Send(0, (b"ACL", b"SETUSER", b"free", b"on", b"nopass", b"~*", b"&*", b"+@all", *BY_NAME, *waits)),
        Send(0, (b"AUTH", b"free", b"any")),
    ]  # fmt: skip
    drawn = each(
        draw, count, zadd_plain, zadd_plain, bzpop, bzpop, bzpop, bzmpop, bzmpop, waits_not, zrem, zcard, exists,
        everything, other_type
    )
    transaction = [Send(0, (b"MULTI",)), bzpop(draw), bzmpop(draw), zadd_plain(draw), bzpop(draw), Send(0, (b"EXEC",))]
    leave = [Send(0, (b"AUTH", b"default", b"any")), Send(0, (b"ACL", b"DELUSER", b"free"))]
    return Plan((*become, *drawn.steps, *transaction, *leave))


def some_keys(draw: Draw) -> list[bytes]:
    return [key(draw) for _ in range(draw.number(1, 3))] + ([b"text"] if draw.chance(0.1) else [])


def bzpop(draw: Draw) -> Send:
    return send(draw, 0, draw.pick((b"BZPOPMIN", b"BZPOPMAX")), *some_keys(draw), draw.pick(TIMEOUTS))


def bzmpop(draw: Draw) -> Send:
    keys = some_keys(draw)
    return send(draw, 0, b"BZMPOP", draw.pick(TIMEOUTS), b"%d" % len(keys), *keys, draw.pick((b"MIN", b"MAX", b"min")),
                *draw.pick(POPS))


def waits_not(draw: Draw) -> Send:
    """What is wrong before anything could be waited for."""
    wrong = draw.pick((b"-1", b"-0.1", b"inf", b"-inf", b"nan", b"1e400", b"9223372036854775807", *NOT_FLOATS))
    return draw.pick((
        send(draw, 0, b"BZPOPMIN", key(draw), wrong), send(draw, 0, b"BZPOPMAX", key(draw), key(draw), wrong),
        send(draw, 0, b"BZMPOP", wrong, b"1", key(draw), b"MIN"),
        send(draw, 0, b"BZMPOP", b"0.01", number(draw, 0.5), key(draw), b"MIN"),
        send(draw, 0, b"BZMPOP", b"0.01", b"1", key(draw), b"FOO"), send(draw, 0, b"BZPOPMIN", b"0.01"),
    ))  # fmt: skip


def key(draw: Draw) -> bytes:
    return draw.pick(KEYS)


def score_word(draw: Draw, wrong: float = 0.04) -> bytes:
    return draw.pick(ODD_SCORES) if draw.chance(wrong) else draw.pick(SCORES)


def number(draw: Draw, wrong: float = 0.08) -> bytes:
    return draw.pick(NOT_INTEGERS) if draw.chance(wrong) else draw.pick(RANKS)


def exists(draw: Draw) -> Send:
    return send(draw, 0, draw.pick((b"EXISTS", b"TYPE")), key(draw))


def everything(draw: Draw) -> Send:
    return send(draw, 0, b"ZRANGE", key(draw), b"0", b"-1", *((b"WITHSCORES",) if draw.chance(0.7) else ()))


# -- writing --------------------------------------------------------------------------------------
def zadd(draw: Draw) -> Send:
    words: list[bytes] = []
    for option in (b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"):
        if draw.chance(0.22):
            words.append(draw.case(option))
    pairs = 1 if draw.chance(0.5) else draw.number(1, 5)
    words = draw.shuffled(words)
    for _ in range(pairs):
        words += [score_word(draw), draw.pick(NAMES)]
    if draw.chance(0.04):
        words.pop()
    return send(draw, 0, b"ZADD", key(draw), *words) if len(words) > 1 else zincrby(draw)


def zadd_plain(draw: Draw) -> Send:
    return send(draw, 0, b"ZADD", key(draw),
                *(word for name in draw.some(NAMES, 1, 6) for word in (draw.pick(SCORES), name)))


def zincrby(draw: Draw) -> Send:
    return send(draw, 0, b"ZINCRBY", key(draw), score_word(draw), draw.pick(NAMES))


def other_type(draw: Draw) -> Send:
    """A string under a key of its own, and what a command of sorted sets says to it."""
    return draw.pick(
        (
            send(draw, 0, b"SET", b"text", b"v"), send(draw, 0, b"ZADD", b"text", b"1", b"a"),
            send(draw, 0, b"ZSCORE", b"text", b"a"),
            send(draw, 0, b"ZRANGE", b"text", b"0", b"-1"), send(draw, 0, b"ZUNION", b"2", b"text", key(draw)),
            send(draw, 0, b"ZCARD", b"text"),
            send(draw, 0, b"GET", key(draw)), send(draw, 0, b"INCR", key(draw)),
            send(draw, 0, b"APPEND", key(draw), b"x"),
            send(draw, 0, b"SET", key(draw), b"v", b"GET"), send(draw, 0, b"STRLEN", key(draw)),
            send(draw, 0, b"MGET", key(draw), b"text"),
        )
    )  # fmt: skip


# -- reading --------------------------------------------------------------------------------------
def zscore(draw: Draw) -> Send:
    return send(draw, 0, b"ZSCORE", key(draw), draw.pick(NAMES))


def zmscore(draw: Draw) -> Send:
    return send(draw, 0, b"ZMSCORE", key(draw), *draw.some(NAMES, 1, 5))


def zcard(draw: Draw) -> Send:
    return send(draw, 0, b"ZCARD", key(draw))


def zcount(draw: Draw) -> Send:
    return send(draw, 0, b"ZCOUNT", key(draw), draw.pick(ENDS), draw.pick(ENDS))


def zrank(draw: Draw) -> Send:
    return send(draw, 0, draw.pick((b"ZRANK", b"ZREVRANK")), key(draw), draw.pick(NAMES))


def zrange(draw: Draw) -> Send:
    if draw.chance(0.6):
        name, kinds = draw.pick((b"ZRANGE", b"ZREVRANGE")), ()
        return send(draw, 0, name, key(draw), number(draw), number(draw), *options(draw, kinds))
    return send(draw, 0, b"ZRANGE", key(draw), draw.pick(ENDS), draw.pick(ENDS), *options(draw, (b"BYSCORE",)))


def by_score(draw: Draw) -> Send:
    name = draw.pick((b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE"))
    ends = draw.pick((draw.pick(ENDS), b"-inf", b"+inf")), draw.pick((draw.pick(ENDS), b"-inf", b"+inf"))
    return send(draw, 0, name, key(draw), *ends, *options(draw, (), limit=0.5))


def by_name(draw: Draw) -> Send:
    ends = draw.pick(NAME_ENDS), draw.pick(NAME_ENDS)
    if draw.chance(0.3):
        return send(draw, 0, b"ZLEXCOUNT", key(draw), *ends)
    if draw.chance(0.5):
        return send(
            draw, 0, draw.pick((b"ZRANGEBYLEX", b"ZREVRANGEBYLEX")), key(draw), *ends, *options(draw, (), limit=0.5)
        )
    return send(draw, 0, b"ZRANGE", key(draw), *ends, *options(draw, (b"BYLEX",), limit=0.4))


def options(draw: Draw, kinds: tuple[bytes, ...], limit: float = 0.2) -> list[bytes]:
    parts: list[list[bytes]] = [[draw.case(kind)] for kind in kinds]
    if draw.chance(0.4):
        parts.append([draw.case(b"WITHSCORES")])
    if draw.chance(limit):
        parts.append([draw.case(b"LIMIT"), number(draw), number(draw)])
    if draw.chance(0.25):
        parts.append([draw.case(b"REV")])
    if draw.chance(0.05):
        parts.append(draw.pick(([b"FOO"], [b"LIMIT", b"1"], [b"BYSCORE"], [b"LIMIT"])))
    return [word for part in draw.shuffled(parts) for word in part]


def zscan(draw: Draw) -> Send:
    words: list[Word] = [draw.pick((b"0", b"0", b"0", b"7", b"x", b"-1", b""))]
    if draw.chance(0.3):
        words += [draw.case(b"COUNT"), number(draw)]
    if draw.chance(0.3):
        words += [draw.case(b"MATCH"), draw.pick((b"a*", b"*", b"?", b"[ab]", b"member:*"))]
    if draw.chance(0.05):
        words.append(draw.pick((b"FOO", b"COUNT", b"MATCH")))
    return send(draw, 0, b"ZSCAN", key(draw), *words)


def zrandmember(draw: Draw) -> Send:
    """As many as there are, or none: of others nobody knows which."""
    return send(draw, 0, b"ZRANDMEMBER", key(draw), *draw.pick(DRAWS))


# -- taking away ----------------------------------------------------------------------------------
def zrem(draw: Draw) -> Send:
    return send(draw, 0, b"ZREM", key(draw), *draw.some(NAMES, 1, 3))


def zpop(draw: Draw) -> Send:
    words = draw.pick(((), (), (b"1",), (b"2",), (b"0",), (b"-1",), (b"x",), (b"100",), (b"1", b"2")))
    return send(draw, 0, draw.pick((b"ZPOPMIN", b"ZPOPMAX")), key(draw), *words)


def zmpop(draw: Draw) -> Send:
    keys = draw.some((*KEYS, b"none"), 1, 3)
    count = b"%d" % len(keys) if draw.chance(0.93) else draw.pick((b"0", b"-1", b"x", b"9", b"9223372036854775807"))
    end = draw.case(draw.pick((b"MIN", b"MAX"))) if draw.chance(0.95) else b"MID"
    return send(draw, 0, b"ZMPOP", count, *keys, end, *draw.pick(POPS))


def remove_range(draw: Draw) -> Send:
    if draw.chance(0.5):
        return send(draw, 0, b"ZREMRANGEBYRANK", key(draw), number(draw), number(draw))
    return send(draw, 0, b"ZREMRANGEBYSCORE", key(draw), draw.pick(ENDS), draw.pick(ENDS))


def remove_names(draw: Draw) -> Send:
    return send(draw, 0, b"ZREMRANGEBYLEX", key(draw), draw.pick(NAME_ENDS), draw.pick(NAME_ENDS))


# -- several --------------------------------------------------------------------------------------
def sources(draw: Draw) -> list[bytes]:
    keys = draw.some((*KEYS, b"none"), 1, 3)
    count = b"%d" % len(keys) if draw.chance(0.95) else draw.pick((b"0", b"-1", b"x", b"9", b""))
    return [count, *keys]


def weights(draw: Draw, count: int) -> list[bytes]:
    parts: list[list[bytes]] = []
    if draw.chance(0.4):
        parts.append(
            [
                draw.case(b"WEIGHTS"),
                *(score_word(draw) for _ in range(count if draw.chance(0.95) else draw.number(0, 3))),
            ]
        )
    if draw.chance(0.4):
        parts.append(
            [draw.case(b"AGGREGATE"), draw.case(b"FOO" if draw.chance(0.04) else draw.pick((b"SUM", b"MIN", b"MAX")))]
        )
    return [word for part in draw.shuffled(parts) for word in part]


def union(draw: Draw) -> Send:
    name, given = draw.pick((b"ZUNION", b"ZINTER", b"ZDIFF")), sources(draw)
    words = weights(draw, len(given) - 1) if name != b"ZDIFF" or draw.chance(0.05) else []
    if draw.chance(0.6):
        words.append(draw.case(b"WITHSCORES"))
    return send(draw, 0, name, *given, *words)


def intercard(draw: Draw) -> Send:
    words = draw.pick(
        ((), (b"LIMIT", b"1"), (b"LIMIT", b"0"), (b"LIMIT", b"-1"), (b"LIMIT", b"x"), (b"LIMIT",), (b"WITHSCORES",))
    )
    return send(draw, 0, b"ZINTERCARD", *sources(draw), *words)


def store(draw: Draw) -> Send:
    name, given = draw.pick((b"ZUNIONSTORE", b"ZINTERSTORE", b"ZDIFFSTORE")), sources(draw)
    words = weights(draw, len(given) - 1) if name != b"ZDIFFSTORE" or draw.chance(0.05) else []
    return send(draw, 0, name, draw.pick((key(draw), b"out")), *given, *words)


def range_store(draw: Draw) -> Send:
    if draw.chance(0.5):
        return send(draw, 0, b"ZRANGESTORE", draw.pick((key(draw), b"out")), key(draw), number(draw), number(draw),
                    *options(draw, ()))
    return send(draw, 0, b"ZRANGESTORE", b"out", key(draw), draw.pick(ENDS), draw.pick(ENDS),
                *options(draw, (b"BYSCORE",), limit=0.4))


def name_store(draw: Draw) -> Send:
    return send(draw, 0, b"ZRANGESTORE", b"out", key(draw), draw.pick(NAME_ENDS), draw.pick(NAME_ENDS), b"BYLEX")
