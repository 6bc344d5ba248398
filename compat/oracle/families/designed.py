"""Families without a mirror: what respram refuses, what it bounds otherwise, and commands of servers newer than the
oracle's.

Every step says the replies that are right. The texts are part of what respram promises its clients, so they
are written out here a second time, and not taken from its source.
"""

from compat.oracle.draw import Draw
from compat.oracle.families.plan import Plan
from compat.oracle.stream import At, Raw, Send, Step, Word
from compat.oracle.transcript import CLOSED

OK, QUEUED, ZERO, ONE = b"+OK\r\n", b"+QUEUED\r\n", b":0\r\n", b":1\r\n"
SYNTAX = b"-ERR syntax error\r\n"
NOT_AN_INTEGER = b"-ERR value is not an integer or out of range\r\n"
DELETE = (
    b"keys leave when their TTL ends; overwrite with a shorter TTL, or ask the operator for the right to let go "
    b"(--let-go %b, or +%b for this user)"
)
REASONS = {
    b"FLUSHALL": b"no command empties or swaps a database; keys leave when their TTL ends",
    b"MOVE": b"a key cannot move to another database; use COPY with DB, and give the old key a shorter TTL",
    b"PERSIST": b"every key has a TTL",
    b"RESTORE": b"respram does not serialize values; copy a key with GET, PTTL and SET",
}
LIKE = {b"FLUSHDB": b"FLUSHALL", b"SWAPDB": b"FLUSHALL", b"MIGRATE": b"RESTORE"}
GIVEN_BY_NAME = (b"DEL", b"UNLINK", b"GETDEL", b"DELEX", b"DELIFEQ", b"RENAME", b"RENAMENX")
TYPE = b"respram stores strings, hashes, sets and sorted sets"
SCRIPT = b"respram keeps no functions; EVAL and EVALSHA run scripts"
SAVING = b"respram writes no dump; with --snapshot-dir it writes encrypted snapshots by itself"
FOLLOWING = b"there is no master and no replica; nodes of one enclave find each other by --join"
NO_CLUSTER = b"-ERR This instance has cluster support disabled\r\n"

DELETES: tuple[tuple[Word, ...], ...] = (
    (b"DEL", b"k0"), (b"DEL", b"k0", b"k1", b"nokey"), (b"UNLINK", b"k0"), (b"GETDEL", b"k0"), (b"FLUSHALL",),
    (b"FLUSHALL", b"ASYNC"), (b"FLUSHDB",),
    (b"FLUSHDB", b"SYNC"), (b"PERSIST", b"k0"), (b"RENAME", b"k0", b"k1"), (b"RENAMENX", b"k0", b"fresh"),
    (b"MOVE", b"k0", b"1"),
    (b"SWAPDB", b"0", b"1"),
    (b"RESTORE", b"k0", b"0", b"x"), (b"MIGRATE", b"127.0.0.1", b"1", b"k0", b"0", b"10"), (b"DELEX", b"k0"),
    (b"DELIFEQ", b"k0", b"v"),
    (b"EXPIRE", b"k0", b"0"), (b"EXPIRE", b"k0", b"-1"), (b"PEXPIRE", b"k0", b"0"),
    (b"PEXPIRE", b"k0", b"-9223372036854775808"),
    (b"EXPIREAT", b"k0", b"1"),
    (b"EXPIREAT", b"k0", b"0"), (b"PEXPIREAT", b"k0", b"1"), (b"PEXPIREAT", b"k0", At(-1000, seconds=False)),
    (b"EXPIREAT", b"k0", b"-5"),
    (b"SET", b"k0", b"lost", b"EXAT", b"1"), (b"SET", b"k0", b"lost", b"PXAT", At(-1000, seconds=False)),
    (b"SET", b"k0", b"lost", b"XX", b"GET", b"PXAT", b"1"),
    (b"GETEX", b"k0", b"PERSIST"), (b"GETEX", b"k0", b"EXAT", b"1"), (b"GETEX", b"k0", b"PXAT", At(-1, seconds=False)),
    (b"BITOP", b"AND", b"k0", b"nokey"),
)  # fmt: skip
OTHERS: tuple[tuple[tuple[bytes, ...], bytes], ...] = (
    ((b"LPUSH", b"l", b"v"), TYPE), ((b"BLPOP", b"l", b"0"), TYPE), ((b"LRANGE", b"l", b"0", b"-1"), TYPE),
    ((b"XADD", b"x", b"*", b"f", b"v"), TYPE),
    ((b"GEOADD", b"g", b"1", b"1", b"v"), TYPE), ((b"PFADD", b"p", b"v"), TYPE),
    ((b"XREAD", b"STREAMS", b"x", b"0"), TYPE), ((b"SORT", b"l"), TYPE),
    ((b"FCALL", b"f", b"0"), SCRIPT), ((b"FCALL_RO", b"f", b"0"), SCRIPT), ((b"FUNCTION", b"LIST"), SCRIPT),
    ((b"SAVE",), SAVING), ((b"BGSAVE",), SAVING), ((b"BGREWRITEAOF",), SAVING),
    ((b"REPLICAOF", b"NO", b"ONE"), FOLLOWING),
    ((b"SLAVEOF", b"h", b"1"), FOLLOWING),
    ((b"MONITOR",), b"no client may watch the commands of others; INFO and SLOWLOG show the state of the node"),
    ((b"DEBUG", b"SLEEP", b"0"),
     b"no client may inspect or change the inside of a node; INFO and MEMORY show its state"),
    ((b"DUMP", b"k0"), REASONS[b"RESTORE"]),
)  # fmt: skip


