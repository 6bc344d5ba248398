"""The ladder of comparison between two cores, told as transcripts; and filters that lie."""

from dataclasses import replace

import pytest

from respram.engine import filters
from respram.engine.replication import Cut
from respram.gossip import repair
from respram.gossip.effects import Hangup, Send
from respram.gossip.members import Member
from respram.gossip.policy import Policy
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.wire.codec import encode
from respram.wire.messages import Buckets, Digest, Filter, Message, Records, Same

from .rig import ME, Bench, hello, member

OTHER = 0x200
OLD_MS = EPOCH_MS - 60_000  # of stamps: settled long ago


class Pair:
    """Two benches, one link, everything that passes written down."""

    def __init__(self, policy: Policy | None = None, memory_bytes_max: int = 0) -> None:
        quiet = policy or Policy()
        self.one = Bench(quiet, seed=1)
        self.other = Bench(quiet, seed=2, memory_bytes_max=memory_bytes_max)
        other = self.other.core
        other.book.me = member(OTHER)
        other.book.sum = self.one.core.book.sum
        self.one.meet(1, member(OTHER))
        self.other.take(other.opened(1, b"", self.other.now))
        self.other.say(1, hello(member(ME)))
        other.book.sum = self.one.core.book.sum  # of no interest here
        for bench in (self.one, self.other):
            bench.forget()
        self.lines: list[str] = []
        self.bytes = 0

    def stock(self, bench: Bench, keys: range, ttl_ms: int = 100_000, clock_ms: int = OLD_MS, size: int = 20) -> None:
        for key in keys:
            record = Record(0, b"k%d" % key, b"v" * size, clock_ms << 16, 5, EPOCH_MS + ttl_ms + key * 10)
            bench.engine.merge(pack(record), bench.now.wall_ms)

    def round(self) -> list[str]:
        """One comparison begun by `one`, until nobody has anything to say."""
        self.lines, self.bytes = [], 0
        self.one.core.now = self.one.now
        repair.begin(self.one.core)
        self.one.take(self.one.core._taken())
        benches = (self.one, self.other)
        for _ in range(10_000):
            spoken = False
            for bench, hearer in (benches, benches[::-1]):
                while bench.core.jobs:
                    bench.take(bench.core.tick(bench.now))
                effects, bench.effects = bench.effects, []
                for effect in effects:
                    if isinstance(effect, Send) and isinstance(
                        effect.message, Digest | Same | Buckets | Filter | Records
                    ):
                        spoken = True
                        self.note("A" if bench is self.one else "B", effect.message)
                        hearer.say(1, effect.message)
                    elif isinstance(effect, Hangup):
                        self.lines.append(f"hangup: {effect.reason}")
                for link in bench.core.greeted():  # acknowledged at once: the window is not the matter here
                    bench.core._acknowledged(link, link.next_seq - 1, b"")
            if not spoken and not any(bench.effects or bench.core.jobs for bench in benches):
                break
        return self.lines

    def note(self, who: str, message: Message) -> None:
        self.bytes += len(encode(message))
        line = f"{who} {message.word.decode()}"
        if isinstance(message, Buckets):
            line += f" {len(message.payload) // 16}"
        elif isinstance(message, Filter):
            selection = repair._unpack_selection(message.selection)
            kind = "since" if selection.since else f"{len(selection.buckets)} buckets"
            line += f" {'answer' if message.answer else 'offer'} {kind}" if message.parts else " nothing wanted"
        elif isinstance(message, Records):
            line += f" {('', 'all', 'more')[message.last]}"
        self.lines.append(line.rstrip())

    def held(self) -> tuple[int, int]:
        return self.one.engine.count(0, EPOCH_MS), self.other.engine.count(0, EPOCH_MS)


def test_a_converged_pair_takes_under_100_bytes_whatever_it_holds() -> None:
    pair = Pair()
    for bench in (pair.one, pair.other):
        pair.stock(bench, range(3_000))
    assert pair.round() == ["A DIGEST", "B SAME"]
    assert pair.bytes <= 100


def test_each_side_gets_what_it_lacks() -> None:
    pair = Pair()
    pair.stock(pair.one, range(300))
    pair.stock(pair.other, range(200, 500))
    lines = pair.round()
    assert lines == [
        "A DIGEST",
        "B BUCKETS 4",
        "A FILTER offer 6 buckets",
        "B RECORDS all",
        "B FILTER answer 6 buckets",
        "A RECORDS all",
    ]
    assert all(count > 490 for count in pair.held())
    for _ in range(4):
        if pair.round()[-1] == "B SAME":
            break
    assert pair.held() == (500, 500) and pair.lines == ["A DIGEST", "B SAME"]


def test_only_buckets_that_differ_are_looked_at() -> None:
    pair = Pair()
    for bench in (pair.one, pair.other):
        pair.stock(bench, range(5_000))
    pair.stock(pair.other, range(5_000, 5_001))
    lines = pair.round()
    assert lines[1:3] == ["B BUCKETS 50", "A FILTER offer 1 buckets"]
    assert pair.held() == (5_001, 5_001)


def test_since_the_last_equal_digest_is_taken_when_it_is_less() -> None:
    pair = Pair()
    for bench in (pair.one, pair.other):
        pair.stock(bench, range(2_000))
    assert pair.round()[-1] == "B SAME"
    for bench in (pair.one, pair.other):
        bench.ms += 20_000
    pair.stock(pair.other, range(0, 2_000, 100), ttl_ms=100_001, clock_ms=EPOCH_MS + 15_000)
    lines = pair.round()
    assert "A FILTER offer since" in lines
    assert pair.bytes < 20 * 80 + 700  # the records, and a filter of twenty
    assert pair.round() == ["A DIGEST", "B SAME"]


