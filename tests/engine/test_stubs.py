"""Stubs: none where nobody else can hold what was overwritten, else counted, and as memory that has a limit."""

import subprocess
import sys
from pathlib import Path

import pytest

from respram.engine import make
from respram.engine.api import Engine, Settings
from respram.engine.replication import Cut
from respram.record import DATABASES, HASH, MARKS, SET, unpack
from tests.engine.conftest import ENGINES

NOW = 1_800_000_000_000
DAY_MS = 86_400_000
SETTINGS = Settings(
    node=1, secret=b"0123456789abcdef", seed=5, default_ttl_ms=3_600_000, max_ttl_ms=31 * DAY_MS, memory_bytes_max=0,
    bulk_bytes_max=1 << 20,
    key_bytes_max=64 << 10,
    args_max=1 << 20, inline_bytes_max=1 << 16, query_bytes_max=1 << 30, clock_offset_ms_max=2_000,
    feed_commands_max=512,
    feed_reply_bytes_max=1 << 20, outbox_bytes_max=0,
)  # fmt: skip


PEERED = SETTINGS._replace(outbox_bytes_max=16 << 20)


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shorten(engine: Engine, keys: int) -> None:
    """Day-long values, overwritten for a second, retimed, let go: each would leave a stub."""
    for number in range(keys):
        key = b"session:%d" % number
        engine.store(0, key, b"v" * 100, NOW + DAY_MS, False, NOW, b"set")
        if number % 3 == 0:
            engine.store(0, key, b"w", NOW + 1_000, False, NOW, b"set")
        elif number % 3 == 1:
            engine.retime(0, key, NOW + 1_000, False, NOW, b"expire")
        else:
            assert engine.let_go(0, key, NOW, b"del")
            assert engine.lookup(0, key, NOW) is None


def forget(engine: Engine) -> None:
    for ms in range(0, 3_000, 10):
        while engine.expire(NOW + ms, 1_000) >= 1_000:
            pass


def test_a_node_that_is_alone_keeps_none(name: str) -> None:
    engine = make(name, SETTINGS)
    shorten(engine, 300)
    forget(engine)
    counts = engine.counters()
    assert (counts["stubs"], counts["stub_bytes"], counts["records"]) == (0, 0, 0)
    assert not engine.records(0)


def end_early(engine: Engine, key: bytes, how: str) -> None:
    """A day-long collection ends within a second."""
    engine.found(0, key, HASH, NOW + DAY_MS, False, NOW)
    own_ms = NOW + 2 * DAY_MS if how == "own" else None
    for number in range(5):
        engine.put_member(0, key, b"f%d" % number, b"v" * 20, own_ms, NOW)
    if how in ("let_go", "anew"):
        engine.let_go(0, key, NOW, b"del")
    if how in ("retime", "own"):
        engine.retime(0, key, NOW + 1_000, False, NOW, b"expire")
    if how in ("anew", "other"):
        engine.found(0, key, HASH if how == "anew" else SET, NOW + 1_000, False, NOW)
        engine.put_member(0, key, b"g", b"", None, NOW)
        assert [one.name for one in engine.members(0, key, 0, 9, NOW).members] == [b"g"]
    if how == "store":
        engine.store(0, key, b"v", NOW + 1_000, False, NOW, b"set")
    if how == "members":
        for number in range(4):
            engine.let_go_member(0, key, b"f%d" % number, NOW)
        engine.let_go(0, key, NOW, b"del")


WAYS = ("let_go", "anew", "retime", "own", "other", "store", "members")


@pytest.mark.parametrize("how", WAYS)
def test_a_node_that_is_alone_keeps_none_of_collections(name: str, how: str) -> None:
    engine = make(name, SETTINGS)
    for number in range(100):
        end_early(engine, b"session:%d" % number, how)
    forget(engine)
    counts = engine.counters()
    assert (counts["stubs"], counts["stub_bytes"], counts["records"]) == (0, 0, 0)
    assert not any(engine.records(space) for space in (0, HASH * DATABASES, SET * DATABASES, MARKS))
    end_early(engine, b"session:1", how)
    engine.let_go(0, b"session:1", NOW + 2_900, b"del")
    engine.found(0, b"session:1", HASH, NOW + 9_000, False, NOW + 2_900)
    assert not engine.members(0, b"session:1", 0, 9, NOW + 2_900).members, "no older member comes back"