def refusal(name: bytes, reason: bytes) -> bytes:
    return b"-NOPERM '%b' is refused by design: %b\r\n" % (name.lower(), reason)


def why(words: tuple[Word, ...]) -> bytes:
    """Which reason stands in the refusal of one of DELETES, and which right would be needed."""
    name = words[0]
    assert isinstance(name, bytes)
    if name == b"GETEX" and b"PERSIST" in words:
        name = b"PERSIST"
    reason = REASONS.get(LIKE.get(name, name))
    right = name.lower() if name in GIVEN_BY_NAME else b"del"
    return DELETE % (right, right) if reason is None else reason


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def nil(proto: int) -> bytes:
    return b"_\r\n" if proto == 3 else b"$-1\r\n"


def told(draw: Draw, reply: bytes, name: bytes, *words: Word) -> Send:
    """A command on connection 0 and its one reply."""
    return Send(0, (draw.case(name), *words), expect=(reply,))


# -- refusals -------------------------------------------------------------------------------------
def refusals(draw: Draw, proto: int, count: int) -> Plan:
    """Whatever is asked, the key stays as it is, and so does the connection."""
    steps: list[Step] = []
    while len(steps) < count:
        value = b"v%d" % draw.number(0, 999)
        steps += [told(draw, OK, b"SET", b"k0", value, b"EX", b"1000"), told(draw, OK, b"SET", b"k1", b"one")]
        for _ in range(draw.number(1, 6)):
            steps += draw.pick((one_delete, one_delete, one_delete, one_other, in_transaction, on_nothing))(draw, proto)
        steps += [told(draw, bulk(value), b"GET", b"k0"), told(draw, b":2\r\n", b"EXISTS", b"k0", b"k1"),
                  told(draw, b":1000\r\n", b"TTL", b"k0")]
    return Plan(tuple(steps))


def one_delete(draw: Draw, proto: int) -> list[Step]:
    words = draw.pick(DELETES)
    name = words[0]
    assert isinstance(name, bytes)
    return [told(draw, refusal(name, why(words)), name, *words[1:])]


def one_other(draw: Draw, proto: int) -> list[Step]:
    if draw.chance(0.1):
        return [told(draw, NO_CLUSTER, b"CLUSTER", draw.pick((b"INFO", b"NODES", b"SLOTS", b"SHARDS")))]
    words, reason = draw.pick(OTHERS)
    return [told(draw, refusal(words[0], reason), *words)]


