"""The two engines side by side: any bytes in any split, with time and peers between; one behaviour.

Replies, what `dispatch` was asked, flags, the outbox, what the observer heard, records and counters are
compared after every step, and at the end everything must have come to its end.
"""

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from respram.engine.api import EXPIRED, Engine, Session, Settings
from respram.record import DATABASES, Record, pack, unpack
from tests import dear

from .conftest import ENGINES, PURE_ONLY
from .rig import NOW, SETTINGS, request

pytestmark = pytest.mark.skipif(PURE_ONLY, reason="there is one engine: nothing to compare")

TIGHT = SETTINGS._replace(feed_commands_max=3, feed_reply_bytes_max=60)
# Only byte by byte: the pure engine's shortcut for whole requests heeds its own limits.
SMALL = SETTINGS._replace(args_max=4, bulk_bytes_max=15, inline_bytes_max=40, query_bytes_max=50)
LIMITS = [SETTINGS, TIGHT]
PATTERNS = {b"a": 3, b"key:*": 1, b"[b-c]": 2, b"*g?o*ng": 3, b"": 3}  # a user's, with its rights: READ 1, WRITE 2
KEYS = [b"a", b"b", b"key:000000000001", b"", b"\x00\xff\r\n", b"long" * 30]

# -- what is sent -----------------------------------------------------------------------------------
key = st.sampled_from(KEYS)
number = st.one_of(st.integers(-20, 20), st.sampled_from([2**63 - 1, -(2**63), 2**63, 31 * 86_400, 10**18, 2**64])).map(
    lambda value: b"%d" % value
)
moment = st.one_of(
    st.integers(NOW // 1000 - 1, NOW // 1000 + 60), st.integers(NOW - 9, NOW + 900), number.map(int)
).map(lambda value: b"%d" % value)
word = st.one_of(
    st.binary(max_size=12), number, st.sampled_from([b"+5", b"05", b"-0", b"5 ", b"x" * 300, b"1" * 20, b"", b"12"])
)
fraction = st.one_of(
    st.integers(-(10**19), 10**19).map(lambda value: b"%d" % value),
    st.tuples(st.integers(-999, 10**6), st.integers(0, 10**17)).map(lambda both: b"%d.%d" % both),
    st.sampled_from([b"0.1", b"-0", b"0.0", b"-0.3", b"1.", b".5", b"1e3", b"inf", b"007", b"00.1",
                     b"99999999999999999.9", b"1.50", b"-", b""]),
)
count = st.sampled_from([b"1", b"1", b"2", b"0", b"x"])
heap = st.sampled_from([b"heap", b"hoard"])  # keys of collections
member = st.sampled_from([b"m", b"", b"\x00\xff", b"n" * 30])
score = st.one_of(
    st.integers(-5, 5).map(lambda value: b"%d" % value), st.sampled_from([b"0.5", b"-0", b"1.", b"inf", b"1e3", b""])
)
bound = st.one_of(score, score.map(b"(%b".__mod__), st.sampled_from([b"-inf", b"+inf", b"(+INF", b"\rinf", b"("]))
option = st.one_of(
    st.sampled_from(b"EX PX NX XX ex pX nX xx GET KEEPTTL EXAT PXAT IFEQ GT lt BYTE".split()), word
)
name = st.sampled_from(
    b"GET SET MGET EXISTS TTL PTTL STRLEN PING ECHO SETEX PSETEX INCR DECR INCRBY DECRBY get Set pSetEx "
    b"SETNX EXPIRE PEXPIRE GETEX pexpire GETSET MSET MSETNX APPEND GETRANGE SUBSTR SETRANGE SETBIT GETBIT BITCOUNT "
    b"EXPIREAT "
    b"PEXPIREAT EXPIRETIME PEXPIRETIME TYPE TOUCH DBSIZE SELECT getrange "
    b"RENAME SELECT1 SELECT0 RESP3 RESP2 COOL WARM GUARD UNGUARD DOUBT WAIT FAIL STORE RETIME DROP QUIT GE SETT KEEP "
    b"KEEP RUN RUN TAKE".split()
)
likely = st.one_of(
    st.tuples(st.sampled_from([b"GET", b"INCR", b"TTL", b"PTTL", b"STRLEN"]), key),
    st.tuples(st.just(b"SET"), key, word),
    st.tuples(st.just(b"SET"), key, word, st.sampled_from([b"EX", b"PX"]), number, st.sampled_from([b"NX", b"XX"])),
    st.tuples(st.sampled_from([b"SETEX", b"PSETEX"]), key, number, word),
    st.tuples(st.sampled_from([b"INCRBY", b"DECRBY"]), key, number),
    st.tuples(st.just(b"BITPOS"), key, st.sampled_from([b"0", b"1", b"2"])),
    st.tuples(st.just(b"BITPOS"), key, st.sampled_from([b"0", b"1"]), number, number,
              st.sampled_from([b"BYTE", b"byte", b"BIT"])),
    st.tuples(st.just(b"BITPOS"), key, st.sampled_from([b"0", b"1"]), number),
    st.tuples(st.just(b"COPY"), key, key),
    st.tuples(st.just(b"COPY"), key, key, st.sampled_from([b"REPLACE", b"replace", b"DB"])),
    st.tuples(st.just(b"INCRBYFLOAT"), key, fraction),
    st.tuples(st.sampled_from([b"HSET", b"HMGET"]), heap, member, word),
    st.tuples(st.just(b"HSET"), heap, member, word, member, word),
    st.tuples(st.sampled_from([b"HINCRBY", b"ZADD"]), heap, member, number),
    st.tuples(st.sampled_from([b"ZADD", b"ZINCRBY"]), heap, score, member),
    st.tuples(st.sampled_from([b"SADD", b"SREM", b"HGET", b"HEXISTS", b"SISMEMBER", b"ZSCORE", b"ZRANK"]), heap,
              member),
    st.tuples(st.sampled_from([b"HGETALL", b"HLEN", b"SCARD", b"ZCARD", b"TYPE", b"GET", b"INCR", b"PTTL"]), heap),
    st.tuples(st.sampled_from([b"SADD", b"HDEL", b"SREM", b"ZREM", b"SMISMEMBER", b"ZMSCORE"]), heap, member, member),
    st.tuples(st.sampled_from([b"HKEYS", b"HVALS", b"SMEMBERS"]), heap),
    st.tuples(st.sampled_from([b"HDEL", b"ZREM", b"HSTRLEN", b"ZREVRANK", b"SMISMEMBER", b"ZMSCORE"]), heap, member),
    st.tuples(st.sampled_from([b"HSETNX", b"HMSET"]), heap, member, word),
    st.tuples(st.just(b"ZADD"), heap, st.sampled_from([b"NX", b"xx", b"Gt", b"LT", b"CH", b"INCR"]), score, member),
    st.tuples(st.just(b"ZADD"), heap, st.just(b"CH"), score, member, score, member),
    st.tuples(st.just(b"ZADD"), heap, score, member, score, member),
    st.tuples(st.sampled_from([b"ZCOUNT", b"ZREMRANGEBYSCORE"]), heap, bound, bound),
    st.tuples(st.just(b"ZREMRANGEBYRANK"), heap, number, number),
    st.tuples(st.just(b"ZREVRANGE"), heap, number, number),
    st.tuples(st.sampled_from([b"ZREVRANGE", b"ZREVRANGEBYSCORE"]), heap, number, number, st.just(b"withscores")),
    st.tuples(st.just(b"ZREVRANGEBYSCORE"), heap, bound, bound, st.just(b"LIMIT"), number, number),
    st.tuples(st.just(b"ZRANGE"), heap, bound, bound, st.just(b"BYSCORE"), st.sampled_from([b"REV", b"WITHSCORES"])),
    st.tuples(st.just(b"ZRANGE"), heap, bound, bound, st.just(b"byscore"), st.just(b"REV"), st.just(b"LIMIT"), number,
              number),
    st.tuples(st.sampled_from([b"EXPIRE", b"PEXPIRE"]), heap, number),
    st.tuples(st.just(b"ZRANGE"), heap, number, number, st.sampled_from([b"withscores", b"REV", b"byscore"])),
    st.tuples(st.just(b"ZRANGE"), heap, number, number, st.sampled_from([b"WITHSCORES", b"REV"]),
              st.sampled_from([b"rev", b"withscores"])),
    st.tuples(st.just(b"ZRANGEBYSCORE"), heap, bound, bound),
    st.tuples(st.just(b"ZRANGEBYSCORE"), heap, bound, bound, st.just(b"WITHSCORES"), st.just(b"limit"), number, number),
    st.tuples(st.sampled_from([b"HEXPIRE", b"HPEXPIRE", b"hexpireat", b"HPEXPIREAT"]), heap, st.one_of(number, moment),
              st.just(b"FIELDS"), count, member),
    st.tuples(st.sampled_from([b"HEXPIRE", b"HPEXPIRE"]), heap, number, st.sampled_from([b"NX", b"xx", b"GT", b"lt"]),
              st.just(b"fields"), st.just(b"2"), member, member),
    st.tuples(st.sampled_from([b"HTTL", b"HPTTL", b"HEXPIRETIME", b"HPEXPIRETIME", b"HGETEX"]), heap,
              st.just(b"FIELDS"), count, member),
    st.tuples(st.just(b"HGETEX"), heap, st.sampled_from([b"EX", b"PXAT"]), st.one_of(number, moment),
              st.just(b"FIELDS"), st.just(b"2"), member, member),
    st.tuples(st.just(b"HSETEX"), heap, st.sampled_from([b"EX", b"px"]), number, st.sampled_from([b"FNX", b"fxx"]),
              st.just(b"FIELDS"), count, member, word),
    st.tuples(st.sampled_from([b"SINTER", b"SUNION", b"SDIFF"]), heap, heap),
    st.tuples(st.sampled_from([b"SINTER", b"SDIFF"]), heap),
    st.tuples(st.just(b"SINTERCARD"), count, heap, heap, st.just(b"LIMIT"), number),
    st.tuples(st.just(b"SMOVE"), heap, heap, member),
    st.tuples(st.sampled_from([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), heap, heap, heap),
    st.tuples(st.sampled_from([b"SUNIONSTORE", b"SDIFFSTORE"]), key, heap),
    st.tuples(st.sampled_from([b"ZUNION", b"ZINTER", b"ZDIFF", b"ZINTERCARD"]), st.just(b"2"), heap, heap),
    st.tuples(st.sampled_from([b"ZUNION", b"ZINTER"]), st.just(b"2"), heap, heap, st.just(b"WEIGHTS"), fraction, score,
              st.sampled_from([b"withscores", b"WITHSCORES", b"x"])),
    st.tuples(st.sampled_from([b"ZUNION", b"ZINTER"]), st.just(b"1"), heap, st.just(b"aggregate"),
              st.sampled_from([b"MIN", b"max", b"sum", b"avg"]), st.just(b"WITHSCORES")),
    st.tuples(st.sampled_from([b"ZUNIONSTORE", b"ZINTERSTORE", b"ZDIFFSTORE"]), heap, count, heap, heap),
    st.tuples(st.sampled_from([b"ZUNIONSTORE", b"ZDIFFSTORE"]), key, st.just(b"1"), heap),
    st.tuples(st.just(b"ZINTERCARD"), count, heap, heap, st.just(b"LIMIT"), number),
    st.tuples(st.just(b"ZMPOP"), count, heap, st.sampled_from([b"MIN", b"max", b"x"])),
    st.tuples(st.just(b"ZMPOP"), st.just(b"2"), heap, heap, st.sampled_from([b"MIN", b"max"]), st.just(b"COUNT"),
              number),
    st.tuples(st.just(b"ZRANGESTORE"), heap, heap, number, number, st.sampled_from([b"REV", b"rev", b"BYSCORE"])),
    st.tuples(st.just(b"ZRANGESTORE"), key, heap, bound, bound, st.just(b"BYSCORE"), st.just(b"LIMIT"), number, number),
    st.tuples(st.just(b"HGETDEL"), heap, st.just(b"FIELDS"), count, member),
    st.tuples(st.just(b"HGETDEL"), heap, st.just(b"FIELDS"), st.just(b"2"), member, member),
    st.tuples(st.just(b"ZADD"), heap, st.sampled_from([b"NX", b"xx", b"Gt", b"LT", b"CH"]), st.just(b"incr"), score,
              member),
    st.tuples(st.just(b"ZSCAN"), heap, count),
    st.tuples(st.just(b"ZSCAN"), heap, count, st.sampled_from([b"COUNT", b"match"]), number),
    st.tuples(st.sampled_from([b"SRANDMEMBER", b"SPOP", b"HRANDFIELD", b"ZRANDMEMBER"]), heap),
    st.tuples(st.sampled_from([b"SRANDMEMBER", b"SPOP", b"HRANDFIELD", b"ZRANDMEMBER"]), heap, number),
    st.tuples(st.sampled_from([b"HRANDFIELD", b"ZRANDMEMBER"]), heap, number,
              st.sampled_from([b"WITHVALUES", b"withscores"])),
    st.tuples(st.sampled_from([b"ZPOPMIN", b"ZPOPMAX"]), heap),
    st.tuples(st.sampled_from([b"ZPOPMIN", b"ZPOPMAX"]), heap, number),
    st.tuples(st.sampled_from([b"ZRANGEBYLEX", b"ZREVRANGEBYLEX", b"ZLEXCOUNT", b"ZREMRANGEBYLEX"]), heap,
              st.sampled_from([b"-", b"+", b"[m", b"(n"]), st.sampled_from([b"-", b"+", b"[m", b"(n", b"x"])),
    st.tuples(st.sampled_from([b"HSCAN", b"SSCAN"]), heap, number, st.just(b"COUNT"), number),
    st.tuples(st.sampled_from([b"HSCAN", b"SSCAN"]), heap, st.just(b"0"), st.just(b"MATCH"),
              st.sampled_from([b"*", b"n*", b""])),
    st.tuples(st.just(b"INCREX"), key, st.sampled_from([b"UBOUND", b"lbound", b"BYINT"]), number,
              st.sampled_from([b"EX", b"px"]), number, st.sampled_from([b"ENX", b"SATURATE", b"nx", b"XX"])),
    st.tuples(st.just(b"INCREX"), key, st.just(b"SATURATE"), st.sampled_from([b"UBOUND", b"lbound"]), number),
    st.tuples(st.just(b"MSETEX"), count, key, word, st.sampled_from([b"EX", b"keepttl", b"NX"]), number),
    st.tuples(st.just(b"MSETEX"), st.just(b"2"), key, word, key, word, st.sampled_from([b"NX", b"KEEPTTL", b"xx"])),
    st.tuples(st.just(b"HINCRBYFLOAT"), heap, member, fraction),
    st.tuples(st.sampled_from([b"DEL", b"TTL", b"EXISTS"]), heap),
    st.tuples(st.just(b"EXPIRE"), heap, number, st.sampled_from([b"NX", b"xx", b"GT", b"lt"])),
    st.tuples(st.just(b"HSETEX"), heap, st.just(b"KEEPTTL"), st.just(b"FIELDS"), st.just(b"1"), member, word),
    st.tuples(st.sampled_from([b"MULTI", b"EXEC", b"DISCARD", b"UNWATCH"])),
    st.tuples(st.just(b"WATCH"), key),
    st.tuples(st.just(b"WATCH"), key, st.one_of(key, heap)),
    st.tuples(st.sampled_from([b"EXPIRE", b"PEXPIRE"]), key, number),
    st.tuples(st.just(b"SETNX"), key, word),
    st.tuples(st.just(b"SET"), key, word, st.sampled_from([b"KEEPTTL", b"GET", b"xx"]),
              st.sampled_from([b"GET", b"NX", b"keepttl"])),
    st.tuples(st.just(b"SET"), key, word, st.just(b"IFEQ"), word, st.sampled_from([b"GET", b"KEEPTTL"])),
    st.tuples(st.just(b"SET"), key, word, st.sampled_from([b"EXAT", b"PXAT"]), moment),
    st.tuples(st.sampled_from([b"GETSET", b"APPEND"]), key, word),
    st.tuples(st.sampled_from([b"MSET", b"MSETNX"]), key, word, key, word),
    st.tuples(st.sampled_from([b"GETRANGE", b"SUBSTR", b"BITCOUNT"]), key, number, number),
    st.tuples(st.sampled_from([b"SETRANGE", b"setbit"]), key, number, st.one_of(word, st.sampled_from([b"0", b"1"]))),
    st.tuples(st.sampled_from([b"GETBIT", b"SELECT"]), st.one_of(key, number), number),
    st.tuples(st.sampled_from([b"TYPE", b"TOUCH", b"EXPIRETIME", b"PEXPIRETIME", b"SELECT", b"BITCOUNT"]),
              st.one_of(key, number)),
    st.tuples(st.sampled_from([b"EXPIRE", b"PEXPIRE"]), key, number, st.sampled_from([b"NX", b"XX", b"gt", b"LT"])),
    st.tuples(st.sampled_from([b"EXPIREAT", b"PEXPIREAT"]), key, moment, st.sampled_from([b"NX", b"XX", b"gt", b"LT"])),
    st.tuples(st.just(b"GETEX"), key, st.sampled_from([b"EX", b"px", b"EXAT"]), number),
    st.lists(key, max_size=5).map(lambda keys: (b"MGET", *keys)),
)
odd = st.tuples(name, st.lists(st.one_of(key, word, option), max_size=6)).map(lambda both: (both[0], *both[1]))
command = st.one_of(likely, odd).map(lambda argv: request(*argv))
inline = st.one_of(
    st.text("GETSETaPINGx \t\"'\\nx41\0", max_size=24).map(str.encode),
    st.sampled_from([b"PING", b"set a 1 ex 9", b"get 'a'", b'SET a "\\x41\\n\\\\"', b"", b" ", b'get "a', b"ECHO ''"]),
).flatmap(lambda line: st.sampled_from([line + b"\r\n", line + b"\n", line + b"\r\r\n"]))
broken = st.one_of(
    st.binary(max_size=20),
    st.text("*$0123456789-\r\n+ x", max_size=20).map(str.encode),
    st.sampled_from(
        [
            b"*0\r\n", b"*-1\r\n", b"*1\r\n:1\r\n", b"*2147483647\r\n", b"*1\r\n$-1\r\n", b"*1\rX$4\rXPINGXX",
            b"*01\r\n", b"*1\r\n$04\r\nPING\r\n", b"*11\r\n", b"*1\r\n$16385\r\n", b"\r\n", b"*\r\n", b"$\r\n",
            b"*1\r\n\r\n",
            b"*1\r\n$0\r\n\r\n", b"*" + b"1" * 65_600, b"x" * 65_600, b"*1\r\n$" + b"1" * 65_600,
        ]
    ),
)  # fmt: skip
stream = st.lists(st.one_of(command, command, command, inline, broken), max_size=12).map(b"".join)

# -- what happens besides ---------------------------------------------------------------------------
record = st.builds(
    Record,
    db=st.integers(0, 1),
    key=key,
    value=st.one_of(st.none(), st.binary(max_size=80)),
    clock=st.integers(NOW - 3, NOW + 2_100).map(lambda ms: ms << 16),
    node=st.sampled_from([1, 2, SETTINGS.node, 2**64 - 1]),
    deadline_ms=st.one_of(st.integers(NOW - 5, NOW + 60), st.just(NOW + 10**6), st.just(2**63)),
    shadow_ms=st.sampled_from([0, NOW + 20, NOW + 90, NOW + 10**6, 2**62]),
    implicit=st.booleans(),
)


@dataclass(frozen=True, slots=True)
class Bytes:
    data: bytes
    cuts: list[int]
    writable: bool


@dataclass(frozen=True, slots=True)
class Payload:
    records: list[Record]
    rest: bytes


steps = st.lists(
    st.one_of(
        st.builds(Bytes, stream, st.lists(st.integers(0, 200), max_size=4), st.booleans()),
        st.one_of(st.integers(0, 40), st.integers(0, 3_000), st.integers(0, 10**7)),  # time passes
        st.builds(Payload, st.lists(record, max_size=4), st.binary(max_size=3)),
        st.sampled_from(["drain", "drain a little", "resume", "observe", "reconfigure", "reads off", "writes off"]),
    ),
    min_size=1,
    max_size=14,
)


@dataclass(slots=True)
class Side:
    """One engine with one connection, and all that was seen of it."""

    make: Callable[[Settings], Engine]
    limits: Settings
    now: int = NOW
    seen: list[object] = field(default_factory=list)
    expired: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    engine: Engine = field(init=False)
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.engine = self.make(self.limits)
        self.session = self.engine.session(self.dispatch)
        self.session.hot = self.session.trusted = True
        self.session.multi_keys_max, self.session.exec_bytes_max = 12, 300

    def dispatch(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        """What commands do to a session and an engine, in small."""
        self.seen.append((list(argv), session.db, session.proto, session.hot, session.trusted, session.retried))
        name, engine, target = argv[0].upper(), self.engine, argv[-1]
        if name in (b"SELECT0", b"SELECT1"):
            session.db = int(name[-1:])
        elif name in (b"RESP2", b"RESP3"):
            session.proto = int(name[-1:])
        elif name in (b"COOL", b"WARM"):
            session.hot = name == b"WARM"
        elif name in (b"GUARD", b"UNGUARD"):
            session.guard = engine.guard(PATTERNS) if name == b"GUARD" else None
        elif name == b"DOUBT":
            session.trusted = False
        elif name == b"WAIT" and not session.retried:
            return None
        elif name == b"FAIL":
            raise ValueError("a bug in a command")
        elif name == b"STORE":
            engine.store(session.db, target, b"stored" * len(argv), now_ms + 30, False, now_ms, b"rename")
        elif name == b"RETIME":
            engine.retime(session.db, target, now_ms + 50, False, now_ms, b"expire")
        elif name == b"DROP":
            self.seen.append(engine.let_go(session.db, target, now_ms, b"del"))
        elif name == b"QUIT":
            session.closing = True
        elif name == b"KEEP":
            session.hot, session.queue_keys_max = False, 1 + 3 * len(argv)
        elif name == b"TAKE":
            self.seen.append((session.queued, session.queued_bytes, session.take_queued(), session.queued))
        elif name == b"EXEC" and session.midway:
            session.midway = session.begun = False
            while (handed := engine.run_queued(session, now_ms, 300)) is not None:
                self.seen.append(handed)
                engine.say(b"+handed\r\n")
            session.drop_queued()
            session.hot, session.queue_keys_max = True, 0
        elif name == b"RUN":
            engine.say(b"*%d\r\n" % session.queued)
            while (handed := engine.run_queued(session, now_ms, 300)) is not None:
                self.seen.append(handed)
                engine.say(b"+handed\r\n")
            session.drop_queued()
            session.hot, session.queue_keys_max = True, 0
        entry = engine.lookup(session.db, target, now_ms)
        # How often a collection has changed each engine counts by itself: only that it has matters.
        self.seen.append(entry and entry._replace(version=0))
        return b"+cold %d\r\n" % len(argv)

    def hear(self, name: bytes, db: int, key: bytes) -> None:
        heard = (name, db, key)
        if name == EXPIRED:  # those of one call of `expire` come in no order
            insort(self.expired, heard)
        else:
            self.seen.append(heard)

    def feed(self, data: bytes, writable: bool) -> None:
        given: bytes | bytearray = bytearray(data) if writable else data
        try:
            reply = bytes(self.engine.feed(self.session, memoryview(given) if writable else given, self.now))
        except ValueError as error:
            self.seen.append(str(error))
        else:
            self.seen.append(reply)
        if writable:
            assert not any(given)
        session = self.session
        self.seen.append(
            (session.more, session.suspended, session.closing, session.retried, session.queued, session.defaulted)
        )
        self.seen.append((session.begun, session.midway, session.watched))

    def take(self, step: object) -> None:
        engine = self.engine
        match step:
            case Bytes(data, cuts, writable):
                places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
                for start, end in zip(places, [*places[1:], len(data)], strict=True):
                    self.feed(data[start:end], writable)
                for _ in range(200):
                    if not self.session.more:
                        break
                    self.feed(b"", False)
            case int():
                self.now += step
                for _ in range(6):
                    engine.expire(self.now, 1_000)
            case Payload(records, rest):
                self.seen.append(engine.merge(b"".join(map(pack, records)) + rest, self.now))
            case "drain":
                self.seen.append(engine.drain(1 << 20))
            case "drain a little":
                self.seen.append(engine.drain(1))
            case "resume":
                engine.resume(self.session)
                self.feed(b"", False)
            case "observe":
                engine.observer = self.hear
            case "reconfigure":
                limits = TIGHT if self.limits is SETTINGS else SETTINGS
                engine.configure(replace_limits(limits))
            case "reads off":
                engine.hot_reads = not engine.hot_reads
            case "writes off":
                engine.hot_writes = not engine.hot_writes

    def state(self) -> object:
        engine, now = self.engine, self.now
        found = [packed for db in (0, 1) for packed in engine.records(db)]
        kept = sorted((one for packed in found for one in unpack(packed)), key=lambda one: (one.db, one.key))
        counters = engine.counters()
        del counters["record_overhead_bytes"], counters["stub_bytes"]
        walks = [sorted(set(walk(engine, db, now))) for db in (0, 1)]
        return kept, counters, [engine.count(db, now) for db in range(DATABASES)], walks, engine.outbox_overflowed()


def replace_limits(limits: Settings) -> Settings:
    return limits._replace(default_ttl_ms=5_000, node=1, secret=b"-" * 16)


def walk(engine: Engine, db: int, now: int) -> list[bytes]:
    keys: list[bytes] = []
    cursor = 0
    for _ in range(10_000):
        step = engine.scan(db, cursor, 2, now)
        keys += step.keys
        cursor = step.cursor
        if not cursor:
            return keys
    raise AssertionError("a walk that does not end")


@dear.sampled(100, 400, st.sampled_from(LIMITS), st.booleans(), steps)
# closed with a command kept
@example(LIMITS[0], True, [Bytes(b"\0", [], False), Bytes(b'\nKEEP\r\nGET a\r\n"\r\n', [], False)])
# the bytes break the protocol in a transaction: its keys are watched no more
@example(LIMITS[0], True, [Bytes(b"MSET a 1\r\nWATCH a\r\nMULTI\r\nGET a\r\n*\r\0", [], False)])
@example(LIMITS[0], True, ["reads off", Bytes(b"SET a b GET\r\n", [], False)])  # it writes, and asks
@example(LIMITS[0], True, ["observe", Bytes(b"KEEP\r\nSET a b\r\nRUN\r\n", [], False)])  # what is heard of it, when
def test_both_engines_do_the_same(limits: Settings, trusted: bool, plan: list[object]) -> None:
    sides = [Side(make, limits) for make in ENGINES.values()]
    for side in sides:
        side.session.trusted = trusted
    pure, native = sides
    for step in plan:
        for side in sides:
            side.take(step)
        assert native.seen == pure.seen
        assert native.expired == pure.expired
        assert native.state() == pure.state()
        event(f"step: {type(step).__name__ if not isinstance(step, str) else step}")
    if native.session.closing:
        event("closed")
    if any(isinstance(one, bytes) and len(one) > 10 for one in native.seen):
        event("answered")
    for side in sides:
        run_out(side)
    assert ended(native.engine) == ended(pure.engine)


def ended(engine: Engine) -> dict[str, int]:
    return {
        name: count for name, count in engine.counters().items() if name not in ("record_overhead_bytes", "stub_bytes")
    }


def run_out(side: Side) -> None:
    """Lets everything come to its end."""
    for _ in range(40):
        side.now += 10**8
        while side.engine.expire(side.now, 1_000):
            pass
    assert side.engine.records(0) == side.engine.records(1) == []


@dear.sampled(
    60, 200,
    st.lists(st.one_of(likely, odd), min_size=1, max_size=12), st.integers(1, 8), st.sampled_from(LIMITS), st.booleans()
)
def test_what_is_kept_for_later_is_kept_and_run_alike(
    commands: list[tuple[bytes, ...]], room: int, limits: Settings, run: bool
) -> None:
    """KEEP, some commands of any kind and number of arguments, then RUN or TAKE: as MULTI, EXEC and a command that is
    not hot do.
    """
    sides = [Side(make, limits) for make in ENGINES.values()]
    data = (
        request(b"KEEP", *([b"x"] * room))
        + b"".join(request(*argv) for argv in commands)
        + request(b"RUN" if run else b"TAKE")
    )
    for side in sides:
        side.take(Bytes(data, [len(data) // 2], True))
    assert sides[0].seen == sides[1].seen
    assert sides[0].state() == sides[1].state()
    if any(isinstance(one, bytes) and b"+QUEUED" in one for one in sides[1].seen):
        event("kept")


@settings(max_examples=100, deadline=None)
@given(st.lists(stream, min_size=1, max_size=3).map(b"".join), st.sampled_from([*LIMITS, SMALL]))
def test_every_single_byte_alone_gives_the_same(data: bytes, limits: Settings) -> None:
    data = data[:3_000]
    sides = [Side(make, limits) for make in ENGINES.values()]
    for side in sides:
        for at in range(len(data)):
            side.feed(data[at : at + 1], True)
            while side.session.more:
                side.feed(b"", False)
    assert sides[0].seen == sides[1].seen
