"""What `commands.py` measures, as data: commands by themselves, and transactions.

Each is one that Redis 7 has too, in the form that applications send; where it has none, the row says what it is asked
instead. What a row needs to be there is written by `setup`, before the first turn, and what a turn uses up by its
`refill`, before each turn. A command that looks at many keys or bytes says by how much its turns are shorter.
"""

from collections.abc import Callable
from dataclasses import dataclass

KEYS = 100_000
VALUE_BYTES = 64
FAMILY = 16  # members of the small sets that are compared with each other
BITMAP_BYTES = 64 << 10
FEW = 100  # keys of database 1, for KEYS
BOWL = 30_000  # members that a turn takes out, one by one
AT_ONCE = 500  # members, or keys, of one command that refills
KEY, VALUE, HASH, GONE = "key:__rand_int__", "x" * VALUE_BYTES, "hash:__rand_int__", "gone:__rand_int__"
TARGETS = {1: 0.95, 16: 0.6}  # of CPU per command, to Redis, by pipeline
PER_BYTE = dict.fromkeys(TARGETS, 1.0)  # what walks along keys or bytes


@dataclass(frozen=True, slots=True)
class Single:
    title: str
    argv: tuple[str, ...]
    group: str
    divisor: int = 1  # of the requests of a turn
    db: int = 0
    listened: bool = False  # by one subscriber of `channel`
    target: dict[int, float] | None = None  # None: TARGETS
    refill: str = ""  # one of REFILLS
    instead: tuple[str, ...] = ()  # of a server that has no such command


def row(group: str, title: str, command: str, divisor: int = 1, *, db: int = 0, listened: bool = False,
        target: dict[int, float] | None = None, refill: str = "", instead: str = "") -> Single:
    return Single(title, words_of(command), group, divisor, db, listened, target, refill, words_of(instead))


def words_of(command: str) -> tuple[str, ...]:
    return tuple({"KEY": KEY, "VALUE": VALUE, "HASH": HASH, "GONE": GONE}.get(word, word) for word in command.split())