@pytest.mark.parametrize("how", ["let_go", "anew", "retime", "other", "store"])
def test_who_comes_later_hears_nothing_of_what_was_cleared_before(name: str, how: str) -> None:
    """Members that wait to be wiped have no mark; a peer would show them."""
    engine, peer = make(name, SETTINGS), make(name, PEERED._replace(node=2))
    end_early(engine, b"k", how)
    now = NOW + 1_001
    engine.found(0, b"k", HASH, now + DAY_MS, False, now)
    engine.put_member(0, b"k", b"new", b"v", None, now)
    engine.track(7, now)
    engine.configure(PEERED)
    peer.track(7, now)
    payload = b"".join(b"".join(engine.records(space)) for space in (MARKS, 0, HASH * DATABASES, SET * DATABASES))
    assert peer.merge(payload, now).refused == 0
    for one in (engine, peer):
        assert [member.name for member in one.members(0, b"k", 0, 9, now).members] == [b"new"]


def test_who_can_have_peers_or_keeps_files_remembers_and_says_what_it_costs(name: str) -> None:
    for begin in (
        lambda engine: engine.track(7),
        lambda engine: engine.configure(SETTINGS._replace(outbox_bytes_max=1 << 20)),
    ):
        engine = make(name, SETTINGS)
        begin(engine)  # type: ignore[no-untyped-call]
        before = engine.used_bytes()
        shorten(engine, 300)
        forget(engine)
        engine.drain(1 << 30)
        counts = engine.counters()
        assert (counts["stubs"], counts["records"]) == (300, 0)
        grown = engine.used_bytes() - before
        assert 0.5 * grown <= counts["stub_bytes"] <= 1.5 * grown, (counts["stub_bytes"], grown)


def let_go_of(engine: Engine, keys: int, key_bytes: int = 16, life_ms: int = DAY_MS) -> None:
    """`life_ms` and up to a second more: what is let go of has a shadow of that."""
    for number in range(keys):
        key = b"%0*d" % (key_bytes, number)
        engine.store(0, key, b"v" * 100, NOW + life_ms + number % 1_000, False, NOW, b"set")
        assert engine.let_go(0, key, NOW, b"del")
    engine.drain(1 << 30)


@pytest.mark.parametrize("key_bytes", [16, 200])
def test_a_stub_of_the_native_engine_takes_at_most_48_bytes_whatever_its_key(name: str, key_bytes: int) -> None:
    if name == "pure":
        pytest.skip("Python's own objects are what they are")
    engine = make(name, SETTINGS)
    engine.track(7, NOW)
    let_go_of(engine, 100)
    engine.expire(NOW + 20_000, 1)  # nothing is due
    for keys in (1_000, 10_000, 50_000, 77_777):
        let_go_of(engine, keys, key_bytes)
        assert engine.counters()["stubs"] >= keys
        assert engine.counters()["stub_bytes"] <= 48 * engine.counters()["stubs"]
    before, stubs = engine.used_bytes(), engine.counters()["stubs"]
    let_go_of(engine, 140_000, key_bytes)
    grown = engine.used_bytes() - before
    assert grown <= 48 * (engine.counters()["stubs"] - stubs), grown / (engine.counters()["stubs"] - stubs)


def test_stubs_go_back_to_the_system_when_they_end(name: str) -> None:
    engine = make(name, SETTINGS)
    engine.track(7, NOW)
    empty = engine.used_bytes()
    let_go_of(engine, 20_000, life_ms=60_000)
    forgotten = 0
    while engine.counters()["stubs"]:
        forgotten += engine.expire(NOW + 70_000, 1_000)
        assert forgotten <= 100_000
    assert engine.used_bytes() <= empty + 8_192 and engine.next_due_ms(NOW + 70_000) is None
    assert engine.digest(Cut((NOW >> 10) + 100, 0), NOW + 70_000) == (0, 0)


