"""Collections: both engines do the same, nodes that exchange everything agree, and nothing is left in the end."""

import random
from collections.abc import Callable
from typing import TypeVar

import pytest

from respram.engine import make
from respram.engine.api import Engine, Entry, Member
from respram.engine.pure.engine import PureEngine
from respram.engine.pure.merge import SWEPT_MAX
from respram.engine.replication import Cut
from respram.record import HASH, MARKS, SET, Record, member_key, pack, unpack
from tests import dear

from .rig import NOW, SETTINGS

T = TypeVar("T")
Event = tuple[bytes, int, bytes]
KEYS = (b"a", b"b", b"c")
NAMES = tuple(b"f%d" % number for number in range(5))
SPACES_USED = range(0, MARKS + 1, 16)  # of database 0
OWN_COUNTS = {"record_overhead_bytes", "stub_bytes"}
STEPS = 120


def noting(events: list[Event]) -> Callable[[bytes, int, bytes], None]:
    return lambda name, db, key: events.append((name, db, key))


def records(space: int) -> Callable[[Engine], list[str]]:
    return lambda engine: sorted(repr(record) for packed in engine.records(space) for record in unpack(packed))


class Pair:
    """One node, twice: what one engine answers the other has to answer too."""

    def __init__(self, node: int, tracked: bool) -> None:
        settings = SETTINGS._replace(node=node, outbox_bytes_max=SETTINGS.outbox_bytes_max if tracked else 0)
        self.engines: tuple[Engine, Engine] = (PureEngine(settings), make("native", settings))
        self.events: tuple[list[Event], ...] = ([], [])
        for number, events in enumerate(self.events):
            engine: Engine = self.engines[number]
            engine.observer = noting(events)
            if tracked:
                engine.track(7, NOW)

    def ask(self, what: Callable[[Engine], T]) -> T:
        pure, native = (what(engine) for engine in self.engines)
        assert pure == native
        return pure

    def state(self, now_ms: int) -> None:
        """Both hold the same, and told the same; what ends together ends in either's own order."""
        for space in SPACES_USED:
            self.ask(records(space))
        assert sorted(self.events[0]) == sorted(self.events[1])
        self.ask(lambda engine: {
            name: count for name, count in engine.counters().items() if name not in OWN_COUNTS
            and not name.startswith("hot_")
        })  # fmt: skip


def shown(engine: Engine, key: bytes, now_ms: int) -> tuple[Entry | None, list[Member]]:
    entry = engine.peek(0, key, now_ms)
    return entry and entry._replace(version=0), sorted(engine.members(0, key, 0, 100, now_ms).members)


def change(rng: random.Random, pair: Pair, key: bytes, name: bytes, now_ms: int, number: int) -> None:
    entry = pair.ask(lambda engine: shown(engine, key, now_ms)[0])
    kind, choice = entry.kind if entry else 0, rng.randrange(9)
    if choice < 4:
        if entry is None or (not kind and rng.random() < 0.3):
            kind, deadline_ms = rng.choice((HASH, HASH, SET)), now_ms + rng.choice((5, 50, 500, 5000))
            for engine in pair.engines:
                engine.found(0, key, kind, deadline_ms, True, now_ms)
        if kind:
            own_ms, value = rng.choice((None, None, None, now_ms + 10, now_ms + 300, now_ms + 9000)), b"%d" % number
            pair.ask(lambda engine: engine.put_member(0, key, name, value, own_ms, now_ms))
    elif choice == 4:
        pair.ask(lambda engine: engine.let_go_member(0, key, name, now_ms))
    elif choice == 5:
        for engine in pair.engines:
            engine.store(0, key, b"s", now_ms + 500, False, now_ms, b"set")
    elif choice < 8:
        deadline_ms = now_ms + rng.choice((5, 50, 400, 4000, 20_000))
        pair.ask(lambda engine: engine.retime(0, key, deadline_ms, False, now_ms, b"expire"))
    else:
        pair.ask(lambda engine: engine.let_go(0, key, now_ms, b"del"))


