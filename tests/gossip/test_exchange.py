"""Filters and records: in parts, within budgets, and never believed blindly."""

import pytest

from respram.engine import filters
from respram.engine.replication import Cut
from respram.gossip import exchange, repair, rounds
from respram.gossip.members import Member
from respram.gossip.policy import KIB, MIB, Policy
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.wire.messages import Digest, Filter, Message, Push, Records

from .pair import OLD_MS, OTHER, Pair
from .rig import Bench, member


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


def test_large_values_that_share_a_deadline_go_at_the_bytes_of_a_round() -> None:
    """Ten MiB that end in one millisecond: within one granule the walk goes on like between two."""
    pair = Pair()
    pair.stock(pair.other, range(1_000), size=10 * KIB, apart_ms=0)
    rounds_taken, bytes_taken, frames = 0, 0, []
    while pair.round()[-1] != "B SAME":
        rounds_taken, bytes_taken = rounds_taken + 1, bytes_taken + pair.bytes
        frames.append(sum(line.startswith("B RECORDS") for line in pair.lines))
        assert rounds_taken < 200
    assert pair.held() == (1_000, 1_000)
    assert 3 <= rounds_taken <= 5, "10 MiB at 4 MiB a round, and what a filter passed over"
    assert max(frames) >= 4 * MIB // (75 * KIB), "in parts of 64 KiB and up to a value"
    assert bytes_taken < 1.02 * 1_000 * 10 * KIB


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


def test_a_small_filter_hardly_passes_over_anything_and_a_large_one_stays_small() -> None:
    """Halves of 2,000 records each: one round and not a second for what two filters of 1% would have left, 40 in all.
    """
    pair = Pair()
    pair.stock(pair.one, range(2_000))
    pair.stock(pair.other, range(2_000, 4_000))
    pair.round()
    missing = 8_000 - sum(pair.held())
    assert missing <= 12, "two expected"
    sizes = {}
    for small in (0, 10_000):
        pair = Pair(Policy(small_filter_records=small))
        pair.stock(pair.one, range(2_000))
        pair.stock(pair.other, range(2_000, 4_000), size=1)
        pair.round()
        sizes[small] = pair.one.core.rounds.filter_bytes
    assert 1.5 < sizes[10_000] / sizes[0] < 1.7


def test_who_is_full_takes_nothing_and_still_gives() -> None:
    pair = Pair(memory_bytes_max=400_000)
    pair.stock(pair.other, range(2_000))
    assert pair.other.engine.full()
    pair.stock(pair.one, range(3_000, 3_100))
    lines = pair.round()
    assert "B FILTER nothing wanted" in lines and "A RECORDS all" not in lines
    assert pair.held()[0] > 150


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
    bench.say(1, Filter(1, 0, 7, 0, exchange._SELECTION.pack(*cut, 0, 0), 0, 1, data))
    assert "filter" in bench.hangups()[1]
    assert not bench.sent(Records)


@pytest.mark.parametrize(
    "message",
    [
        Digest(1, b"short"),
        Filter(1, 0, 7, 0, b"short", 0, 1, b""),
        Filter(1, 0, 7, 0, exchange._SELECTION.pack(5, 5, 0, 0), 0, 1, b""),
        Filter(1, 0, 7, 0, exchange._SELECTION.pack(1, 1, 0, 0), 3, 2, b""),
        Filter(1, 0, 7, 0, exchange._SELECTION.pack(1, 1, 0, 0), 0, 65_535, b""),
        Filter(1, 0, 7, 0, exchange._SELECTION.pack(1, 1, 99, 0), 0, 1, b""),
    ],
)
def test_what_cannot_be_read_ends_the_link_and_nothing_else(message: Message) -> None:
    bench = Bench()
    bench.meet(1, member(OTHER))
    bench.meet(2, Member(0x300, b"main", b"third:1", ready=True))
    core = bench.core
    cut = Cut(1, 1)
    core.rounds.others[OTHER] = rounds.Round(7, core.neighbours.peers[OTHER], cut, cut.stamp, False, 1 << 40)
    bench.say(1, message)
    assert list(bench.hangups()) == [1]


def test_a_push_is_no_repair() -> None:
    bench = Bench()
    bench.meet(1, member(OTHER))
    record = pack(Record(0, b"k", b"v", OLD_MS << 16, 5, EPOCH_MS + 100_000))
    bench.say(1, Push(1, 0, OTHER, 1, 0, 0, record))
    assert bench.engine.count(0, EPOCH_MS) == 1 and bench.core.rounds.repaired == 0