def in_transaction(draw: Draw, proto: int) -> list[Step]:
    """Queued, and refused at EXEC alone: the siblings are executed."""
    words = draw.pick(DELETES)
    name = words[0]
    assert isinstance(name, bytes)
    replies = [OK, refusal(name, why(words)), bulk(b"sibling")]
    return [
        told(draw, OK, b"MULTI"), told(draw, QUEUED, b"SET", b"k2", b"sibling", b"EX", b"100"),
        told(draw, QUEUED, name, *words[1:]),
        told(draw, QUEUED, b"GET", b"k2"), told(draw, b"*3\r\n" + b"".join(replies), b"EXEC"),
    ]  # fmt: skip


def on_nothing(draw: Draw, proto: int) -> list[Step]:
    """Where there is no key, nothing would be deleted, and Redis's own answer stands; so it does for Redis's own
    errors.
    """
    choices: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
        (ZERO, (b"EXPIRE", b"nokey", b"0")), (ZERO, (b"PEXPIREAT", b"nokey", b"1")),
        (nil(proto), (b"GETEX", b"nokey", b"PERSIST")),
        (nil(proto), (b"SET", b"nokey", b"v", b"XX", b"EXAT", b"1")),
        (b"-ERR invalid expire time in 'set' command\r\n", (b"SET", b"k0", b"v", b"EX", b"0")),
        (b"-ERR invalid expire time in 'setex' command\r\n", (b"SETEX", b"k0", b"-1", b"v")),
        (NOT_AN_INTEGER, (b"EXPIRE", b"k0", b"x")),
        (b"-ERR wrong number of arguments for 'del' command\r\n", (b"DEL",)),
        (b"-ERR wrong number of arguments for 'lpush' command\r\n", (b"LPUSH", b"l")),
    )  # fmt: skip
    reply, words = draw.pick(choices)
    return [told(draw, reply, *words)]


# -- newer ----------------------------------------------------------------------------------------
def newer(draw: Draw, proto: int, count: int) -> Plan:
    steps: list[Step] = []
    number = 0
    while len(steps) < count:
        number += 1
        scene = draw.pick((compare_and_set, compare_digests, many_at_once, limiter, floating, field_lives,
                           about_the_library, spelt_wrong))
        steps += scene(draw, proto, b"n%d" % number)
    return Plan(tuple(steps))


def compare_and_set(draw: Draw, proto: int, key: bytes) -> list[Step]:
    one, two, three = b"one", b"", draw.rng.randbytes(5)
    return [
        told(draw, nil(proto), b"SET", key, two, b"IFEQ", one), told(draw, ZERO, b"EXISTS", key),
        told(draw, OK, b"SET", key, one, b"EX", b"500"),
        told(draw, nil(proto), b"SET", key, two, b"IFEQ", b"other"), told(draw, bulk(one), b"GET", key),
        told(draw, OK, b"SET", key, two, draw.case(b"IFEQ"), one, *draw.pick(((b"EX", b"500"), (b"KEEPTTL",)))),
        told(draw, b":500\r\n", b"TTL", key),
        told(draw, bulk(two), b"SET", key, three, b"GET", b"IFEQ", two),
        told(draw, bulk(three), b"SET", key, b"no", b"IFEQ", b"x", b"get"),
        told(draw, bulk(three), b"GET", key), told(draw, SYNTAX, b"SET", key, b"v", b"IFEQ"),
        told(draw, SYNTAX, b"SET", key, b"v", b"NX", b"IFEQ", three),
    ]  # fmt: skip