def look(pair: Pair, key: bytes, name: bytes, now_ms: int) -> None:
    pair.ask(lambda engine: (engine.member(0, key, name, now_ms), shown(engine, key, now_ms)))
    pair.ask(lambda engine: (engine.count(0, now_ms), sorted(engine.scan(0, 0, 1000, now_ms).keys)))
    pair.ask(lambda engine: sorted(map(repr, unpack(engine.fetch(0, key, now_ms)))))


def exchange(giver: Pair, taker: Pair, now_ms: int, arrives: bool) -> None:
    payloads = [engine.drain(1 << 20) for engine in giver.engines]
    first, second = (sorted(map(repr, unpack(payload))) for payload in payloads)
    assert first == second
    if arrives:
        taker.ask(lambda engine: engine.merge(payloads[0], now_ms))


def dumped(engine: Engine, now_ms: int) -> bytes:
    point, payload = 0, b""
    while point < 1 << 32:
        found = engine.dump(point, 1 << 20, now_ms)
        payload, point = payload + found.payload, found.cursor
    return payload


def play(seed: int, tracked: bool) -> None:
    rng = random.Random(seed)
    nodes, now_ms = (Pair(1, tracked), Pair(2, tracked)), NOW
    for number in range(STEPS):
        now_ms += rng.choice((0, 0, 1, 3, 20, 200))
        at = rng.randrange(2) if tracked else 0
        pair, key, name, choice = nodes[at], rng.choice(KEYS), rng.choice(NAMES), rng.randrange(14)
        if choice < 10:
            change(rng, pair, key, name, now_ms, number)
        elif choice == 10:
            for engine in pair.engines:
                engine.expire(now_ms, 1000)
                engine.expire(now_ms, 1000)
        elif choice == 11:
            look(pair, key, name, now_ms)
        elif tracked:
            exchange(pair, nodes[1 - at], now_ms, rng.random() < 0.8)
        for one in nodes:
            one.state(now_ms)
    if tracked:
        agree(nodes, now_ms)
    for one in nodes:
        for engine in one.engines:
            while engine.expire(now_ms + 40_000_000, 1000):
                pass
            counts = engine.counters()
            assert counts["records"] == counts["stubs"] == 0


def take_all(taker: Pair, payload: bytes, now_ms: int) -> None:
    taker.ask(lambda engine: engine.merge(payload, now_ms))


def agree(nodes: tuple[Pair, Pair], now_ms: int) -> None:
    for _ in range(3):  # a mark that one learns may be news to the other
        for giver, taker in (nodes, nodes[::-1]):
            take_all(taker, dumped(giver.engines[0], now_ms), now_ms)
    cut = Cut(now_ms + 9_000 >> 10, now_ms >> 10)
    assert len({engine.digest(cut, now_ms) for pair in nodes for engine in pair.engines}) == 1
    for key in KEYS:
        assert len({repr(shown(engine, key, now_ms)) for pair in nodes for engine in pair.engines}) == 1, key


@pytest.mark.parametrize("seeds", dear.first(1, (range(15), range(15, 60))), ids=str)
def test_both_engines_keep_collections_alike_and_nodes_agree(seeds: range) -> None:
    for seed in seeds:
        play(seed, tracked=seed % 3 > 0)


def test_a_large_one_is_kept_when_digests_begin_and_goes_in_slices() -> None:
    for engine in Pair(1, False).engines:
        engine.found(0, b"k", SET, NOW + 600_000, False, NOW)
        names = [b"m%d" % number for number in range(3000)]
        assert all(engine.put_member(0, b"k", name, b"", None, NOW) for name in names)
        engine.track(7, NOW)
        for name in names[::2]:
            assert engine.let_go_member(0, b"k", name, NOW)
        assert {one.name for one in engine.members(0, b"k", 0, 5000, NOW).members} == set(names[1::2])
        engine.retime(0, b"k", NOW + 100, False, NOW, b"expire")
        engine.expire(NOW + 200, 64)
        assert engine.peek(0, b"k", NOW + 200) is None and engine.next_due_ms(NOW + 200) == 0
        before = engine.counters()["records"]
        assert engine.expire(NOW + 200, 64) >= 64 and before > engine.counters()["records"] >= before - 64


