"""Stubs of members: as small as those of keys, found by name, and no way back for what they remember."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from respram.engine import make
from respram.engine.api import Engine
from respram.engine.ids import identity, identity_by_name, point, point_by_name
from respram.engine.replication import Cut
from respram.record import HASH, MARKS, SET, ZSET, Record, member_key, pack, stub_name, unpack
from tests.engine.conftest import ENGINES
from tests.engine.test_stubs import DAY_MS, NOW, PEERED, SETTINGS, name

__all__ = ["name"]  # the fixture
FAR = Cut((NOW >> 10) + 100, 0)
KINDS = {HASH: b"hash", SET: b"set", ZSET: b"zset"}
SCORE = b"\0" * 8  # of a member of a sorted set


def add(engine: Engine, kind: int, field: bytes, value: bytes, now_ms: int, life_ms: int = DAY_MS) -> None:
    if engine.peek(0, KINDS[kind], now_ms) is None:
        engine.found(0, KINDS[kind], kind, NOW + DAY_MS, False, now_ms)
    engine.put_member(0, KINDS[kind], field, SCORE if kind == ZSET else value, now_ms + life_ms, now_ms)


def shown(engine: Engine, kind: int, now_ms: int) -> set[bytes]:
    found = engine.members(0, KINDS[kind], 0, 10_000, now_ms)
    return {one.name for one in found.members}


@pytest.mark.parametrize(("key_bytes", "name_bytes"), [(20, 10), (20, 36), (200, 500)])
def test_a_stub_of_a_member_takes_at_most_48_bytes_whatever_its_key_and_its_name(
    name: str, key_bytes: int, name_bytes: int
) -> None:
    if name == "pure":
        pytest.skip("Python's own objects are what they are")
    engine = make(name, SETTINGS)
    engine.track(7, NOW)
    key = b"k" * key_bytes
    engine.found(0, key, HASH, NOW + DAY_MS, False, NOW)
    engine.put_member(0, key, b"stays", b"v", None, NOW)
    before = engine.counters()
    for number in range(20_000):
        field = b"%0*d" % (name_bytes, number)
        engine.put_member(0, key, field, b"v" * 100, NOW + DAY_MS + number % 1_000, NOW)
        assert engine.let_go_member(0, key, field, NOW)
    after = engine.counters()
    assert after["stubs"] - before["stubs"] == 20_000
    assert after["stub_bytes"] - before["stub_bytes"] <= 48 * 20_000


def test_what_the_end_of_a_collection_leaves_of_its_members_is_as_small(name: str) -> None:
    if name == "pure":
        pytest.skip("Python's own objects are what they are")
    engine = make(name, SETTINGS)
    engine.track(7, NOW)
    for number in range(20_000):
        add(engine, HASH, b"a rather long name of a field, %08d" % number, b"v" * 100, NOW, 60_000)
    assert engine.let_go(0, KINDS[HASH], NOW + 1, b"del")
    while engine.expire(NOW + 1, 1_000):
        pass
    counts = engine.counters()
    assert counts["stubs"] == 20_001 and counts["records"] == 0
    assert counts["stub_bytes"] <= 48 * 20_001
    assert engine.digest(FAR, NOW + 1) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_was_let_go_of_by_name_does_not_come_back_from_who_was_away(name: str, kind: int) -> None:
    for other in ENGINES:
        knows, away = make(name, PEERED._replace(node=1)), make(other, PEERED._replace(node=2))
        for engine in (knows, away):
            engine.track(7, NOW)
        for number in range(100):
            add(knows, kind, b"m%d" % number, b"old", NOW)
        away.merge(knows.drain(1 << 20), NOW)
        for number in range(100):
            assert knows.let_go_member(0, KINDS[kind], b"m%d" % number, NOW + 10) is True
            if number % 10 == 0:
                add(away, kind, b"m%d" % number, b"young", NOW + 20)
        add(knows, kind, b"stays", b"v", NOW + 10)
        knows.drain(1 << 20)
        young = {b"m%d" % number for number in range(0, 100, 10)}
        dumped = knows.dump(0, 1 << 20, NOW + 20).payload
        assert sum(record.named for record in unpack(dumped)) == 100
        values = away.dump(0, 1 << 20, NOW + 20).payload
        assert away.merge(dumped, NOW + 30).refused == 0
        assert shown(away, kind, NOW + 30) == young | {b"stays"}
        assert away.merge(dumped, NOW + 30).new == 0
        knows.merge(values, NOW + 30)
        knows.merge(away.dump(0, 1 << 20, NOW + 30).payload, NOW + 30)
        assert shown(knows, kind, NOW + 30) == young | {b"stays"}
        assert knows.digest(FAR, NOW + 30) == away.digest(FAR, NOW + 30)
        fresh = make(other, PEERED._replace(node=3))
        fresh.track(7, NOW)
        fresh.merge(dumped, NOW + 30)
        fresh.merge(values, NOW + 30)
        assert shown(fresh, kind, NOW + 30) == young | {b"stays"}
        assert fresh.digest(FAR, NOW + 30) == away.digest(FAR, NOW + 30)


def test_a_cleared_member_has_the_id_that_it_had_whoever_has_wiped_it_already(name: str) -> None:
    knows, late = make(name, PEERED._replace(node=1)), make(name, PEERED._replace(node=2))
    for engine in (knows, late):
        engine.track(7, NOW)
    for number in range(50):
        add(knows, HASH, b"m%d" % number, b"v", NOW, 60_000 + 1_000 * (number % 3))
    late.merge(knows.drain(1 << 20), NOW)
    assert knows.let_go(0, KINDS[HASH], NOW + 10, b"del")
    late.merge(knows.drain(1 << 20), NOW + 10)
    assert knows.digest(FAR, NOW + 10) == late.digest(FAR, NOW + 10)
    while knows.expire(NOW + 10, 1_000):
        pass
    assert knows.counters()["records"] == 0 < late.counters()["records"]
    digests = {engine.digest(FAR, NOW + 10) for engine in (knows, late)}
    assert len(digests) == 1 and digests != {None}
    dumped = knows.dump(0, 1 << 20, NOW + 10).payload
    assert [record.shadow_ms for record in unpack(dumped) if record.db == 16] == [0] * 50
    assert late.merge(dumped, NOW + 10).new == 0, "it has them"
    add(knows, HASH, b"m1", b"again", NOW + 20)
    late.merge(knows.drain(1 << 20), NOW + 20)
    for engine in (knows, late):
        assert shown(engine, HASH, NOW + 20) == {b"m1"}
    while late.expire(NOW + 20, 1_000):
        pass
    assert knows.digest(FAR, NOW + 20) == late.digest(FAR, NOW + 20)
    for engine in (knows, late):
        while engine.expire(NOW + 64_000, 1_000):
            pass
        assert engine.counters()["stubs"] == 1, "the mark is remembered for longer"


def test_a_write_behind_the_stub_of_a_member_outranks_it_and_inherits_its_shadow(name: str) -> None:
    engine = make(name, PEERED)
    engine.track(7, NOW)
    add(engine, HASH, b"stays", b"v", NOW)
    add(engine, HASH, b"m", b"old", NOW)
    [old] = [record for record in unpack(engine.drain(1 << 20)) if record.key.endswith(b"m")]
    ahead = replace(old, value=None, clock=NOW + 1_500 << 16, node=9, deadline_ms=NOW, shadow_ms=old.deadline_ms)
    assert engine.merge(pack(ahead), NOW).new == 1
    assert shown(engine, HASH, NOW) == {b"stays"}
    add(engine, HASH, b"m", b"new", NOW + 1, 60_000)
    [new] = [record for record in unpack(engine.drain(1 << 20)) if record.key.endswith(b"m")]
    assert new.clock > ahead.clock and new.shadow_ms == old.deadline_ms
    assert engine.merge(pack(old) + pack(ahead), NOW + 2).new == 0
    assert shown(engine, HASH, NOW + 2) == {b"stays", b"m"} and engine.counters()["stubs"] == 0


def test_what_a_node_of_an_earlier_version_wrote_to_its_files_is_read(name: str) -> None:
    """There a stub of a member stands under its key."""
    engine = make(name, PEERED)
    engine.track(7, NOW)
    key = member_key(b"hash", b"m")
    old = Record(16, key, b"v", NOW << 16, 9, NOW + DAY_MS)
    let_go = Record(16, key, None, (NOW << 16) + 5, 9, NOW, NOW + DAY_MS)
    cleared = Record(16, member_key(b"hash", b"n"), None, NOW << 16, 9, NOW + DAY_MS)
    assert engine.merge(pack(let_go) + pack(cleared), NOW).new == 2
    assert engine.merge(pack(old) + pack(replace(cleared, value=b"v")), NOW).new == 0
    name_of = stub_name(16, cleared.key)
    [kept] = [record for packed in engine.records(16) for record in unpack(packed) if record.key == name_of]
    assert kept == replace(cleared, key=name_of, named=True)


def test_a_name_of_a_key_in_a_file_of_an_earlier_version_is_known(name: str) -> None:
    """It had two bits more of the hash."""
    engine = make(name, PEERED)
    engine.track(7, NOW)
    for number in range(64):
        key = b"key:%d" % number
        engine.store(0, key, b"v", NOW + DAY_MS, False, NOW, b"set")
        hashed = hashlib.blake2s(key, digest_size=16, salt=b"\0", person=b"stubname").digest()
        older = hashed[:-1] + bytes((hashed[-1] & 0xF0,))
        stub = Record(0, older, None, NOW + 1 + number << 16, 9, NOW + 1, NOW + DAY_MS, named=True)
        assert engine.merge(pack(stub), NOW + 2).new == 1 and engine.lookup(0, key, NOW + 2) is None
        assert [record.key for record in unpack(engine.fetch(0, key, NOW + 2))] == [key]


def test_no_name_says_two_things(name: str) -> None:
    engine = make(name, PEERED)
    engine.track(7, NOW)
    add(engine, HASH, b"m", b"v", NOW)
    add(engine, SET, b"m", b"v", NOW)
    of_hash = stub_name(16, member_key(b"hash", b"m"))
    later = Record(16, of_hash, None, NOW + 1 << 16, 9, NOW + 1, NOW + DAY_MS, named=True)
    for space in (17, 32, 48, MARKS, 80):
        assert engine.merge(pack(replace(later, db=space)), NOW + 2).malformed == 1
    assert engine.merge(pack(replace(later, key=b"short")), NOW + 2).malformed == 1
    assert engine.merge(pack(replace(later, db=0)), NOW + 2).new == 1  # of no key here
    assert shown(engine, HASH, NOW + 2) == shown(engine, SET, NOW + 2) == {b"m"}
    assert engine.merge(pack(replace(later, clock=later.clock + 1)), NOW + 2).new == 1
    assert not shown(engine, HASH, NOW + 2) and shown(engine, SET, NOW + 2) == {b"m"}


def test_the_id_and_the_point_of_a_member_come_from_its_name() -> None:
    key = member_key(b"hash", b"field")
    name = stub_name(19, key)
    assert name[-1] & 0x3F == 19 and name != stub_name(35, key) != stub_name(3, key)
    for shadow_ms in (0, 5):
        assert identity(7, 19, key, 1 << 40, 9, shadow_ms) == identity_by_name(7, name, 1 << 40, 9, shadow_ms)
    assert point(7, 19, key) == point_by_name(7, name)
    key, secret = member_key(b"set", b"m"), 0x0F0E0D0C0B0A0908
    assert identity(secret, 35, key, 1 << 40, 7, 0) == 0x0D15674B341C9FDD
    assert point(secret, 35, key) == 0xDD9A3078


WITHOUT_MEMORY = """
import resource
from respram.engine import make
from respram.engine.replication import Cut
from tests.engine.test_stubs import DAY_MS, NOW, SETTINGS
from respram.record import HASH

