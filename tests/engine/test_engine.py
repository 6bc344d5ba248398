"""The engine's contract, on every engine there is: feed, suspension, budgets, time, merging."""

import mmap
import sys
from pathlib import Path

import pytest

from respram.engine.api import DRAFT_BYTES_MAX, Engine, Session
from respram.record import Record, pack, unpack

from .conftest import ENGINES
from .rig import NOW, SETTINGS, Cold, live, opened, request


def test_a_batch_is_answered_in_order(engine: Engine) -> None:
    session = open_session(engine)
    batch = request(b"SET", b"a", b"1", b"EX", b"5") + request(b"GET", b"a") + request(b"get", b"b")
    assert feed(engine, session, batch) == b"+OK\r\n$1\r\n1\r\n$-1\r\n"


def test_any_split_gives_the_same_replies(engine: Engine) -> None:
    batch = b"".join(
        (
            request(b"SET", b"k", b"x" * 300, b"PX", b"900"), b"PING\r\n", b"*0\r\n", b"\r\n",
            request(b"MGET", b"k", b"none"), b"get 'k'\r\n", request(b"TTL", b"k"), b"ECHO \"\\x41\\n\"\r\n",
        )
    )  # fmt: skip
    whole = feed(engine, open_session(engine), batch)
    assert whole.startswith(b"+OK\r\n+PONG\r\n*2\r\n$300\r\n")
    for size in (1, 2, 3, 7, 64):
        session = open_session(engine)
        pieces = [batch[at : at + size] for at in range(0, len(batch), size)]
        assert b"".join(feed(engine, session, piece) for piece in pieces) == whole, size