def test_a_stub_stays_as_long_as_its_shadow_and_at_most_a_granule_longer(name: str) -> None:
    engine = make(name, SETTINGS)
    engine.track(7, NOW)
    let_go_of(engine, 1, life_ms=5_000)
    engine.expire(NOW + 4_999, 100)
    assert engine.counters()["stubs"] == 1
    due_ms = engine.next_due_ms(NOW + 4_999)
    while due_ms is not None and engine.counters()["stubs"]:
        assert due_ms <= NOW + 5_000 + 1_024
        engine.expire(due_ms, 100)
        due_ms = engine.next_due_ms(due_ms)
    assert engine.counters()["stubs"] == 0


def older_and_newer(engine_name: str) -> tuple[Engine, Engine]:
    """Who let go of 300 keys, and who was away and still has the older values, and younger ones of every tenth."""
    knows, away = (make(engine_name, PEERED._replace(node=node)) for node in (1, 2))
    for engine in (knows, away):
        engine.track(7, NOW)
    for number in range(300):
        knows.store(number % 3, b"key:%d" % number, b"old", NOW + DAY_MS, False, NOW, b"set")
    away.merge(knows.drain(1 << 20), NOW)
    for number in range(300):
        assert knows.let_go(number % 3, b"key:%d" % number, NOW + 10, b"del")
        if number % 10 == 0:
            away.store(number % 3, b"key:%d" % number, b"young", NOW + 90_000, False, NOW + 20, b"set")
    knows.drain(1 << 20)
    return knows, away


def shown(engine: Engine) -> set[bytes]:
    return {key for db in range(3) for key in engine.scan(db, 0, 10_000, NOW + 30).keys}


def test_a_stub_without_its_key_finds_the_older_value_by_name(name: str) -> None:
    young = {b"key:%d" % number for number in range(0, 300, 10)}
    for other in ENGINES:
        knows, away = older_and_newer(name)[0], older_and_newer(other)[1]
        stubs = knows.dump(0, 1 << 20, NOW + 20).payload
        assert all(record.named and record.value is None for record in unpack(stubs))
        heard: list[bytes] = []
        away.observer = lambda event, db, key, heard=heard: heard.append(key) if event == b"expired" else None
        assert away.merge(stubs, NOW + 30) == (270, 30, 0, 0, 0)
        assert shown(away) == young and len(heard) == 270 and set(heard).isdisjoint(young)
        assert away.merge(stubs, NOW + 30) == (0, 300, 0, 0, 0)
        knows.merge(away.dump(0, 1 << 20, NOW + 30).payload, NOW + 30)
        cut = Cut((NOW >> 10) + 100, 0)
        assert knows.digest(cut, NOW + 30) == away.digest(cut, NOW + 30)
        assert shown(knows) == young


def test_who_hears_of_the_stub_first_refuses_the_older_value(name: str) -> None:
    knows, away = older_and_newer(name)
    stubs, values = knows.dump(0, 1 << 20, NOW + 20).payload, away.dump(0, 1 << 20, NOW + 20).payload
    fresh = make(name, SETTINGS._replace(node=3))
    fresh.track(7, NOW)
    assert fresh.merge(stubs, NOW + 30).new == 300
    assert fresh.merge(values, NOW + 30) == (30, 270, 0, 0, 0)
    assert shown(fresh) == {b"key:%d" % number for number in range(0, 300, 10)}


def test_a_name_means_the_same_under_another_secret(name: str) -> None:
    """In a rotation, or from files of an enclave that has a new secret since."""
    knows, away = older_and_newer(name)
    other = make(name, SETTINGS._replace(node=3))
    other.track(8, NOW)
    other.merge(away.dump(0, 1 << 20, NOW + 20).payload, NOW + 20)
    assert other.merge(knows.dump(0, 1 << 20, NOW + 20).payload, NOW + 30) == (270, 30, 0, 0, 0)
    assert shown(other) == {b"key:%d" % number for number in range(0, 300, 10)}


