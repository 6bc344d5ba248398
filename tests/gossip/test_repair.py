"""The ladder of comparison between two cores, told as transcripts; and filters that lie."""

from dataclasses import replace

from respram.gossip import repair
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.wire.messages import Digest

from .pair import OLD_MS, OTHER, Pair
from .rig import Bench, member


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


def test_a_cut_far_in_the_past_ends_the_link() -> None:
    bench = Bench()
    bench.meet(1, member(OTHER))
    bench.say(1, Digest(7, repair._DIGEST.pack(1000, 1000, 0, 0, 0)))
    assert "clocks" in bench.hangups()[1]