SLAB = 4_096  # stubs that are there before more memory is asked for
engine = make("native", SETTINGS)
engine.track(7, NOW)
engine.found(0, b"k", HASH, NOW + DAY_MS, False, NOW)
for number in range(SLAB + 50):
    engine.put_member(0, b"k", b"%d" % number, b"value", NOW + 60_000, NOW)
for number in range(SLAB - 1):
    assert engine.let_go_member(0, b"k", b"%d" % number, NOW)
assert engine.let_go(0, b"k", NOW, b"del")
used = int(open("/proc/self/statm").read().split()[0]) * 4096
digest = engine.digest(Cut((NOW >> 10) + 100, 0), NOW)
resource.setrlimit(resource.RLIMIT_AS, (used, resource.RLIM_INFINITY))
try:
    for _ in range(100):
        engine.expire(NOW, 1_000)
finally:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert engine.counters()["records"] == 0, "wiped all the same"
assert engine.counters()["stubs"] == SLAB + 51, engine.counters()["stubs"]
assert engine.digest(Cut((NOW >> 10) + 100, 0), NOW) == digest
engine.found(0, b"k", HASH, NOW + DAY_MS, False, NOW + 1)
engine.put_member(0, b"k", b"%d" % (SLAB + 20), b"again", None, NOW + 1)
assert [one.name for one in engine.members(0, b"k", 0, 100, NOW + 1).members] == [b"%d" % (SLAB + 20)]
while engine.expire(NOW + 2 * DAY_MS, 1_000):
    pass