def test_a_write_behind_a_stub_outranks_it_and_inherits_its_shadow(name: str) -> None:
    engine = make(name, SETTINGS)
    engine.track(7, NOW)
    late = make(name, PEERED._replace(node=2))
    late.track(7, NOW)
    late.store(0, b"k", b"old", NOW + DAY_MS, False, NOW + 900, b"set")
    old = late.drain(1 << 20)
    late.let_go(0, b"k", NOW + 1_500, b"del")
    engine.merge(late.drain(1 << 20), NOW)  # from a clock that is ahead
    engine.store(0, b"k", b"new", NOW + 60_000, False, NOW + 1, b"set")
    [record] = unpack(engine.fetch(0, b"k", NOW + 1))
    assert record.clock > NOW + 1_500 << 16 and record.shadow_ms == NOW + DAY_MS
    assert engine.counters()["stubs"] == 0
    assert engine.merge(old, NOW + 2).new == 0 and engine.lookup(0, b"k", NOW + 2) is not None


def test_stubs_count_towards_the_memory_limit(name: str) -> None:
    engine = make(name, SETTINGS)
    engine.track(7)
    shorten(engine, 3_000)
    forget(engine)
    assert engine.counters()["records"] == 0
    engine.configure(SETTINGS._replace(memory_bytes_max=engine.used_bytes() // 2))
    assert engine.full()


def test_what_was_written_before_the_first_peer_came_is_remembered_from_then_on(name: str) -> None:
    engine = make(name, SETTINGS)
    engine.store(0, b"k", b"old", NOW + DAY_MS, False, NOW, b"set")
    engine.track(7, NOW)
    engine.store(0, b"k", b"new", NOW + 1_000, False, NOW, b"set")
    forget(engine)
    assert engine.counters()["stubs"] == 1


WITHOUT_MEMORY = """
import resource
import sys
from respram.engine import make
from respram.record import DATABASES, HASH, MARKS, SET, unpack
from tests.engine.test_stubs import DAY_MS, NOW, SETTINGS, forget

SLAB = 4_096  # stubs that are there before more memory is asked for
engine = make("native", SETTINGS)
engine.track(7, NOW)
for number in range(SLAB + 50):
    engine.store(0, b"key:%d" % number, b"value", NOW + DAY_MS, False, NOW, b"set")
for number in range(SLAB):
    assert engine.let_go(0, b"key:%d" % number, NOW, b"del")
engine.drain(1 << 30)
engine.retime(0, b"key:4096", NOW + 1_000, False, NOW, b"expire")  # ends by itself
old = engine.dump(0, 1 << 30, NOW).payload
assert engine.counters()["stubs"] == SLAB
names = [b"key:%d" % number for number in range(SLAB, SLAB + 50)]
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used, resource.RLIM_INFINITY))
refused = kept = over = 0
try:
    for name in names[1:]:
        try:
            engine.let_go(0, name, NOW + 1, b"del")
        except MemoryError:
            refused += 1
            kept += engine.lookup(0, name, NOW + 1) is not None
    engine.expire(NOW + 1_500, 1_000)
    over = engine.lookup(0, names[0], NOW + 1_500) is None
    stubs = engine.counters()["stubs"]
finally:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert refused == kept == 49, (refused, kept)  # who is told that there is no memory still has the value
assert over and stubs == SLAB, (over, stubs)  # its time is over, stub or not
for ms in range(1_500, 4_000, 10):
    engine.expire(NOW + ms, 1_000)
assert engine.counters()["stubs"] == SLAB + 1, engine.counters()["stubs"]  # it was looked at again
engine.merge(old, NOW + 4_000)
assert engine.lookup(0, names[0], NOW + 4_000) is None
for name in names[1:]:
    assert engine.let_go(0, name, NOW + 4_000, b"del")
assert engine.counters()["stubs"] == SLAB + 50 and engine.counters()["records"] == 0
print("survived")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to know the size of the process")
def test_without_memory_for_a_stub_nothing_is_let_go_of_and_what_ends_is_remembered_later() -> None:
    """A slab of stubs is full, and the system gives no other."""
    if "native" not in ENGINES:
        pytest.skip("Python's own objects are what they are")
    done = subprocess.run([sys.executable, "-c", WITHOUT_MEMORY], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and done.stdout == "survived\n", done.stderr