def compare_digests(draw: Draw, proto: int, key: bytes) -> list[Step]:
    text, other, digest, wrong = b"Hello world", draw.rng.randbytes(draw.number(12,
                                                                                300)), b"b6acb9d84a38ff74", b"0" * 16
    return [
        told(draw, nil(proto), b"DIGEST", key), told(draw, nil(proto), b"SET", key, text, draw.case(b"IFDEQ"), wrong),
        told(draw, OK, b"SET", key, text, *draw.pick(((b"IFNE", text), (b"IFDNE", digest))), b"EX", b"500"),
        told(draw, bulk(digest), b"DIGEST", key), told(draw, nil(proto), b"SET", key, other, b"IFNE", text),
        told(draw, bulk(text), b"SET", key, other, b"IFDNE", digest, b"GET"),
        told(draw, nil(proto), b"SET", key, other, b"IFDEQ", wrong),
        told(draw, OK, b"SET", key, other, b"IFDEQ", draw.pick((digest, digest.upper())), b"KEEPTTL"),
        told(draw, b":500\r\n", b"TTL", key),
        told(draw, OK, b"SET", key, text, b"IFDNE", digest), told(draw, SYNTAX, b"SET", key, b"v", b"IFDEQ"),
        told(draw, SYNTAX, b"SET", key, b"v", b"IFDEQ", digest, b"IFEQ", text), told(draw, bulk(text), b"GET", key),
    ]  # fmt: skip


def numbers(*replies: int) -> bytes:
    return b"*%d\r\n" % len(replies) + b"".join(b":%d\r\n" % reply for reply in replies)


def field_lives(draw: Draw, proto: int, key: bytes) -> list[Step]:
    """HSETEX and HGETEX of Redis 8, and HSCAN NOVALUES of 7.4. Conditions tell what life a field has: seconds would go
    by.
    """
    lives: tuple[tuple[Word, Word], ...] = (
        (b"EX", b"5000"), (b"PX", b"5000000"), (b"EXAT", At(5_000_000, seconds=True)),
        (b"PXAT", At(5_000_000, seconds=False)),
    )  # fmt: skip
    life, other = draw.pick(lives), draw.rng.randbytes(draw.number(0, 90))
    two = draw.pick(((draw.case(b"FNX"), *life), (*life, draw.case(b"FNX"))))
    arity = b"-ERR wrong number of arguments for 'hsetex' command\r\n"
    return [
        told(draw, ZERO, b"HSETEX", key, draw.case(b"FXX"), b"FIELDS", b"1", b"a", b"1"),
        told(draw, ZERO, b"EXISTS", key),
        told(draw, ONE, b"HSETEX", key, *two, b"FIELDS", b"2", b"a", other, b"b", b"2"),
        told(draw, numbers(0, 0, -2), b"HEXPIRE", key, b"7", b"NX", b"FIELDS", b"3", b"a", b"b", b"c"),
        told(draw, ZERO, b"HSETEX", key, b"FNX", b"FIELDS", b"2", b"a", b"9", b"c", b"9"),
        told(draw, bulk(other), b"HGET", key, b"a"),
        told(draw, ZERO, b"HSETEX", key, b"FXX", *life, b"FIELDS", b"2", b"a", b"9", b"c", b"9"),
        told(draw, b":2\r\n", b"HLEN", key),
        told(draw, ONE, b"HSETEX", key, b"FXX", draw.case(b"KEEPTTL"), b"FIELDS", b"1", b"a", b"3"),
        told(draw, ONE, b"HSETEX", key, b"FXX", b"FIELDS", b"1", b"b", b"4"),
        told(draw, numbers(0), b"HEXPIRE", key, b"7", b"NX", b"FIELDS", b"1", b"a"),
        told(draw, numbers(-1), b"HTTL", key, b"FIELDS", b"1", b"b"),
        told(draw, b"*3\r\n" + bulk(b"3") + nil(proto) + bulk(b"3"), b"HGETEX", key, b"EX", b"3000", b"FIELDS", b"3",
             b"a", b"none", b"a"),
        told(draw, b"*1\r\n" + bulk(b"4"), b"HGETEX", key, b"FIELDS", b"1", b"b"),
        told(draw, numbers(0), b"HEXPIRE", key, b"4000", b"LT", b"FIELDS", b"1", b"a"),
        told(draw, numbers(-1), b"HTTL", key, b"FIELDS", b"1", b"b"),
        told(draw, numbers(0, 1), b"HEXPIRE", key, b"2500", draw.case(b"NX"), b"FIELDS", b"2", b"a", b"b"),
        told(draw, numbers(1, 1, -2), b"HEXPIRE", key, b"1000", b"LT", b"FIELDS", b"3", b"a", b"b", b"none"),
        told(draw, b"*2\r\n" + nil(proto) * 2, b"HGETEX", key + b"x", b"EX", b"50", b"FIELDS", b"2", b"a", b"b"),
        told(draw, ONE, b"HSET", key + b"y", b"only", b"1"),
        told(draw, b"*2\r\n" + bulk(b"0") + b"*1\r\n" + bulk(b"only"), b"HSCAN", key + b"y", b"0",
             draw.case(b"NOVALUES")),
        told(draw, SYNTAX, b"HSETEX", key, b"FNX", b"FXX", b"FIELDS", b"1", b"a", b"b"),
        told(draw, arity, b"HSETEX", key, b"FIELDS", b"1", b"a"),
        told(draw, b"-ERR invalid expire time in 'hsetex' command\r\n", b"HSETEX", key, b"EX", b"0", b"FIELDS", b"1",
             b"a", b"b"),
    ]  # fmt: skip