assert engine.counters()["stubs"] == 0 and engine.digest(Cut((NOW >> 10) + 100, 0), NOW + 1) == (0, 0)
print("done")
"""


def test_without_memory_for_a_stub_a_cleared_member_is_wiped_and_remembered_as_a_record() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEMORY], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert ran.stdout == "done\n", ran.stderr


def test_a_member_that_ends_while_a_newer_one_comes_is_a_stub_or_a_record_and_never_both(name: str) -> None:
    """Where somebody watches, merging looks at what is there before it writes. The look ends a member whose time is up,
    and leaves a stub of it.
    """
    told: list[object] = []
    one, other = make(name, PEERED), make(name, PEERED._replace(node=PEERED.node + 1))
    for engine in (one, other):
        engine.track(7, NOW)
        engine.drain(1 << 20)
    one.observer = lambda *what: told.append(what)
    add(one, HASH, b"f", b"old", NOW, 20_000)
    add(one, HASH, b"g", b"stays", NOW)
    other.merge(one.drain(1 << 20), NOW)
    other.drain(1 << 20)
    add(one, HASH, b"f", b"short", NOW + 1, 5_000)  # the shadow of the longer life stays
    other.merge(one.drain(1 << 20), NOW + 1)
    later = NOW + 8_000
    add(other, HASH, b"f", b"new", later, 30_000)
    one.merge(other.drain(1 << 20), later)
    assert shown(one, HASH, later) == {b"f", b"g"} and told
    assert one.counters()["stubs"] == 0
    assert one.digest(FAR, later) == other.digest(FAR, later)