def test_a_protocol_error_is_answered_behind_what_came_before_and_closes(engine: Engine) -> None:
    for bad, text in (
        (b"*1\r\n:1\r\n", b"expected '$', got ':'"),
        (b"*1\r\n\r\n", b"expected '$', got ' '"),
        (b"*1\r\n$-5\r\n", b"invalid bulk length"),
        (b"*1\r\n$99999999999\r\n", b"invalid bulk length"),
        (b"*2147483647\r\n", b"invalid multibulk length"),
        (b"*x\r\n", b"invalid multibulk length"),
        (b"GET 'a\r\n", b"unbalanced quotes in request"),
        (b"a" * 70_000, b"too big inline request"),
        (b"a\0\r\n" + b"b" * 70_000 + b"\r\n", b"too big inline request"),
        (b"*1\0\r\n" + b"b" * 70_000 + b"\r\n", b"too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 70_000 + b"\r\n", b"invalid bulk length"),
        (b"*1\r\n" + b"x" * 70_000 + b"\r\n", b"expected '$', got 'x'"),
        (b"*" + b"1" * 70_000 + b"\r\n", b"invalid multibulk length"),
        (b"*" + b"1" * 70_000, b"too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 70_000, b"too big bulk count string"),
    ):
        session = open_session(engine)
        assert feed(engine, session, b"PING\r\n" + bad) == b"+PONG\r\n-ERR Protocol error: " + text + b"\r\n"
        assert session.closing
        assert feed(engine, session, b"PING\r\n") == b""


def test_a_nul_hides_the_end_of_its_line_and_a_whole_line_may_be_long(engine: Engine) -> None:
    """As in Redis, which looks for the end as C looks through a string: nothing is cut off, nothing runs."""
    for hidden in (
        b"*1\r\n\0\r\n",
        b"*1\0\r\n$4\r\nPING\r\n",
        b"PING\0\r\nPING\r\n",
        b"*1\r\n$4\0\r\nPING\r\n",
        b"'\0'\r\n",
    ):
        for pieces in ([hidden], [hidden[at : at + 1] for at in range(len(hidden))]):
            session = open_session(engine)
            assert b"".join(feed(engine, session, piece) for piece in pieces) == b"" and not session.closing
    cold = Cold()
    long = open_session(engine, cold)
    feed(engine, long, b"PING " + b"a" * 70_000 + b"\r\n")
    assert not long.closing and (cold.seen or long.buffered_bytes == 0)


def test_the_unauthenticated_get_small_limits_until_they_are_trusted(engine: Engine) -> None:
    session = open_session(engine)
    session.trusted = session.hot = False
    assert feed(engine, session, b"*11\r\n") == b"-ERR Protocol error: unauthenticated multibulk length\r\n"
    session = open_session(engine)
    session.trusted = session.hot = False
    assert feed(engine, session, b"*1\r\n$16385\r\n") == b"-ERR Protocol error: unauthenticated bulk length\r\n"
    cold = Cold()
    session = open_session(engine, cold)
    session.trusted = session.hot = False
    cold.trusting = b"AUTH"
    batch = request(b"AUTH", b"x") + request(b"ECHO", b"y" * 20_000)
    assert len(feed(engine, session, batch)) > 20_000


def test_what_is_not_hot_goes_to_dispatch_in_order(engine: Engine) -> None:
    cold = Cold()
    session = open_session(engine, cold)
    batch = request(b"SET", b"a", b"1") + request(b"RENAME", b"a", b"2") + request(b"GET", b"a")
    assert feed(engine, session, batch) == b"+OK\r\n+cold\r\n$1\r\n1\r\n"
    assert cold.seen == [[b"RENAME", b"a", b"2"]]


def test_fast_paths_decline_what_they_do_not_know(engine: Engine) -> None:
    cold = Cold()
    session = open_session(engine, cold)
    feed(engine, session, request(b"SET", b"n", b"x", b"EX", b"9"))
    odd = [
        [b"SET", b"a", b"1", b"EX", b"0"], [b"SET", b"a", b"1", b"EX", b"1", b"PX", b"1"], [b"SET", b"a"],
        [b"SET", b"a", b"1", b"KEEPTTL", b"EX", b"9"], [b"SET", b"a", b"1", b"EX"], [b"SETEX", b"a", b"x", b"1"],
        [b"GET"], [b"GET", b"a", b"b"], [b"INCR", b"n"], [b"INCRBY", b"m", b"9223372036854775808"],
        [b"SET", b"a", b"1", b"PX", b"99999999999999"], [b"MGET"], [b"PING", b"a", b"b"], [b"TTL"],
        [b"SET", b"a", b"1", b"NX", b"XX"], [b"SET", b"a", b"v" * ((1 << 20) + 1), b"EX", b"9"],
        [b"DECRBY", b"m", b"-9223372036854775808"], [b"SET", b"a", b"1", b"EX", b"+5"],
        [b"SET", b"a", b"1", b"IFEQ", b"x", b"NX"], [b"SET", b"a", b"", b"PX", b"1"],
        [b"SET", b"a", b"1", b"PXAT", b"1"],
        [b"GETSET", b"a"], [b"MSET", b"a", b"1", b"b"], [b"MSETNX", b"a"], [b"APPEND", b"n", b"v" * DRAFT_BYTES_MAX],
        [b"GETRANGE", b"n", b"0", b"x"], [b"SETRANGE", b"n", b"-1", b"x"],
        [b"SETRANGE", b"n", b"%d" % DRAFT_BYTES_MAX, b"x"],
        [b"SETBIT", b"n", b"0", b"2"], [b"SETBIT", b"n", b"-1", b"1"], [b"GETBIT", b"n", b"x"],
        [b"BITCOUNT", b"n", b"0"],
        [b"BITCOUNT", b"n", b"0", b"1", b"BITS"], [b"EXPIRE", b"n", b"9", b"NX", b"GT"], [b"EXPIREAT", b"n", b"5"],
        [b"SELECT", b"16"], [b"SELECT", b"x"], [b"DBSIZE", b"x"], [b"TYPE"], [b"GETEX", b"n", b"PERSIST"],
    ]  # fmt: skip
    for argv in odd:
        assert feed(engine, session, request(*argv)) == b"+cold\r\n", argv
    assert cold.seen == odd
    assert live(engine, 0) == {b"n": b"x"}


def test_nothing_is_fast_while_the_session_or_the_engine_forbids_it(engine: Engine) -> None:
    cold = Cold()
    session = open_session(engine, cold)
    session.hot = False
    feed(engine, session, request(b"PING"))
    session.hot = True
    engine.hot_writes = False
    feed(engine, session, request(b"SET", b"a", b"1") + request(b"GET", b"a"))
    engine.hot_writes, engine.hot_reads = True, False
    feed(engine, session, request(b"GET", b"a") + request(b"PING"))
    assert [argv[0] for argv in cold.seen] == [b"PING", b"SET", b"GET"]


def test_a_suspended_command_runs_again_and_the_rest_waits(engine: Engine) -> None:
    cold = Cold()
    session = open_session(engine, cold)
    cold.suspend_once = b"WAIT"
    batch = request(b"PING") + request(b"WAIT", b"1", b"0") + request(b"SET", b"a", b"1")
    assert feed(engine, session, batch) == b"+PONG\r\n"
    assert (session.suspended, session.retried) == (True, False)
    assert feed(engine, session, request(b"GET", b"a")) == b""
    engine.resume(session)
    assert (session.suspended, session.retried) == (False, True)
    assert feed(engine, session, b"") == b"+cold\r\n+OK\r\n$1\r\n1\r\n"
    assert (session.suspended, session.retried) == (False, False)
    assert [argv[0] for argv in cold.seen] == [b"WAIT", b"WAIT"]


def test_a_long_batch_stops_at_its_budget_and_goes_on(engine: Engine) -> None:
    session = open_session(engine)
    count = SETTINGS.feed_commands_max * 2 + 5
    reply = feed(engine, session, request(b"PING") * count)
    turns = 1
    while session.more:
        reply += feed(engine, session, b"")
        turns += 1
        assert turns < 10
    assert reply == b"+PONG\r\n" * count
    assert turns == 3


def test_a_reply_budget_stops_the_batch_too(engine: Engine) -> None:
    session = open_session(engine)
    feed(engine, session, request(b"SET", b"a", b"x" * 100_000, b"EX", b"9"))
    first = feed(engine, session, request(b"GET", b"a") * 100)
    assert session.more
    assert len(first) <= SETTINGS.feed_reply_bytes_max + 200_000


def test_closing_in_a_batch_drops_what_follows(engine: Engine) -> None:
    cold = Cold()
    session = open_session(engine, cold)
    cold.closing = b"QUIT"
    assert feed(engine, session, request(b"QUIT") + request(b"SET", b"a", b"1")) == b"+cold\r\n"
    assert feed(engine, session, request(b"PING")) == b""
    assert live(engine, 0) == {}


def test_the_receive_buffer_is_wiped(engine: Engine) -> None:
    session = open_session(engine)
    buffer = bytearray(request(b"SET", b"a", b"secret", b"EX", b"9") + b"*2\r\n$3\r\nGE")
    engine.feed(session, memoryview(buffer), NOW)
    assert not any(buffer)
    assert feed(engine, session, b"T\r\n$1\r\na\r\n") == b"$6\r\nsecret\r\n"


def test_at_its_deadline_a_key_cannot_be_seen_by_anything(engine: Engine) -> None:
    """Invariant 2, without anything having been destroyed."""
    session = open_session(engine)
    feed(engine, session, request(b"SET", b"a", b"1", b"PX", b"100") + request(b"SET", b"b", b"1", b"PX", b"101"))
    end = NOW + 100
    assert feed(engine, session, request(b"GET", b"a"), end - 1) == b"$1\r\n1\r\n"
    assert feed(engine, session, request(b"GET", b"a"), end) == b"$-1\r\n"
    assert feed(engine, session, request(b"MGET", b"a", b"b"), end) == b"*2\r\n$-1\r\n$1\r\n1\r\n"
    assert feed(engine, session, request(b"EXISTS", b"a", b"b"), end) == b":1\r\n"
    assert feed(engine, session, request(b"PTTL", b"a") + request(b"TTL", b"a"), end) == b":-2\r\n:-2\r\n"
    assert feed(engine, session, request(b"STRLEN", b"a"), end) == b":0\r\n"
    assert engine.lookup(0, b"a", end) is None
    assert engine.peek(0, b"a", end) is None
    assert not engine.retime(0, b"a", end + 50, False, end, b"expire")
    assert engine.count(0, end) == 1
    assert engine.scan(0, 0, 100, end).keys == [b"b"]
    assert engine.sample(0, 12345, end) == b"b"


def test_expiry_destroys_without_being_asked_and_within_its_slot(engine: Engine) -> None:
    for number in range(1000):
        engine.store(number % 16, b"%d" % number, b"v", NOW + 1 + number, False, NOW, b"set")
    assert engine.counters()["records"] == 1000
    now = NOW
    while now < NOW + 1100:
        now += 16
        while engine.expire(now, 100) >= 100:
            pass
        left = engine.counters()["records"]
        assert left <= max(0, 1000 - (now - NOW) + 16), now - NOW
        assert left >= 1000 - (now - NOW)
    assert engine.counters()["records"] == 0
    assert engine.next_due_ms(now) is None
    assert engine.counters()["expired"] == 1000


def test_expiry_heeds_its_budget(engine: Engine) -> None:
    for number in range(5000):
        engine.store(0, b"%d" % number, b"v", NOW + 50, False, NOW, b"set")
    assert engine.expire(NOW + 49, 100) < 100
    assert 0 < engine.expire(NOW + 100, 100) <= 128
    assert engine.counters()["records"] >= 4872
    assert engine.count(0, NOW + 100) == 0


def test_records_of_every_distance_expire_in_their_time(engine: Engine) -> None:
    ends = [NOW + 7 * 3**power for power in range(18)]
    for number, end in enumerate(ends):
        engine.store(0, b"%d" % number, b"v", end, False, NOW, b"set")
    for number, end in enumerate(ends):
        assert engine.peek(0, b"%d" % number, end - 1) is not None
        while engine.expire(end + 16, 1000):
            pass
        assert engine.counters()["records"] == len(ends) - 1 - number, end - NOW


def test_a_shorter_overwrite_leaves_a_stub_and_then_nothing(engine: Engine) -> None:
    engine.store(0, b"k", b"old", NOW + 10_000, False, NOW, b"set")
    engine.store(0, b"k", b"new", NOW + 100, False, NOW + 1, b"set")
    (packed,) = engine.records(0)
    assert next(unpack(packed)).shadow_ms == NOW + 10_000
    engine.expire(NOW + 200, 100)
    (packed,) = engine.records(0)
    stub = next(unpack(packed))
    assert stub.value is None
    assert engine.count(0, NOW + 200) == 0
    assert engine.lookup(0, b"k", NOW + 200) is None
    now = NOW + 200
    while now < NOW + 10_000 + 1_024:
        now += 500
        engine.expire(now, 100)
    assert engine.records(0) == []
    assert engine.counters()["stubs"] == 0


def test_a_longer_overwrite_leaves_no_shadow(engine: Engine) -> None:
    engine.store(0, b"k", b"old", NOW + 100, False, NOW, b"set")
    engine.store(0, b"k", b"new", NOW + 10_000, False, NOW + 1, b"set")
    assert next(unpack(engine.records(0)[0])).shadow_ms == 0


def test_an_overwritten_value_does_not_come_back_from_a_peer(engine: Engine) -> None:
    """Invariant 6 at its smallest."""
    engine.store(0, b"k", b"old", NOW + 10_000, False, NOW, b"set")
    old = engine.records(0)[0]
    engine.store(0, b"k", b"new", NOW + 100, False, NOW + 1, b"set")
    engine.expire(NOW + 200, 100)
    assert engine.merge(old, NOW + 300).known == 1
    assert engine.lookup(0, b"k", NOW + 300) is None


def test_merging_refuses_what_cannot_be_and_counts_it(engine: Engine) -> None:
    good = Record(3, b"k", b"v", NOW << 16, 7, NOW + 500)
    far = SETTINGS.max_ttl_ms + SETTINGS.clock_offset_ms_max + 1
    fast_clock = NOW + SETTINGS.clock_offset_ms_max + 1
    bad = [
        Record(3, b"a", b"v", NOW << 16, 7, NOW + far),
        Record(3, b"b", b"v", fast_clock << 16, 7, NOW + 500),
        Record(3, b"c", b"v", NOW << 16, 7, NOW + 500, NOW + 3_651 * 86_400_000 + 1),  # no node's TTL is longer
    ]
    merged = engine.merge(b"".join(map(pack, [*bad, good])) + b"\x00\x01", NOW)
    assert merged == (1, 0, 3, 1, 0)
    assert live(engine, 3) == {b"k": b"v"}
    entry = engine.lookup(3, b"k", NOW)
    assert entry is not None and (entry.deadline_ms, entry.clock, entry.node) == (NOW + 500, NOW << 16, 7)


def test_a_refused_stamp_does_not_move_the_clock(engine: Engine) -> None:
    engine.merge(pack(Record(0, b"k", b"v", (NOW + 10**9) << 16, 7, NOW + 500)), NOW)
    engine.store(0, b"k", b"v", NOW + 500, False, NOW, b"set")
    entry = engine.peek(0, b"k", NOW)
    assert entry is not None and entry.clock == NOW << 16


def test_the_outbox_hands_over_the_newest_version_once(engine: Engine) -> None:
    for value in (b"1", b"2", b"3"):
        engine.store(0, b"a", value, NOW + 500, False, NOW, b"set")
        engine.store(1, b"b", value, NOW + 500, True, NOW, b"set")
    records = list(unpack(engine.drain(1 << 20)))
    assert [(one.db, one.key, opened(one), one.implicit) for one in records] == [
        (0, b"a", b"3", False),
        (1, b"b", b"3", True),
    ]
    assert engine.drain(1 << 20) == b""


def test_an_outbox_that_overflows_says_so_and_stays_small(engine: Engine) -> None:
    count = SETTINGS.outbox_bytes_max // 1000
    for number in range(count * 2):
        engine.store(0, b"%d" % number, b"x" * 1000, NOW + 500, False, NOW, b"set")
    assert engine.outbox_overflowed()
    assert not engine.outbox_overflowed()
    assert len(engine.drain(1 << 30)) <= SETTINGS.outbox_bytes_max + 2000


def test_memory_is_counted_and_given_back(engine: Engine) -> None:
    empty = engine.used_bytes()
    for number in range(1000):
        engine.store(0, b"%d" % number, b"x" * 1000, NOW + 50, False, NOW, b"set")
    engine.drain(1 << 30)
    full = engine.used_bytes()
    assert full - empty >= 1_000_000
    while engine.expire(NOW + 100, 500):
        pass
    assert engine.used_bytes() - empty < 200_000


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    ("text", "times", "kept"),
    [(b"GET" + b" " * 60_000 + b"k\r\n", 300, 300), (request(b"PING", *[b""] * 1_000), 1_000, 0)],
)
def test_what_is_kept_takes_few_pages_more_than_it_counts(engine: Engine, text: bytes, times: int, kept: int) -> None:
    """A line of blanks, or arguments that are empty, hold no bytes; 32 MiB of them may be kept."""

    def resident_mib() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE / 2**20

    session = engine.session(lambda session, argv, now_ms: b"+cold\r\n")
    session.hot, session.trusted, session.queue_keys_max = False, True, 1 << 17
    before = resident_mib()
    for _ in range(times):
        engine.feed(session, text, NOW)
    assert (session.queued, session.queued_bytes) == (kept, 4 * kept)
    assert resident_mib() - before < 8


def test_a_full_engine_declines_writes_and_still_reads(engine: Engine) -> None:
    cold = Cold()
    session = open_session(engine, cold)
    feed(engine, session, request(b"SET", b"a", b"1", b"EX", b"9"))
    engine.configure(SETTINGS._replace(memory_bytes_max=1))
    assert engine.full()
    batch = request(b"SET", b"b", b"1") + request(b"INCR", b"a") + request(b"GET", b"a")
    assert feed(engine, session, batch) == b"+cold\r\n+cold\r\n$1\r\n1\r\n"
    engine.configure(SETTINGS)
    assert not engine.full()


def test_the_observer_hears_of_new_keys_writes_and_ends(engine: Engine) -> None:
    heard: list[tuple[bytes, int, bytes]] = []
    engine.observer = lambda event, db, key: heard.append((event, db, key))
    engine.store(2, b"k", b"v", NOW + 100, False, NOW, b"rename")
    engine.retime(2, b"k", NOW + 50, False, NOW, b"expire")
    engine.merge(pack(Record(2, b"p", b"v", NOW << 16, 7, NOW + 60)), NOW)
    engine.expire(NOW + 300, 100)
    assert heard[:5] == [
        (b"new", 2, b"k"), (b"rename", 2, b"k"), (b"expire", 2, b"k"), (b"new", 2, b"p"), (b"set", 2, b"p"),
    ]  # fmt: skip
    assert sorted(heard[5:]) == [(b"expired", 2, b"k"), (b"expired", 2, b"p")]


def test_what_was_let_go_is_missing_at_once_and_its_shadow_covers_all_that_it_replaced(engine: Engine) -> None:
    heard: list[tuple[bytes, int, bytes]] = []
    engine.store(0, b"k", b"long", NOW + 90_000, False, NOW, b"set")
    (first,) = engine.records(0)
    engine.store(0, b"k", b"short", NOW + 100, False, NOW, b"set")
    engine.observer = lambda event, db, key: heard.append((event, db, key))
    assert engine.let_go(0, b"k", NOW + 1, b"del")
    assert heard == [(b"del", 0, b"k")]
    assert engine.lookup(0, b"k", NOW + 1) is None and engine.count(0, NOW + 1) == 0
    assert engine.scan(0, 0, 10, NOW + 1).keys == []
    assert not engine.let_go(0, b"k", NOW + 1, b"del") and not engine.let_go(0, b"never", NOW + 1, b"del")
    (stub,) = unpack(engine.records(0)[0])
    assert (stub.value, stub.deadline_ms, stub.shadow_ms) == (None, NOW + 1, NOW + 90_000)
    assert engine.merge(first, NOW + 2).new == 0 and engine.lookup(0, b"k", NOW + 2) is None
    engine.store(0, b"k", b"again", NOW + 60, False, NOW + 3, b"set")
    assert engine.lookup(0, b"k", NOW + 3) is not None
    assert heard[1:] == [(b"new", 0, b"k"), (b"set", 0, b"k")]
    engine.expire(NOW + 100_000, 100)
    assert engine.records(0) == []


def test_who_hears_of_a_letting_go_forgets_too_and_in_any_order() -> None:
    for make in ENGINES.values():
        writer, before, after = (make(SETTINGS) for _ in range(3))
        writer.store(0, b"k", b"v", NOW + 90_000, False, NOW, b"set")
        value = writer.drain(1 << 20)
        writer.let_go(0, b"k", NOW + 5, b"del")
        gone = writer.drain(1 << 20)
        assert before.merge(value + gone, NOW - 400).new == 2  # its clock is late
        assert (after.merge(gone, NOW + 9).new, after.merge(value, NOW + 9).known) == (1, 1)
        assert before.lookup(0, b"k", NOW - 400) is None and after.lookup(0, b"k", NOW + 9) is None
        assert writer.records(0) == before.records(0) == after.records(0)


@pytest.mark.parametrize("plain", [0, 512])
def test_a_session_closed_by_what_its_commands_cause_runs_no_more_of_them(engine: Engine, plain: int) -> None:
    """A client that takes nothing may be closed by the news of its own writes. With 512 commands before, all this is in
    what an earlier call left over.
    """
    cold = Cold()
    session = open_session(engine, cold)
    engine.observer = lambda event, db, key: engine.close(session)
    batch = (
        request(b"PING") * plain
        + request(b"SET", b"a", b"1")
        + request(b"RENAME", b"x" * 5_000, b"y")
        + request(b"SET", b"b", b"1")
    )
    assert feed(engine, session, batch) == b"+PONG\r\n" * plain + b"+OK\r\n" * (not plain)
    assert feed(engine, session, b"") == b"+OK\r\n" * (plain > 0)
    assert session.closing and session.buffered_bytes == 0 and feed(engine, session, request(b"PING")) == b""
    assert cold.seen == [] and engine.counters()["records"] == 1


def test_a_scan_returns_every_key_that_lives_throughout(engine: Engine) -> None:
    lasting = {b"last:%d" % number for number in range(3000)}
    for key in lasting:
        engine.store(0, key, b"v", NOW + 10**6, False, NOW, b"set")
    seen: list[bytes] = []
    cursor, number = 0, 0
    while True:
        step = engine.scan(0, cursor, 20, NOW + number)
        seen += step.keys
        cursor = step.cursor
        for _ in range(50):  # grows the table and lets keys die in mid-walk
            number += 1
            engine.store(0, b"new:%d" % number, b"v", NOW + number + 40, False, NOW + number, b"set")
        engine.expire(NOW + number, 30)
        if not cursor:
            break
        assert number < 10**6
    assert lasting <= set(seen)


def feed(engine: Engine, session: Session, data: bytes, now_ms: int = NOW) -> bytes:
    return bytes(engine.feed(session, data, now_ms))


def open_session(engine: Engine, cold: Cold | None = None) -> Session:
    session = engine.session(cold or Cold())
    session.hot = session.trusted = True
    return session
