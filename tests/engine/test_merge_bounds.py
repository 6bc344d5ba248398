"""Both engines at each bound of what a peer may send: one below it, on it, one above it, and every header there can be.

Random records seldom lie on a bound, and what is off by one there is found by no other test.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from respram.engine.api import Engine, Merged, Settings
from respram.engine.pure.merge import SHADOW_MS_MAX
from respram.engine.replication import Cut
from respram.gossip.agreement import cut_to
from respram.gossip.policy import Terms
from respram.record import (
    DATABASES,
    HASH,
    HEADER,
    KIND_SHIFT,
    MARKS,
    SCRIPTS,
    SET,
    Record,
    member_key,
    pack,
    stub_name,
    unpack,
)
from respram.stamp import from_ms

from .conftest import ENGINES, PURE_ONLY
from .rig import NOW, SETTINGS

pytestmark = pytest.mark.skipif(PURE_ONLY, reason="there is one engine: nothing to compare")

IDS_KEY = 0x1234567890ABCDEF
WHOLE = Cut(stamp=(NOW >> 10) + 100, end=0)
LATEST_MS = NOW + SETTINGS.clock_offset_ms_max
HORIZON_MS = LATEST_MS + SETTINGS.max_ttl_ms
REMEMBERED_MS = NOW + SHADOW_MS_MAX
PAYLOAD = bytes(64)  # behind a header: key, value, shadow and seal in any lengths


class Side:
    """An engine, and all that can be seen of it."""

    def __init__(self, name: str, settings: Settings, tracked: bool) -> None:
        self.events: list[tuple[bytes, int, bytes]] = []
        self.engine: Engine = ENGINES[name](settings)
        self.engine.observer = lambda *told: self.events.append(told)
        self.tracked = tracked
        if tracked:
            self.engine.track(IDS_KEY)

    def state(self, now: int) -> tuple[object, ...]:
        engine = self.engine
        records = [sorted(map(bytes, engine.records(db))) for db in range(0, SCRIPTS + 1, DATABASES)]
        digest = engine.digest(WHOLE, now) if self.tracked else None
        counts = engine.counters()
        return records, digest, engine.last_clock(), counts["stubs"], counts["records"], self.events


def sides(settings: Settings = SETTINGS, tracked: bool = True) -> list[Side]:
    return [Side(name, settings, tracked) for name in ENGINES]


def same(both: list[Side], payload: bytes, now: int = NOW) -> Merged:
    pure, native = (side.engine.merge(payload, now) for side in both)
    assert pure == native, payload.hex()
    return pure


def around(*bounds: int) -> list[int]:
    return [bound + step for bound in bounds for step in (-1, 0, 1)]


def forms(number: int) -> Iterator[Record]:
    """One record of each kind under keys of their own."""
    key = b"key:%d" % number
    plain = Record(0, key, b"value", from_ms(NOW - 5_000), 7, NOW + 60_000)
    yield plain
    yield replace(plain, value=None)
    yield replace(plain, key=stub_name(0, key), value=None, named=True, shadow_ms=NOW + 60_000)
    yield replace(plain, key=key + b"h", value=b"", kind=1)
    yield replace(plain, db=DATABASES, key=member_key(key + b"h", b"member"))
    yield replace(plain, db=DATABASES, key=member_key(key + b"h", b"member"), value=None)
    yield replace(plain, db=MARKS, key=key + b"m", value=None)
    yield replace(plain, db=SCRIPTS, key=key + b"s")


@pytest.mark.parametrize("tracked", [True, False])
def test_a_record_alone_on_each_bound(tracked: bool) -> None:
    both, taken = sides(tracked=tracked), set[object]()
    stamps = [from_ms(NOW), from_ms(LATEST_MS + 1) - 1, from_ms(LATEST_MS + 1)]
    deadlines, shadows = around(NOW, HORIZON_MS, REMEMBERED_MS), [0, *around(NOW, REMEMBERED_MS)]
    for number, (clock, deadline_ms, shadow_ms) in enumerate(product(stamps, deadlines, shadows)):
        for form in forms(number):
            node = SETTINGS.node if number % 2 else form.node  # this engine's own, from before it was started again
            record = replace(form, clock=clock, node=node, deadline_ms=deadline_ms,
                             shadow_ms=shadow_ms or form.named * NOW)  # fmt: skip
            taken.add(same(both, pack(record)))
    assert len(taken) == 3, taken  # new, known and refused
    assert both[0].state(NOW) == both[1].state(NOW)


@pytest.mark.parametrize("tracked", [True, False])
def test_a_record_after_another_with_each_order_of_stamps(tracked: bool) -> None:
    both, taken, number = sides(tracked=tracked), set[object](), 0
    ends = [NOW, NOW + 1, NOW + 5_000, NOW + 9_000]
    for clock, node, deadline_ms, shadow_ms in product((-1, 0, 1), (6, 7, 8), ends, [0, *ends]):
        for earlier_shadow_ms in (0, NOW + 7_000):
            number += 1
            for before, after in product(forms(number), repeat=2):
                if (before.db, before.key[:6]) != (after.db, after.key[:6]):
                    continue
                earlier = replace(before, shadow_ms=max(before.shadow_ms and NOW + 1, earlier_shadow_ms))
                later = replace(after, clock=after.clock + clock, node=node, deadline_ms=deadline_ms,
                                shadow_ms=shadow_ms or after.named * NOW)  # fmt: skip
                same(both, pack(earlier))
                taken.add(same(both, pack(later)))
    assert len(taken) > 1, taken
    assert both[0].state(NOW) == both[1].state(NOW)
    for each, ms in product(range(1, number + 1), (5_999, 9_000)):  # what is here is overdue, and was not looked at
        for form in forms(each):
            late = replace(form, clock=from_ms(NOW + ms // 10), deadline_ms=NOW + ms, shadow_ms=form.named * (NOW + ms))
            same(both, pack(late), NOW + 6_000)
    assert both[0].state(NOW + 6_000)[:4] == both[1].state(NOW + 6_000)[:4]
    for side in both:
        assert any(not side.engine.expire(NOW + 6_000, 1 << 30) for _ in range(100)), "it is never done"
    assert both[0].state(NOW + 6_000)[:4] == both[1].state(NOW + 6_000)[:4]


def test_every_header_whatever_follows_it() -> None:
    both, taken = sides(), set[object]()
    spaces = (0, 1, DATABASES - 1, DATABASES, MARKS - 1, MARKS, SCRIPTS - 1, SCRIPTS, SCRIPTS + 1, 255)
    for flags, db, key_bytes, value_bytes in product(range(256), spaces, (0, 3, 4, 16), (0, 1)):
        head = HEADER.pack(flags, db, key_bytes, value_bytes, from_ms(NOW), 9, NOW + 10_000)
        for more in (-1, 0, 8):
            taken.add(same(both, head + PAYLOAD[: max(more + key_bytes + value_bytes, 0)]))
    assert len(taken) > 3, taken
    assert both[0].state(NOW) == both[1].state(NOW)


def test_a_payload_that_ends_anywhere() -> None:
    payload = b"".join(pack(replace(form, shadow_ms=NOW + 70_000)) for form in forms(1))
    for cut in range(len(payload) + 1):
        both = sides()
        same(both, payload[:cut])
        assert both[0].state(NOW) == both[1].state(NOW), cut


def test_a_names_length_that_reaches_to_the_end_of_a_members_key_and_beyond() -> None:
    both = sides()
    for length, size in product(range(7), range(11)):
        key = length.to_bytes(4, "little")[:size] + b"abcdef"[: max(size - 4, 0)]
        head = HEADER.pack(0, DATABASES, len(key), 1, from_ms(NOW), 9, NOW + 10_000)
        same(both, head + key + b"v")
    assert both[0].state(NOW) == both[1].state(NOW)


def test_sizes_on_the_bound_and_a_store_that_is_full() -> None:
    tight, taken = sides(SETTINGS._replace(bulk_bytes_max=64)), set[object]()
    for size, value in product((63, 64, 65), (b"", b"v", None)):
        key = b"k" * (size - len(value or b""))
        taken.add(same(tight, pack(Record(0, key, value, from_ms(NOW), 9, NOW + 10_000))))
    assert len(taken) > 1 and tight[0].state(NOW) == tight[1].state(NOW)
    full = sides()
    for number, clock in product(range(3), (0, 1, 0)):
        for form in forms(number):
            same(full, pack(replace(form, clock=form.clock + clock)))
        for side in full:  # the first round is written before it is full
            side.engine.configure(SETTINGS._replace(memory_bytes_max=1))
    assert full[0].state(NOW) == full[1].state(NOW)


@pytest.mark.parametrize("name", ENGINES)
def test_what_a_command_may_write_a_peer_with_equal_limits_may_hold(name: str) -> None:
    """Key and value may be as large as an argument each. Together they were refused, and a cut took them away from who
    had acknowledged them.
    """
    settings = SETTINGS._replace(bulk_bytes_max=64)
    writer, peer = (ENGINES[name](settings._replace(node=node)) for node in (1, 2))
    writer.store(0, b"k" * 64, b"v" * 64, NOW + 10_000, False, NOW, b"")
    writer.found(0, b"h", HASH, NOW + 10_000, False, NOW)
    writer.put_member(0, b"h", b"n" * 63, b"v" * 64, None, NOW)
    writer.put_member(0, b"h", b"n" * 64, b"v" * 63, NOW + 9_000, NOW)
    payload = writer.drain(1 << 20)
    merged = peer.merge(payload, NOW)
    assert (merged.new, merged.refused) == (4, 0)
    assert not list(cut_to(Terms(1 << 40, 64), payload, 2, NOW, 0)), "nor is it cut"


def test_the_sizes_of_keys_names_and_values() -> None:
    tight, taken = sides(SETTINGS._replace(bulk_bytes_max=64)), set[object]()
    for number, (key, value) in enumerate(product((0, 1, 63, 64, 65, 128), (0, 1, 63, 64, 65))):
        for name in (0, 1, 63, 64, 65, 128):
            member = member_key(b"k" * key, b"n" * name)
            payload = pack(Record(DATABASES, member, b"v" * value, from_ms(NOW) + number, 9, NOW + 10_000))
            is_cut = bool(list(cut_to(Terms(1 << 40, 64), payload, 2, NOW, 5_000)))
            taken.add(answer := same(tight, payload))
            assert is_cut == bool(answer.refused), (key, name, value, answer)
        taken.add(same(tight, pack(Record(0, b"k" * key, b"v" * value, from_ms(NOW) + number, 9, NOW + 10_000))))
    assert len(taken) > 1 and tight[0].state(NOW) == tight[1].state(NOW)


def test_the_kinds_of_heads() -> None:
    both = sides()
    for kind, value, deadline_ms in product(range(4), (b"", b"v"), around(NOW)):
        flags = kind << KIND_SHIFT
        head = HEADER.pack(flags, 0, 1, len(value), from_ms(NOW), 9, deadline_ms)
        same(both, head + b"%d" % kind + value)
    assert both[0].state(NOW) == both[1].state(NOW)


def test_a_member_of_a_set_has_no_value_whatever_a_peer_says() -> None:
    """Its record has no room for one: what was copied there would lie in other records."""
    both = sides()
    for number in range(200):
        key = Record(0, b"key:%d" % number, b"k" * 40, from_ms(NOW - 5_000), 7, NOW + 60_000)
        member = replace(key, db=SET * DATABASES, key=member_key(b"s", b"m%d" % number), value=b"v" * (17 * number))
        same(both, pack(key) + pack(member) + pack(replace(member, clock=member.clock + 3)))
    assert both[0].state(NOW) == both[1].state(NOW)
    for side in both:
        entries = [side.engine.lookup(0, b"key:%d" % number, NOW) for number in range(200)]
        assert all(entry is not None and entry.value == b"k" * 40 for entry in entries)
        members = [record for one in side.engine.records(SET * DATABASES) for record in unpack(bytes(one))]
        assert len(members) == 200 and {one.value for one in members} == {b""}


def test_versions_of_a_counter_that_meet_tell_of_a_key_that_was_there() -> None:
    both = sides(SETTINGS._replace(counters=True))
    for number, value in enumerate((b"5", b"7", b"9")):
        peer = ENGINES["pure"](SETTINGS._replace(counters=True, node=number + 20, outbox_bytes_max=1 << 20))
        peer.store(0, b"n", value, NOW + 50_000 + number, False, NOW, b"set")
        session = peer.session(lambda *_: b"")
        session.hot, session.permitted = True, -1
        for _ in range(number):
            assert bytes(peer.feed(session, b"INCR n\r\n", NOW))[:1] == b":"
        payload = peer.drain(1 << 20)
        for _ in range(2):
            same(both, payload)
            assert both[0].state(NOW) == both[1].state(NOW)
    assert [event for event, _, _ in both[0].events].count(b"new") == 1


def test_what_an_end_elsewhere_spares_is_behind_it_on_the_clock() -> None:
    """A peer's mark of a head that ended there has a stamp ahead of the clock here. The next write here must outrank
    what was written again behind that mark.
    """
    both = sides()
    for ahead in (0, 1, 500, 1_500):
        key = b"h%d" % ahead
        mark = Record(MARKS, key, None, from_ms(NOW + ahead), 9, NOW - 10, shadow_ms=NOW + 90_000)
        for side in both:
            side.engine.found(0, key, HASH, NOW + 60_000, False, NOW)
            side.engine.put_member(0, key, b"spared", b"v", None, NOW)
        same(both, pack(mark))
        assert both[0].state(NOW) == both[1].state(NOW)
        for side in both:
            side.engine.put_member(0, key, b"spared", b"later", None, NOW)
            found = side.engine.members(0, key, 0, 10, NOW).members
            assert [(one.name, one.value) for one in found] == [(b"spared", b"later")]
        assert both[0].state(NOW) == both[1].state(NOW)


@pytest.mark.slow
def test_a_payload_sweeps_a_million_members_and_more_only_as_its_first() -> None:
    """Members are looked at where some are newer than the mark. Of the native engine: the pure one takes minutes."""
    engine = ENGINES["native"](SETTINGS._replace(outbox_bytes_max=0))
    for key, members in ((b"large", (1 << 20) + 1), (b"small", 3)):
        engine.found(0, key, SET, NOW + 60_000, False, NOW)
        for number in range(members):
            engine.put_member(0, key, b"%d" % number, b"", None, NOW)
    marks = {
        key: pack(Record(MARKS, key, None, from_ms(NOW - 1_000), 9, 0, shadow_ms=NOW + 90_000))
        for key in (b"large", b"small")
    }
    assert engine.merge(marks[b"small"] + marks[b"large"], NOW) == Merged(new=1, known=0, refused=1, malformed=0)
    free = pack(Record(MARKS, b"free", None, from_ms(NOW - 1_000), 9, 0, shadow_ms=NOW + 90_000))
    assert engine.merge(marks[b"large"] + free, NOW) == Merged(new=2, known=0, refused=0, malformed=0), "it clears none"
