"""What `commands.py` measures, as data: commands by themselves, and transactions.

Each is one that Redis 7 has too, in the form that applications send. What a row needs to be there is written by SETUP,
before the first turn. A command that looks at many keys or bytes says by how much its turns are shorter.
"""

from dataclasses import dataclass

KEYS = 100_000
VALUE_BYTES = 64
FAMILY = 16  # members of the small sets that are compared with each other
BITMAP_BYTES = 64 << 10
FEW = 100  # keys of database 1, for KEYS
KEY, VALUE, HASH = "key:__rand_int__", "x" * VALUE_BYTES, "hash:__rand_int__"
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


def row(group: str, title: str, command: str, divisor: int = 1, *, db: int = 0, listened: bool = False,
        target: dict[int, float] | None = None) -> Single:
    words = [{"KEY": KEY, "VALUE": VALUE, "HASH": HASH}.get(word, word) for word in command.split()]
    return Single(title, tuple(words), group, divisor, db, listened, target)


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
    row("sets", "SADD", "SADD set member:__rand_int__"),
    row("sets", "SISMEMBER", "SISMEMBER set member:__rand_int__"),
    row("sets", "SMEMBERS of 16", "SMEMBERS few:1", 4),
    row("sets", "SINTER of 16 and 16", "SINTER few:1 few:2", 4),
    row("sets", "SINTERCARD of 16 and 16", "SINTERCARD 2 few:1 few:2", 4),
    row("sets", "SUNION of 16 and 16", "SUNION few:1 few:2", 4),
    row("sets", "SDIFF of 16 and 16", "SDIFF few:1 few:2", 4),
    row("sorted sets", "ZADD", "ZADD zset __rand_int__ member:__rand_int__"),
    row("sorted sets", "ZINCRBY", "ZINCRBY zset 1 member:__rand_int__"),
    row("sorted sets", "ZSCORE", "ZSCORE zset member:__rand_int__"),
    row("sorted sets", "ZRANK", "ZRANK zset member:__rand_int__"),
    row("sorted sets", "ZCOUNT", "ZCOUNT zset 1000 2000"),
    row("sorted sets", "ZRANGE of 10", "ZRANGE zset 0 9"),
    row("sorted sets", "ZRANGEBYSCORE, LIMIT 10", "ZRANGEBYSCORE zset 1000 +inf LIMIT 0 10"),
)  # fmt: skip


def setup() -> list[tuple[bytes, ...]]:
    """Commands that make what the rows ask about."""
    fields = [word for number in range(FAMILY) for word in (b"field:%d" % number, b"x" * VALUE_BYTES)]
    made: list[tuple[bytes, ...]] = [
        (b"HSET", b"few:hash", *fields),
        (b"SADD", b"few:1", *(b"member:%d" % number for number in range(FAMILY))),
        (b"SADD", b"few:2", *(b"member:%d" % number for number in range(FAMILY // 2, FAMILY // 2 * 3))),
        (b"SET", b"bitmap:1", b"\x0f" * BITMAP_BYTES),
        (b"SET", b"bitmap:2", b"\xf0" * BITMAP_BYTES),
        (b"SELECT", b"1"),
    ]
    made += [(b"SET", b"key:%d" % number, b"x") for number in range(FEW)]
    return [*made, (b"SELECT", b"0")]


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