SINGLES = (
    row("strings", "EXPIRE", "EXPIRE KEY 3600"),
    row("strings", "SET NX EX", "SET KEY VALUE NX EX 3600"),
    row("strings", "SETNX", "SETNX KEY VALUE"),
    row("strings", "GETEX EX", "GETEX KEY EX 3600"),
    row("strings", "INCR", "INCR count:__rand_int__"),
    row("strings", "EXISTS", "EXISTS KEY"),
    row("strings", "TTL", "TTL KEY"),
    row("strings", "TYPE", "TYPE KEY"),
    row("strings", "SET KEEPTTL", "SET KEY VALUE KEEPTTL"),
    row("strings", "MSET of 2", "MSET KEY VALUE KEY VALUE"),
    row("strings", "MGET of 10", "MGET " + "KEY " * 10, 4),
    row("strings", "GETSET", "GETSET KEY VALUE"),
    row("strings", "STRLEN", "STRLEN KEY"),
    row("strings", "GETRANGE", "GETRANGE KEY 0 9"),
    row("strings", "SETRANGE", "SETRANGE KEY 8 abcdefgh"),
    row("strings", "INCRBYFLOAT", "INCRBYFLOAT sum:__rand_int__ 0.1"),
    row("strings", "COPY REPLACE", "COPY KEY copy:__rand_int__ REPLACE"),
    row("strings", "COPY of a hash, REPLACE", "COPY few:hash copy:hash REPLACE", 4),
    row("strings", "GETDEL", "GETDEL GONE", 10, refill="gone"),
    row("strings", "DELEX IFEQ, beside GETDEL", "DELEX GONE IFEQ VALUE", 10, refill="gone", instead="GETDEL GONE"),
    row("strings", "SET IFEQ, beside SET XX GET", "SET GONE VALUE IFEQ VALUE", 10, refill="gone",
        instead="SET GONE VALUE XX GET"),
    row("bits", "SETBIT", "SETBIT bits:__rand_int__ 100 1"),
    row("bits", "GETBIT", "GETBIT bits:__rand_int__ 100"),
    row("bits", "BITCOUNT", "BITCOUNT KEY"),
    row("bits", "BITCOUNT, BIT", "BITCOUNT KEY 5 -5 BIT"),
    row("bits", "BITPOS", "BITPOS KEY 1"),
    row("bits", "BITPOS, BIT", "BITPOS KEY 1 9 -1 BIT"),
    row("bits", "BITOP AND of 2", "BITOP AND both KEY KEY"),
    row("bits", "BITCOUNT of 64 KiB", "BITCOUNT bitmap:1", 20, target=PER_BYTE),
    row("bits", "BITOP OR of 2 of 64 KiB", "BITOP OR bitmap:or bitmap:1 bitmap:2", 50, target=PER_BYTE),
    row("keyspace", "SCAN", "SCAN 0", 4),
    row("keyspace", "SCAN, MATCH, COUNT 100", "SCAN 0 MATCH key:*7 COUNT 100", 10),
    row("keyspace", "SCAN, TYPE, COUNT 100", "SCAN 0 TYPE hash COUNT 100", 10),
    row("keyspace", f"KEYS in {FEW} keys", "KEYS *7", 10, db=1, target=PER_BYTE),
    row("keyspace", "KEYS in all keys", "KEYS *99", 3_000, target=PER_BYTE),
    row("keyspace", "RANDOMKEY", "RANDOMKEY"),
    row("keyspace", "DBSIZE", "DBSIZE"),
    row("channels", "PUBLISH", "PUBLISH nobody VALUE"),
    row("channels", "PUBLISH to one listener", "PUBLISH channel VALUE", listened=True,
        target=dict.fromkeys(TARGETS, 0.8)),
    row("hashes", "HSET", "HSET HASH field VALUE"),
    row("hashes", "HGET", "HGET HASH field"),
    row("hashes", "HMGET of 2", "HMGET HASH field other"),
    row("hashes", "HGETALL", "HGETALL HASH"),
    row("hashes", "HGETALL of 16", "HGETALL few:hash", 4),
    row("hashes", "HINCRBY", "HINCRBY visits:__rand_int__ field 1"),
    row("hashes", "HINCRBYFLOAT", "HINCRBYFLOAT sums:__rand_int__ field 0.1"),
    row("hashes", "EXPIRE of a hash", "EXPIRE HASH 3600"),
    row("hashes", "TTL of a hash", "TTL HASH"),
    row("hashes", "TYPE of a hash", "TYPE HASH"),
    row("hashes", "EXISTS of a hash", "EXISTS HASH"),
    row("hashes", "HSCAN of 16", "HSCAN few:hash 0", 4),
    row("hashes", "HRANDFIELD, 3 of 16", "HRANDFIELD few:hash 3 WITHVALUES", 4),
    row("sets", "SADD", "SADD set member:__rand_int__"),
    row("sets", "SISMEMBER", "SISMEMBER set member:__rand_int__"),
    row("sets", "SMEMBERS of 16", "SMEMBERS few:1", 4),
    row("sets", "SINTER of 16 and 16", "SINTER few:1 few:2", 4),
    row("sets", "SINTERCARD of 16 and 16", "SINTERCARD 2 few:1 few:2", 4),
    row("sets", "SUNION of 16 and 16", "SUNION few:1 few:2", 4),
    row("sets", "SDIFF of 16 and 16", "SDIFF few:1 few:2", 4),
    row("sets", "SINTERSTORE of 16 and 16", "SINTERSTORE few:out few:1 few:2", 4),
    row("sets", "SUNIONSTORE of 16 and 16", "SUNIONSTORE few:out few:1 few:2", 4),
    row("sets", "SDIFFSTORE of 16 and 16", "SDIFFSTORE few:out few:1 few:2", 4),
    row("sets", "SRANDMEMBER", "SRANDMEMBER few:1"),
    row("sets", "SRANDMEMBER, 3 of 16", "SRANDMEMBER few:1 3", 4),
    row("sets", "SPOP", "SPOP bowl", 10, refill="bowl"),
    row("sorted sets", "ZADD", "ZADD zset __rand_int__ member:__rand_int__"),
    row("sorted sets", "ZINCRBY", "ZINCRBY zset 1 member:__rand_int__"),
    row("sorted sets", "ZSCORE", "ZSCORE zset member:__rand_int__"),
    row("sorted sets", "ZRANK", "ZRANK zset member:__rand_int__"),
    row("sorted sets", "ZCOUNT", "ZCOUNT zset 1000 2000"),
    row("sorted sets", "ZRANGE of 10", "ZRANGE zset 0 9"),
    row("sorted sets", "ZRANGEBYSCORE, LIMIT 10", "ZRANGEBYSCORE zset 1000 +inf LIMIT 0 10"),
    row("sorted sets", "ZSCAN of 16", "ZSCAN few:zset:1 0", 4),
    row("sorted sets", "ZRANDMEMBER, 3 of 16", "ZRANDMEMBER few:zset:1 3", 4),
    row("sorted sets", "ZUNION of 16 and 16", "ZUNION 2 few:zset:1 few:zset:2 WITHSCORES", 4),
    row("sorted sets", "ZINTER of 16 and 16", "ZINTER 2 few:zset:1 few:zset:2 WITHSCORES", 4),
    row("sorted sets", "ZDIFF of 16 and 16", "ZDIFF 2 few:zset:1 few:zset:2 WITHSCORES", 4),
    row("sorted sets", "ZINTERCARD of 16 and 16", "ZINTERCARD 2 few:zset:1 few:zset:2", 4),
    row("sorted sets", "ZUNIONSTORE of 16 and 16", "ZUNIONSTORE few:out 2 few:zset:1 few:zset:2 WEIGHTS 2 1", 4),
    row("sorted sets", "ZINTERSTORE of 16 and 16", "ZINTERSTORE few:out 2 few:zset:1 few:zset:2", 4),
    row("sorted sets", "ZDIFFSTORE of 16 and 16", "ZDIFFSTORE few:out 2 few:zset:1 few:zset:2", 4),
    row("sorted sets", "ZRANGESTORE of 10 of 16", "ZRANGESTORE few:out few:zset:1 0 9", 4),
    row("sorted sets", "ZPOPMIN", "ZPOPMIN zbowl", 10, refill="zbowl"),
    row("sorted sets", "ZMPOP", "ZMPOP 2 none zbowl MIN", 10, refill="zbowl"),
)  # fmt: skip