def many_at_once(draw: Draw, proto: int, key: bytes) -> list[Step]:
    other = key + b"b"
    lives: tuple[tuple[Word, Word], ...] = (
        (b"EX", b"700"), (b"PX", b"700000"), (b"EXAT", At(700_000, seconds=True)),
        (b"PXAT", At(700_000, seconds=False)),
    )  # fmt: skip
    life = draw.pick(lives)
    return [
        told(draw, ZERO, b"MSETEX", b"2", key, b"1", other, b"2", b"XX", *life),
        told(draw, ZERO, b"EXISTS", key, other),
        told(draw, ONE, b"MSETEX", b"2", key, b"1", other, b"2", *life, b"nx"),
        told(draw, b"*2\r\n" + bulk(b"1") + bulk(b"2"), b"MGET", key, other),
        told(draw, b":700\r\n", b"TTL", other), told(draw, ZERO, b"MSETEX", b"1", key, b"3", b"NX", b"EX", b"5"),
        told(draw, ONE, b"MSETEX", b"2", key, b"4", other, b"5", b"KEEPTTL"), told(draw, b":700\r\n", b"TTL", key),
        told(draw, bulk(b"5"), b"GET", other),
        told(draw, b"-ERR invalid numkeys value\r\n", b"MSETEX", b"0", key, b"1"),
        told(draw, b"-ERR invalid expire time in 'msetex' command\r\n", b"MSETEX", b"1", key, b"1", b"EX", b"0"),
        told(draw, b"-ERR wrong number of arguments for 'msetex' command\r\n", b"MSETEX", b"1", key),
    ]  # fmt: skip


def limiter(draw: Draw, proto: int, key: bytes) -> list[Step]:
    """Fixed windows: so many in a window, which the first opens, and who is refused does not count."""
    most = draw.number(1, 4)
    steps: list[Step] = [
        told(draw, b"*2\r\n:%d\r\n:1\r\n" % at, b"INCREX", key, b"UBOUND", b"%d" % most, b"EX", b"300", b"ENX")
        for at in range(1, most + 1)
    ]
    steps += [told(draw, b"*2\r\n:%d\r\n:0\r\n" % most, b"INCREX", key, b"EX", b"300", b"enx", b"UBOUND", b"%d" % most),
        told(draw, b":300\r\n", b"TTL", key)]
    step = draw.number(2, 50)
    return [
        *steps, told(draw, b"*2\r\n:%d\r\n:%d\r\n" % (most + step, step), b"INCREX", key, b"BYINT", b"%d" % step),
        told(draw, b"*2\r\n:%d\r\n:5\r\n" % (most + step + 5), b"INCREX", key, b"BYINT", b"100", b"SATURATE", b"UBOUND",
             b"%d" % (most + step + 5)),
        told(draw, b"*2\r\n:0\r\n:-%d\r\n" % (most + step + 5), b"INCREX", key, b"byint", b"-1000", b"LBOUND", b"0",
             b"saturate"),
        told(draw, b":300\r\n", b"TTL", key), told(draw, NOT_AN_INTEGER, b"INCREX", key, b"BYINT", b"x"),
        told(draw, SYNTAX, b"INCREX", key, b"FOO", b"1"),
        told(draw, bulk(b"0"), b"GET", key),
        told(draw, b"*2\r\n:0\r\n:0\r\n", b"INCREX", key, draw.case(b"NX"), b"EX", b"9"),
        told(draw, b"*2\r\n:1\r\n:1\r\n", b"INCREX", key, draw.case(b"XX")),
        told(draw, b"*2\r\n%b:0\r\n" % nil(proto), b"INCREX", key + b"x", b"XX", b"EX", b"9"),
    ]  # fmt: skip