def names_in(engine: Engine, now_ms: int) -> set[bytes]:
    return {one.name for one in engine.members(0, b"k", 0, 100, now_ms).members}


def test_a_head_written_behind_the_end_of_the_one_that_lives_here_is_another_collection() -> None:
    """Its writer's clock is ahead of this node's. With an EXPIRE, which came before the end, the members stay."""
    for clock_ms, kept in ((200, {b"f", b"g"}), (350, {b"g"})):
        for engine in Pair(1, True).engines:
            engine.found(0, b"k", HASH, NOW + 300, False, NOW)
            engine.put_member(0, b"k", b"f", b"old", None, NOW)
            head = Record(0, b"k", b"", NOW + clock_ms << 16, 9, NOW + 30_000, kind=HASH)
            added = Record(
                16, member_key(b"k", b"g"), b"new", (NOW + clock_ms << 16) + 1, 9, NOW + 30_000, implicit=True
            )
            engine.merge(pack(head) + pack(added), NOW + 100)
            engine.expire(NOW + 100, 1000)
            assert names_in(engine, NOW + 100) == kept
            marks = [record for record in unpack(engine.drain(1 << 20)) if record.db == MARKS]
            assert bool(marks) == (b"f" not in kept)


def test_what_is_begun_anew_shows_no_member_that_is_newer_than_the_old_end() -> None:
    """A peer's clock is ahead, and so are the stamps of this node, which has heard of it."""
    for engine in Pair(1, True).engines:
        engine.merge(pack(Record(0, b"x", b"v", NOW + 900 << 16, 9, NOW + 60_000)), NOW)
        engine.found(0, b"k", HASH, NOW + 300, False, NOW)
        engine.put_member(0, b"k", b"f", b"old", NOW + 9_000, NOW)
        assert names_in(engine, NOW) == {b"f"}
        engine.found(0, b"k", HASH, NOW + 5_000, False, NOW + 400)
        engine.put_member(0, b"k", b"g", b"new", None, NOW + 400)
        assert names_in(engine, NOW + 400) == {b"g"}


def test_what_is_begun_anew_shows_no_member_that_lived_by_a_longer_head_elsewhere() -> None:
    """A peer made the end later, and what it has put since came here before its head, which is still on its way."""
    for engine in Pair(1, True).engines:
        engine.found(0, b"k", HASH, NOW + 300, False, NOW)
        engine.put_member(0, b"k", b"f", b"own", None, NOW)
        put = Record(16, member_key(b"k", b"g"), b"peer's", NOW + 200 << 16, 9, NOW + 9_000, implicit=True)
        engine.merge(pack(put), NOW + 200)
        assert names_in(engine, NOW + 200) == {b"f", b"g"}
        engine.expire(NOW + 2_000, 1000)
        late = Record(16, member_key(b"k", b"h"), b"unseen", NOW + 1_900 << 16, 9, NOW + 9_000, implicit=True)
        engine.found(0, b"k", HASH, NOW + 5_000, False, NOW + 2_000)
        engine.put_member(0, b"k", b"i", b"new", None, NOW + 2_000)
        assert names_in(engine, NOW + 2_000) == {b"i"}
        engine.merge(pack(late), NOW + 2_000)  # nobody saw it here under the head that ended: two collections, united
        assert names_in(engine, NOW + 2_000) == {b"h", b"i"}


def test_a_longer_head_of_a_peer_gives_no_member_here_a_new_stamp() -> None:
    """The peer may have replaced the member before; then the old value would outrank the new one, which comes later."""
    for engine in Pair(1, True).engines:
        engine.found(0, b"k", HASH, NOW + 300, False, NOW)
        engine.put_member(0, b"k", b"f", b"old", None, NOW)
        replaced = Record(16, member_key(b"k", b"f"), b"new", NOW + 50 << 16, 9, NOW + 200)
        engine.merge(pack(Record(0, b"k", b"", NOW + 100 << 16, 9, NOW + 9_000, kind=HASH)), NOW + 100)
        engine.merge(pack(replaced), NOW + 100)
        [member] = engine.members(0, b"k", 0, 100, NOW + 100).members
        assert member.value == b"new"


