"""Families about keys whatever their value: time to live, several keys at once, walking the keyspace.

A time that is not in the future deletes in Redis, so it is drawn for keys only that cannot be there; the rest
is in the family `refusals`. The family `letting-go` deletes, as a user to whom that was given by name.
"""

from collections.abc import Callable

from compat.oracle.draw import NOT_INTEGERS, Draw, send
from compat.oracle.families.plan import Plan
from compat.oracle.families.strings import (
    append,
    each,
    get,
    getex,
    getset,
    incr,
    life,
    mget,
    plain_set,
    set_command,
    strlen,
)
from compat.oracle.stream import At, Send, Sleep, Step, Walk, Word

ABSENT = b"nokey"  # no command writes it

# Too far away for a clock of 64 bits, or no numbers at all.
BAD_LIVES = (b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", *NOT_INTEGERS)
PASSED = (b"0", b"-1", b"1", b"-9223372036854775808", b"-9223372036854775807", b"1700000000")


# -- time to live ---------------------------------------------------------------------------------
def expiry(draw: Draw, proto: int, count: int) -> Plan:
    drawn = each(
        draw, count, plain_set, set_command, expire, expire, expire, expire, expire_odd, expire_absent, life, life,
        getex, exists,
        getset, append, incr,
    )  # fmt: skip
    steps: list[Step] = list(drawn.steps)
    steps += exact_deadline(draw)
    if draw.chance(0.35):
        steps += deadline_passes(draw)
    return Plan(tuple(steps))


def exact_deadline(draw: Draw) -> list[Step]:
    """A deadline that was given as a Unix time is told to the millisecond: here the clock is no excuse."""
    seconds = draw.chance(0.5)
    moment = At(draw.ttl_s() * 1000 + draw.number(0, 999), seconds)
    write = Send(0, (b"SET", b"exact", b"v"))
    steps = draw.pick((
        [Send(0, (b"SET", b"exact", b"v", b"EXAT" if seconds else b"PXAT", moment))],
        [write, Send(0, (b"EXPIREAT" if seconds else b"PEXPIREAT", b"exact", moment))],
        [write, Send(0, (b"GETEX", b"exact", b"EXAT" if seconds else b"PXAT", moment))],
    ))  # fmt: skip
    after = draw.pick(
        (
            (b"APPEND", b"exact", b"w"),
            (b"SET", b"exact", b"w", b"KEEPTTL"),
            (b"GET", b"exact"),
            (b"SETRANGE", b"exact", b"3", b"x"),
        )
    )
    return [
        *steps,
        Send(0, after),
        Send(0, (b"EXPIRETIME", b"exact"), exact=True),
        Send(0, (b"PEXPIRETIME", b"exact"), exact=True),
    ]


def conditions(draw: Draw) -> tuple[bytes, ...]:
    if draw.chance(0.4):
        return ()
    if draw.chance(0.85):
        return (draw.case(draw.pick((b"NX", b"XX", b"GT", b"LT"))),)
    return tuple(draw.some((b"NX", b"XX", b"GT", b"LT", b"gt", b"FOO", b""), 2, 3))


def expire(draw: Draw) -> Send:
    name = draw.pick((b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT"))
    seconds = not name.startswith(b"P")
    moment: Word
    if name.endswith(b"AT"):
        moment = At(draw.ttl_s() * 1000, seconds)
    else:
        moment = b"%d" % (draw.ttl_s() * (1 if seconds else 1000))
    return send(draw, 0, name, draw.key(), moment, *conditions(draw))


def expire_odd(draw: Draw) -> Send:
    """Numbers that are none, or overflow in seconds, or with the present time added."""
    name = draw.pick((b"EXPIRE", b"PEXPIRE", b"EXPIREAT"))
    bad: tuple[bytes, ...] = BAD_LIVES if name == b"PEXPIRE" else (*BAD_LIVES, b"9223372036854776",
                                                                   b"9223372036854775807")
    return send(draw, 0, name, draw.key(), draw.pick(bad), *conditions(draw))


def expire_absent(draw: Draw) -> Send:
    name = draw.pick((b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT"))
    return send(draw, 0, name, ABSENT, draw.pick(PASSED), *conditions(draw))


def deadline_passes(draw: Draw) -> list[Step]:
    """Keys that end while the stream is played, and every way of looking for them afterwards. Where a second command
    has to find the key, it lives long enough for a busy machine.
    """
    short, long = b"%d" % draw.number(20, 40), b"%d" % draw.number(580, 600)
    ways: tuple[list[Step], ...] = (
        [send(draw, 0, b"SET", b"gone", b"v", b"PX", short), Sleep(60)],
        [send(draw, 0, b"PSETEX", b"gone", short, b"v"), Sleep(60)],
        [send(draw, 0, b"SET", b"gone", b"v"), send(draw, 0, b"PEXPIRE", b"gone", short), Sleep(60)],
        [send(draw, 0, b"SET", b"gone", b"v"), send(draw, 0, b"GETEX", b"gone", b"PX", short), Sleep(60)],
        [send(draw, 0, b"SET", b"gone", b"v", b"PX", long), send(draw, 0, b"SET", b"gone", b"w", b"KEEPTTL"),
         Sleep(620)],
        [send(draw, 0, b"SET", b"gone", b"5", b"PX", long), send(draw, 0, b"INCR", b"gone"), Sleep(620)],
    )  # fmt: skip
    looks: tuple[tuple[bytes, ...], ...] = (
        (b"GET", b"gone"), (b"EXISTS", b"gone", b"gone"), (b"TTL", b"gone"), (b"PEXPIRETIME", b"gone"),
        (b"TYPE", b"gone"),
        (b"STRLEN", b"gone"), (b"SET", b"gone", b"x", b"XX"), (b"KEYS", b"gone"), (b"EXPIRE", b"gone", b"10"),
        (b"MGET", b"gone", b"k0"),
        (b"GETEX", b"gone"), (b"TOUCH", b"gone"), (b"COPY", b"gone", b"k1"), (b"OBJECT", b"ENCODING", b"gone"),
        (b"APPEND", b"gone", b"x"),
        (b"INCR", b"gone"), (b"SETRANGE", b"gone", b"2", b"x"), (b"SET", b"gone", b"y", b"KEEPTTL"),
        (b"SETNX", b"gone", b"z"),
    )  # fmt: skip
    after = draw.shuffled(looks)[: draw.number(3, 10)]
    return [
        *draw.pick(ways),
        *(Send(0, look) for look in after),
        Send(0, (b"GET", b"gone")),
        Send(0, (b"TTL", b"gone")),
    ]


# -- several keys ---------------------------------------------------------------------------------
def multi_key(draw: Draw, proto: int, count: int) -> Plan:
    return each(draw, count, plain_set, mset, mset, msetnx, mget, mget, exists, touch, copy, copy, copy, get, strlen,
                life, dbsize, select)


def pairs(draw: Draw) -> list[bytes]:
    words = [word for _ in range(draw.number(1, 5)) for word in (draw.key(), draw.value())]
    return words[:-1] if draw.chance(0.08) else words


def mset(draw: Draw) -> Send:
    return send(draw, 0, b"MSET", *pairs(draw))


def msetnx(draw: Draw) -> Send:
    if draw.chance(0.4):
        fresh = b"fresh%d" % draw.number(0, 20)
        return send(draw, 0, b"MSETNX", fresh, draw.value(), fresh + b"b", draw.value())
    return send(draw, 0, b"MSETNX", *pairs(draw))


def exists(draw: Draw) -> Send:
    keys = [draw.key() for _ in range(draw.number(1, 5))]
    return send(draw, 0, b"EXISTS", *keys, *keys[: draw.number(0, 2)])


def touch(draw: Draw) -> Send:
    return send(draw, 0, b"TOUCH", *(draw.key() for _ in range(draw.number(1, 5))))


def copy(draw: Draw) -> Send:
    options: list[tuple[bytes, ...]] = []
    if draw.chance(0.4):
        options.append((draw.case(b"REPLACE"),))
    if draw.chance(0.3):
        number = draw.pick((b"0", b"1", b"2", b"15", b"16", b"-1", b"abc", b"", b"99999999999", b"1.0", b"2147483648"))
        options.append((draw.case(b"DB"), number))
    if draw.chance(0.06):
        options.append((draw.pick((b"DB", b"FOO", b"")),))
    words = [word for option in draw.shuffled(options) for word in option]
    return send(draw, 0, b"COPY", draw.key(), draw.key(), *words)


def dbsize(draw: Draw) -> Send:
    return send(draw, 0, b"DBSIZE")


def select(draw: Draw) -> Send:
    return send(draw, 0, b"SELECT", draw.pick((b"0", b"0", b"0", b"1", b"2")))


# -- walking --------------------------------------------------------------------------------------
NAMES = (
    b"a", b"ab", b"abc", b"abcd", b"b", b"hello", b"hallo", b"hxllo", b"hllo", b"heello", b"h[llo", b"h]llo", b"h-llo",
    b"h^llo", b"h\\llo",
    b"*", b"?", b"[", b"]", b"\\", b"user:1", b"user:12", b"user:1:name", b"", b" ", b"\n", b"\x00", b"\xff", b"A",
    b"aB", b"a*b", b"a?b",
    b"k0", b"k9", b"key-1", b"-", b"^", b"a-c", b"[a]", b"aaaaaaaaaaaaaaaa",
)  # fmt: skip
PATTERNS = (
    b"*", b"?", b"??", b"a*", b"*b", b"*b*", b"h?llo", b"h*llo", b"h[ae]llo", b"h[^e]llo", b"h[a-b]llo", b"h[b-a]llo",
    b"h[]llo", b"h[", b"h[a",
    b"h[a-", b"[a-z]*", b"[^a-z]*", b"\\*", b"\\?", b"\\[", b"\\", b"a\\", b"h\\[llo", b"h\\\\llo", b"[\\]]", b"[]]",
    b"[[]", b"h[\\^]llo",
    b"h[^^]llo", b"user:*", b"user:?", b"user:*:*", b"", b"**", b"***a***", b"*a*a*a*a*a*b", b"[k-k][0-9]", b"k[0-9]",
    b"[A-Z]", b"[a-Z]",
    b"\xff", b"[\xf0-\xff]", b"\x00", b"a[*]b", b"a[?]b", b"[-]", b"[a-]", b"[--a]", b"[^]", b"[^", b"[]", b"abc",
    b"ABC", b"?*?", b"*?",
)  # fmt: skip


def scan(draw: Draw, proto: int, count: int) -> Plan:
    words: list[Word] = []
    for name in draw.shuffled(NAMES)[: draw.number(0, len(NAMES))]:
        words += [name, b"v"]
    steps: list[Step] = [send(draw, 0, b"MSET", *words)] if words else []
    if draw.chance(0.2):
        many: list[Word] = []
        for number in range(draw.pick((50, 300, 1500))):
            many += [b"many:%d" % number, b"v"]
        steps.append(send(draw, 0, b"MSET", *many))
    makers: tuple[Callable[[Draw], Step], ...] = (
        walk, walk, walk, keys_command, keys_command, scan_wrong, scan_at_once, dbsize, type_of, write_one,
    )  # fmt: skip
    while len(steps) < count:
        steps.append(draw.pick(makers)(draw))
    return Plan(tuple(steps))


def pattern(draw: Draw) -> bytes:
    if draw.chance(0.7):
        return draw.pick(PATTERNS)
    return b"".join(draw.some((b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"a", b"b", b"h", b"l", b"o", b"k", b"0"), 0,
                              7))


def walk(draw: Draw) -> Walk:
    options: list[tuple[bytes, ...]] = []
    if draw.chance(0.7):
        options.append((draw.case(b"MATCH"), pattern(draw)))
    if draw.chance(0.6):
        options.append((draw.case(b"COUNT"),
                        draw.pick((b"1", b"2", b"7", b"10", b"100", b"5000", b"9223372036854775807"))))
    if draw.chance(0.2):
        options.append((draw.case(b"TYPE"), draw.pick((b"string", b"STRING", b"list", b"hash", b"zset"))))
    return Walk(0, tuple(word for option in draw.shuffled(options) for word in option))


def keys_command(draw: Draw) -> Send:
    return send(draw, 0, b"KEYS", pattern(draw))


def scan_wrong(draw: Draw) -> Send:
    cursor = draw.pick((b"abc", b" 0", b"0 ", b"1.5", b"18446744073709551616", b"99999999999999999999999", b"0x", b"0a",
                        b"-"))
    wrong: tuple[tuple[bytes, ...], ...] = (
        (b"0", b"COUNT", b"0"), (b"0", b"COUNT", b"-1"), (b"0", b"COUNT", b"abc"), (b"0", b"COUNT", b""),
        (b"0", b"COUNT"), (b"0", b"MATCH"),
        (b"0", b"FOO"), (b"0", b"FOO", b"1"), (b"0", b"TYPE"), (b"0", b"MATCH", b"*", b"COUNT"), (cursor,),
        (cursor, b"COUNT", b"0"),
        (cursor, b"FOO"), (b"0", b"COUNT", b"9223372036854775808"),
    )  # fmt: skip
    return send(draw, 0, b"SCAN", *draw.pick(wrong))


def scan_at_once(draw: Draw) -> Send:
    """A COUNT that reaches the end in one call, so that the cursor is 0 on both sides."""
    return send(draw, 0, b"SCAN", draw.pick((b"0", b"00", b"")), b"MATCH", pattern(draw), b"COUNT", b"50000")


def type_of(draw: Draw) -> Send:
    return send(draw, 0, b"TYPE", draw.pick(NAMES))


def type_of_key(draw: Draw) -> Send:
    return send(draw, 0, b"TYPE", draw.key())


def write_one(draw: Draw) -> Send:
    return send(draw, 0, b"SET", draw.pick(NAMES), b"v")


# -- letting go -----------------------------------------------------------------------------------
def letting_go(draw: Draw, proto: int, count: int) -> Plan:
    """As a user with the right: on Redis +@all has it anyway. SET with a time that has passed is left out, because
    there the key lives on until somebody looks.
    """
    become = [
        Send(0,
             (b"ACL", b"SETUSER", b"free", b"on", b"nopass", b"~*", b"&*", b"+@all", b"+del", b"+unlink", b"+getdel")),
        Send(0, (b"AUTH", b"free", b"any")),
    ]
    drawn = each(
        draw, count, plain_set, set_command, delete, delete, getdel, expire_past, expire, life, get, exists,
        append, incr, getex_past, bits_of_nothing,
    )  # fmt: skip
    leave = [Send(0, (b"AUTH", b"default", b"any")), Send(0, (b"ACL", b"DELUSER", b"free"))]
    return Plan((*become, *drawn.steps, *leave))


def delete(draw: Draw) -> Send:
    return send(draw, 0, draw.pick((b"DEL", b"UNLINK")), *(draw.key() for _ in range(draw.number(1, 4))))


def getdel(draw: Draw) -> Send:
    return send(draw, 0, b"GETDEL", draw.key())


def expire_past(draw: Draw) -> Send:
    name = draw.pick((b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT"))
    moment = draw.pick(PASSED if name.endswith(b"AT") else PASSED[:2])  # a relative time, or a time in the future
    return send(draw, 0, name, draw.key(), moment, *conditions(draw))


def getex_past(draw: Draw) -> Send:
    return send(draw, 0, b"GETEX", draw.key(), draw.pick((b"EXAT", b"PXAT")), b"1")


def bits_of_nothing(draw: Draw) -> Send:
    return send(draw, 0, b"BITOP", draw.pick((b"AND", b"OR", b"XOR")), draw.key(), ABSENT, ABSENT)