def floating(draw: Draw, proto: int, key: bytes) -> list[Step]:
    def pair(one: bytes, two: bytes) -> bytes:
        return b"*2\r\n" + (b",%b\r\n,%b\r\n" % (one, two) if proto == 3 else bulk(one) + bulk(two))

    return [
        told(draw, pair(b"1.5", b"1.5"), b"INCREX", key, b"BYFLOAT", b"1.5"),
        told(draw, pair(b"1.5", b"0"), b"INCREX", key, b"BYFLOAT", b"10", b"UBOUND", b"2"),
        told(draw, pair(b"2", b"0.5"), b"INCREX", key, b"BYFLOAT", b"10", b"UBOUND", b"2", b"SATURATE"),
        told(draw, bulk(b"2"), b"GET", key),
    ]  # fmt: skip


def about_the_library(draw: Draw, proto: int, key: bytes) -> list[Step]:
    return [
        told(draw, OK, b"CLIENT", draw.case(b"SETINFO"), draw.case(b"LIB-NAME"), b"a(b)"),
        told(draw, OK, b"CLIENT", b"SETINFO", b"lib-ver", b"1.2.3"),
        Send(0, (b"CLIENT", b"SETINFO", b"FOO", b"x"), expect=(b"-ERR Unrecognized option 'FOO'\r\n",)),
        Send(0, (b"CLIENT", b"SETINFO", b"lib-ver", b"a b"),
             expect=(b"-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n",)),
        told(draw, OK, b"CLIENT", b"NO-TOUCH", draw.case(b"ON")), told(draw, OK, b"CLIENT", b"NO-TOUCH", b"off"),
        told(draw, SYNTAX, b"CLIENT", b"NO-TOUCH", b"x"),
        Send(0, (b"CLIENT", b"MAINT_NOTIFICATIONS", b"ON"),
             expect=(b"-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n",)),
    ]  # fmt: skip


def spelt_wrong(draw: Draw, proto: int, key: bytes) -> list[Step]:
    return [
        told(draw, b"-ERR wrong number of arguments for 'increx' command\r\n", b"INCREX"),
        told(draw, NOT_AN_INTEGER, b"INCREX", key, b"EX", b"x"),
        told(draw, SYNTAX, b"INCREX", key, b"EX"),
        told(draw, b"-ERR invalid expire time in 'increx' command\r\n", b"INCREX", key, b"EX", b"0"),
        told(draw, SYNTAX, b"MSETEX", b"1", key, b"v", b"FOO"), told(draw, ZERO, b"EXISTS", key),
    ]  # fmt: skip


# -- limits ---------------------------------------------------------------------------------------
MAX_TTL_S = 31 * 86_400


def limits(draw: Draw, proto: int, count: int) -> Plan:
    """The life that a key has when none is named, the longest there is, and sizes that Redis does not bound, or bounds
    otherwise.
    """
    steps: list[Step] = []
    number = 0
    while len(steps) < count:
        number += 1
        steps += draw.pick((unnamed_life, longest_life, implicit_conditions, lengths))(draw, b"l%d" % number)
    steps += draw.pick((
        [Raw(1, b"*1048577\r\n", expect=(b"-ERR Protocol error: invalid multibulk length\r\n", CLOSED))],
        [Raw(1, b"*2147483647\r\n", expect=(b"-ERR Protocol error: invalid multibulk length\r\n", CLOSED))],
        [Raw(1, b"*1\r\n\x00\r\n", silent=True)],  # Redis waits too: it looks for the end of the line up to a NUL
        [Raw(1, b"*1048576\r\n$4\r\nPING\r\n", silent=True)],
    ))  # fmt: skip
    return Plan(tuple(steps))