def test_an_end_elsewhere_clears_what_was_put_under_a_head_that_is_older_than_the_one_that_ended() -> None:
    """A peer made the end earlier: what it ended is newer. The end of an older one clears nothing put since."""
    for head_ms, kept in ((100, False), (-100, True)):
        for engine in Pair(1, True).engines:
            engine.found(0, b"k", HASH, NOW + 9_000, False, NOW)
            engine.put_member(0, b"k", b"f", b"v", None, NOW)
            mark = Record(MARKS, b"k", None, NOW + 300 << 16, 9, NOW + head_ms, NOW + 9_000)
            engine.merge(pack(mark), NOW + 400)
            engine.merge(pack(mark), NOW + 400)
            assert names_in(engine, NOW + 400) == ({b"f"} if kept else set())
            again = [record for record in unpack(engine.drain(1 << 20)) if record.db == HASH * 16]
            assert [record.clock > mark.clock for record in again] == [kept]
            assert (engine.peek(0, b"k", NOW + 400) is not None) is kept


def test_who_begins_anew_behind_an_end_clears_by_a_write_what_was_made_longer_elsewhere() -> None:
    for engine in Pair(1, True).engines:
        engine.found(0, b"k", HASH, NOW + 300, False, NOW)
        engine.put_member(0, b"k", b"f", b"old", NOW + 9_000, NOW)
        engine.expire(NOW + 400, 1000)
        [ended] = [record for record in unpack(engine.drain(1 << 20)) if record.db == MARKS]
        assert (ended.clock, ended.deadline_ms) == (NOW + 300 << 16, NOW)
        engine.found(0, b"k", HASH, NOW + 5_000, False, NOW + 400)
        [begun] = [record for record in unpack(engine.drain(1 << 20)) if record.db == MARKS]
        assert (begun.clock, begun.deadline_ms) == (ended.clock + 1, 0)


def begun(engine: Engine, count: int) -> None:
    """A hash with so many fields of this node's own."""
    engine.found(0, b"k", HASH, NOW + 900_000, False, NOW)
    for number in range(count):
        engine.put_member(0, b"k", b"%d" % number, b"v", None, NOW)


def test_marks_of_one_payload_have_so_many_members_looked_at_and_no_more() -> None:
    """Each mark takes a peer 60 bytes and has all members of the collection looked at that it is older than. A thousand
    of them in one frame would hold up everybody for as long as a thousand walks take.
    """
    count, marks = 20_000, 400
    for engine in Pair(1, True).engines:
        begun(engine, count)
        first = NOW - 1_000 << 16
        told = (Record(MARKS, b"k", None, first + number, 9, 0, NOW + 900_000) for number in range(marks))
        payload = b"".join(map(pack, told))
        merged = engine.merge(payload, NOW + 1)
        assert (merged.new, merged.refused) == (SWEPT_MAX // count, marks - SWEPT_MAX // count)
        assert engine.merge(pack(Record(MARKS, b"k", None, first + marks, 9, 0, NOW + 900_000)), NOW + 1).new == 1
        entry = engine.peek(0, b"k", NOW + 1)
        assert entry is not None and entry.length == count


def test_a_collection_has_the_empty_key() -> None:
    """Its bytes may lie nowhere: what copies or compares none of them is for the sanitizers to see."""
    for engine in Pair(1, True).engines:
        engine.found(0, b"", HASH, NOW + 1_000, False, NOW)
        engine.put_member(0, b"", b"", b"", None, NOW)
        engine.put_member(0, b"", b"f", b"", NOW + 3_000, NOW)  # its head is remembered for longer
        engine.retime(0, b"", NOW + 2_000, False, NOW, b"expire")
        shown = [engine.member(0, b"", name, NOW + 1_500) for name in (b"", b"f")]
        assert shown == [Member(b"", b"", NOW + 2_000, False), Member(b"f", b"", NOW + 3_000, True)]