def setup(own: bool) -> list[tuple[bytes, ...]]:
    """Commands that make what the rows ask about; `own`: of a server that lets only whom it was told remove things, and
    that has all commands.
    """
    fields = [word for number in range(FAMILY) for word in (b"field:%d" % number, b"x" * VALUE_BYTES)]
    names = [b"member:%d" % number for number in range(FAMILY // 2 * 3)]
    rights = (b"+getdel", b"+delex", b"+spop", b"+zpopmin", b"+zmpop", b"+del")
    made: list[tuple[bytes, ...]] = [(b"ACL", b"SETUSER", b"default", *rights)] if own else []
    made += [
        (b"HSET", b"few:hash", *fields),
        (b"SADD", b"few:1", *names[:FAMILY]),
        (b"SADD", b"few:2", *names[FAMILY // 2 :]),
        (b"ZADD", b"few:zset:1", *scored(names[:FAMILY])),
        (b"ZADD", b"few:zset:2", *scored(names[FAMILY // 2 :])),
        (b"SET", b"bitmap:1", b"\x0f" * BITMAP_BYTES),
        (b"SET", b"bitmap:2", b"\xf0" * BITMAP_BYTES),
        (b"SELECT", b"1"),
    ]
    made += [(b"SET", b"key:%d" % number, b"x") for number in range(FEW)]
    return [*made, (b"SELECT", b"0")]


def scored(names: list[bytes]) -> list[bytes]:
    return [word for score, name in enumerate(names) for word in (b"%d" % score, name)]


Refill = Callable[[int, int], tuple[bytes, ...]]  # from the number of the first to that behind the last


def _filling(name: bytes, key: bytes) -> Refill:
    return lambda first, end: (name, key, *(b"member:%012d" % number for number in range(first, end)))


def _filling_scored(first: int, end: int) -> tuple[bytes, ...]:
    members = [(b"%d" % number, b"member:%012d" % number) for number in range(first, end)]
    return (b"ZADD", b"zbowl", *(word for member in members for word in member))


def _filling_keys(first: int, end: int) -> tuple[bytes, ...]:
    pairs = [(b"gone:%012d" % number, VALUE.encode()) for number in range(first, end)]
    return (b"MSET", *(word for pair in pairs for word in pair))


REFILLS: dict[str, tuple[int, Refill]] = {
    "bowl": (BOWL, _filling(b"SADD", b"bowl")), "zbowl": (BOWL, _filling_scored), "gone": (KEYS, _filling_keys),
}  # fmt: skip


def refills(name: str) -> list[tuple[bytes, ...]]:
    count, refill = REFILLS[name]
    return [refill(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE)]


SET, GET = (b"SET", b"key:%012d", b"x" * VALUE_BYTES, b"EX", b"3600"), (b"GET", b"key:%012d")
LIMIT = ((b"INCR", b"limit:%012d"), (b"EXPIRE", b"limit:%012d", b"3600"))


@dataclass(frozen=True, slots=True)
class Transaction:
    title: str
    templates: tuple[tuple[bytes, ...], ...]  # again and again until there are so many
    count: int
    watched: bytes = b""  # a key that is watched before each
    target: float | None = None


TRANSACTIONS = (
    Transaction("MULTI, INCR, EXPIRE, EXEC", LIMIT, 2, target=0.8),
    Transaction("WATCH, MULTI, GET, SET EX, EXEC", (GET, SET), 2, watched=b"key:%012d", target=0.8),
    Transaction("WATCH of a missing key, MULTI, SET EX, EXEC", (SET,), 1, watched=b"absent:%012d", target=0.8),
    Transaction("WATCH of a hash, MULTI, SET EX, EXEC", (SET,), 1, watched=b"few:hash", target=0.8),
    Transaction("MULTI, 10 SET EX, EXEC", (SET,), 10),
    Transaction("MULTI, 10 GET, EXEC", (GET,), 10),
    Transaction("MULTI, 100 SET EX, EXEC", (SET,), 100),
    Transaction("MULTI, 100 GET, EXEC", (GET,), 100),
    Transaction("MULTI, 1,000 SET EX, EXEC", (SET,), 1_000),
    Transaction("MULTI, 1,000 GET, EXEC", (GET,), 1_000),
)