def test_what_came_late_with_an_old_stamp_is_found_by_buckets() -> None:
    pair = Pair()
    for bench in (pair.one, pair.other):
        pair.stock(bench, range(100))
    pair.round()
    for bench in (pair.one, pair.other):
        bench.ms += 20_000
    pair.stock(pair.other, range(100, 105))
    assert "A FILTER offer since" in pair.round()
    assert "A FILTER offer 1 buckets" in pair.round()
    assert pair.held() == (105, 105)


def test_an_overwritten_value_heals_and_so_does_a_shadow() -> None:
    pair = Pair()
    for bench in (pair.one, pair.other):
        pair.stock(bench, range(50))
    pair.stock(pair.other, range(7, 8), clock_ms=OLD_MS + 5)
    base = Record(0, b"s", b"v", OLD_MS << 16, 5, EPOCH_MS + 100_000)
    pair.one.engine.merge(pack(base), EPOCH_MS)
    pair.other.engine.merge(pack(replace(base, shadow_ms=EPOCH_MS + 300_000)), EPOCH_MS)
    pair.round()
    for _ in range(3):
        if pair.round()[-1] == "B SAME":
            break
    assert pair.lines == ["A DIGEST", "B SAME"]


def test_the_soonest_to_end_come_first_within_the_bytes_of_a_round() -> None:
    pair = Pair(Policy(records_bytes_max=20_000))
    pair.stock(pair.other, range(1_000))
    lines = pair.round()
    assert "B RECORDS more" in lines
    got = [int(key[1:]) for key in pair.one.engine.scan(0, 0, 10_000, EPOCH_MS).keys]
    assert 200 < len(got) < 600 and max(got) < 600
    for _ in range(10):
        if pair.round()[-1] == "B SAME":
            break
    assert pair.held() == (1_000, 1_000)


def test_large_filters_go_in_parts_and_large_records_in_parts() -> None:
    pair = Pair(Policy(filter_part_bytes=500, filter_records_max=10_000))
    pair.stock(pair.one, range(2_000))
    pair.stock(pair.other, range(1_000, 3_000), size=100)
    pair.stock(pair.other, range(500, 600))
    lines = pair.round()
    assert lines.count("A FILTER offer 21 buckets") >= 3 and lines.count("B RECORDS") >= 2
    for _ in range(4):
        pair.round()
    assert pair.held() == (3_000, 3_000)


def test_who_is_full_takes_nothing_and_still_gives() -> None:
    pair = Pair(memory_bytes_max=40_000)
    pair.stock(pair.other, range(200))
    assert pair.other.engine.full()
    pair.stock(pair.one, range(1_000, 1_100))
    lines = pair.round()
    assert "B FILTER nothing wanted" in lines and "A RECORDS all" not in lines
    assert pair.held()[0] > 150


def test_a_peer_that_does_not_keep_what_it_gets_slows_the_pace() -> None:
    pair = Pair()
    pair.stock(pair.one, range(10))
    begun = pair.one.core.repair
    for _ in range(5):
        repair.begin(pair.one.core)
        assert begun.own is not None
        begun.own.refused = True
        begun.own.moved = 1
        repair.finish(pair.one.core, begun.own)
    assert begun.interval_ms == 8_000


@pytest.mark.parametrize("poison", ["ones", "zeros"])
def test_a_poisoned_filter_ends_the_link(poison: str) -> None:
    bench = Bench()
    bench.meet(1, member(OTHER))
    for key in range(100):
        record = Record(0, b"k%d" % key, b"v", OLD_MS << 16, 5, EPOCH_MS + 100_000)
        bench.engine.merge(pack(record), EPOCH_MS)
    bloom = filters.RecordFilter(100, 1)
    bloom.add_ids(list(range(100)))
    data = bloom.to_bytes()
    fill = b"\xff" if poison == "ones" else b"\0"
    data = data[: filters.HEADER.size] + fill * (len(data) - filters.HEADER.size)
    cut = (EPOCH_MS - 2_000 >> 10, EPOCH_MS + 2_000 >> 10)
    bench.say(1, Digest(7, repair._DIGEST.pack(*cut, 0, 0, 0)))
    bench.say(1, Filter(1, 0, 7, 0, repair._SELECTION.pack(*cut, 0, 0), 0, 1, data))
    assert "filter" in bench.hangups()[1]
    assert not bench.sent(Records)


@pytest.mark.parametrize(
    "message",
    [
        Digest(1, b"short"),
        Filter(1, 0, 7, 0, b"short", 0, 1, b""),
        Filter(1, 0, 7, 0, repair._SELECTION.pack(5, 5, 0, 0), 0, 1, b""),
        Filter(1, 0, 7, 0, repair._SELECTION.pack(1, 1, 0, 0), 3, 2, b""),
        Filter(1, 0, 7, 0, repair._SELECTION.pack(1, 1, 0, 0), 0, 65_535, b""),
        Filter(1, 0, 7, 0, repair._SELECTION.pack(1, 1, 99, 0), 0, 1, b""),
    ],
)
def test_what_cannot_be_read_ends_the_link_and_nothing_else(message: Message) -> None:
    bench = Bench()
    bench.meet(1, member(OTHER))
    bench.meet(2, Member(0x300, b"main", b"third:1", ready=True))
    core = bench.core
    cut = Cut(1, 1)
    core.repair.others[OTHER] = repair.Round(7, core.peers[OTHER], cut, False, 1 << 40)
    bench.say(1, message)
    assert list(bench.hangups()) == [1]


def test_a_cut_far_in_the_past_ends_the_link() -> None:
    bench = Bench()
    bench.meet(1, member(OTHER))
    bench.say(1, Digest(7, repair._DIGEST.pack(1000, 1000, 0, 0, 0)))
    assert "clocks" in bench.hangups()[1]