def unnamed_life(draw: Draw, key: bytes) -> list[Step]:
    write: Send = draw.pick((
        told(draw, OK, b"SET", key, b"v"), told(draw, ONE, b"SETNX", key, b"v"), told(draw, OK, b"MSET", key, b"v"),
        told(draw, ONE, b"INCR", key),
        told(draw, ONE, b"APPEND", key, b"v"), told(draw, ZERO, b"SETBIT", key, b"0", b"1"),
        told(draw, b":3\r\n", b"SETRANGE", key, b"2", b"v"),
        told(draw, ONE, b"MSETNX", key, b"v"), told(draw, bulk(b"1.5"), b"INCRBYFLOAT", key, b"1.5"),
        told(draw, OK, b"SET", key, b"v", b"KEEPTTL"),
    ))  # fmt: skip
    return [write, told(draw, b":3600\r\n", b"TTL", key), told(draw, b":3600000\r\n", b"PTTL", key)]


def longest_life(draw: Draw, key: bytes) -> list[Step]:
    far = b"%d" % draw.number(MAX_TTL_S + 1, 10**12)
    write: list[Step] = draw.pick((
        [told(draw, OK, b"SET", key, b"v", b"EX", far)], [told(draw, OK, b"SETEX", key, far, b"v")],
        [told(draw, OK, b"SET", key, b"v"), told(draw, ONE, b"EXPIRE", key, far)],
        [told(draw, OK, b"SET", key, b"v"), told(draw, bulk(b"v"), b"GETEX", key, b"EX", far)],
        [told(draw, OK, b"SET", key, b"v", b"PX", far + b"000")],
        [told(draw, OK, b"SET", key, b"v"), told(draw, ONE, b"EXPIREAT", key, At(MAX_TTL_S * 5000, seconds=True))],
    ))  # fmt: skip
    return [*write, told(draw, b":%d\r\n" % MAX_TTL_S, b"TTL", key),
            told(draw, b":%d000\r\n" % MAX_TTL_S, b"PTTL", key)]


def implicit_conditions(draw: Draw, key: bytes) -> list[Step]:
    """A life that nobody named counts as none for NX, XX, GT and LT; one that was named does not."""
    return [
        told(draw, OK, b"SET", key, b"v"), told(draw, ZERO, b"EXPIRE", key, b"50", b"XX"),
        told(draw, ZERO, b"EXPIRE", key, b"99999", b"GT"),
        told(draw, ONE, b"EXPIRE", key, b"5000", b"LT") if draw.chance(0.5)
        else told(draw, ONE, b"EXPIRE", key, b"5000", b"NX"),
        told(draw, ZERO, b"EXPIRE", key, b"40", b"NX"), told(draw, b":5000\r\n", b"TTL", key),
        told(draw, ONE, b"EXPIRE", key, b"6000", b"GT"),
        told(draw, ZERO, b"EXPIRE", key, b"7000", b"LT"), told(draw, ONE, b"EXPIRE", key, b"300", b"XX"),
        told(draw, b":300\r\n", b"TTL", key),
        told(draw, ONE, b"APPEND", key + b"x", b"v"), told(draw, b":2\r\n", b"APPEND", key, b"w"),
        told(draw, b":300\r\n", b"TTL", key),
    ]  # fmt: skip


def lengths(draw: Draw, key: bytes) -> list[Step]:
    return [
        told(draw, b"-ERR Client names may have at most 1024 bytes\r\n", b"CLIENT", b"SETNAME", b"n" * 1025),
        told(draw, OK, b"CLIENT", b"SETNAME", b"n" * 1024),
        told(draw, bulk(b"n" * 1024), b"CLIENT", b"GETNAME"), told(draw, ZERO, b"EXISTS", key),
        told(draw, OK, b"CLIENT", b"SETNAME", b""),
    ]  # fmt: skip
