"""Counters that several nodes count at once: the law by which versions merge, and both engines under it."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.engine.api import Engine, Settings
from respram.engine.pure.shares import Counter, Share, Timed, counted, folded, join, pack_counter, unpack_counter
from respram.engine.replication import Cut
from respram.errors import PeerError
from respram.integers import INT64_MAX, INT64_MIN
from respram.record import SHARES_MAX, Record, pack, unpack
from tests import dear

from .conftest import ENGINES
from .rig import NOW, RING, SETTINGS, Cold, opened, request

IDS_KEY = 0x1DC0DE
LIFE_MS = 60_000
SIDES = SETTINGS._replace(counters=True)
WHOLE = Cut(stamp=(NOW >> 10) + 100, end=0)

# A share's sum goes with its clock, and a base with its epoch: of each there is one writer.
shares = st.dictionaries(st.sampled_from([1, 2, 3]), st.integers(1, 4), max_size=3).map(
    lambda clocks: tuple(Share(node, clock, clock * 7 - node) for node, clock in sorted(clocks.items()))
)
timed = st.builds(
    Timed,
    st.builds(lambda epoch, at, those: Counter((epoch, 1), epoch * 10, at, those), st.integers(0, 2),
              st.integers(1, 3), shares),
    st.integers(1, 3),
    st.booleans(),
)  # fmt: skip


# -- the law -------------------------------------------------------------------------------------------
@dear.sampled(150, 500, timed, timed, timed)
def test_joining_commutes_is_associative_and_idempotent(one: Timed, other: Timed, third: Timed) -> None:
    assert join(one, one) == one
    assert join(one, other) == join(other, one)
    assert join(join(one, other), third) == join(one, join(other, third))
    assert join(join(one, other), one) == join(one, other)


def test_what_two_sides_counted_is_added_and_what_both_know_is_not_counted_twice() -> None:
    base = Counter((5, 1), 10, 5, ())
    common = counted(base, 1, (6, 1), 5)
    here, there = counted(common, 2, (7, 1), 5), counted(common, 4, (8, 2), 5)
    assert join(Timed(here, 9, True), Timed(there, 9, True)).counter.total == 10 + 1 + 2 + 4


def test_a_higher_epoch_wins_as_a_whole() -> None:
    old = Timed(counted(Counter((5, 1), 10, 5, ()), 100, (9, 2), 5), 50, True)
    new = Timed(Counter((6, 1), 0, 6, ()), 20, False)
    assert join(old, new) == join(new, old) == new


def test_of_two_deadlines_the_one_that_was_set_later_stays() -> None:
    before = Counter((5, 1), 0, 5, ())
    shorter = Timed(before._replace(timed=7), 30, False)
    counted_later = Timed(counted(before, 1, (9, 2), 5), 90, True)
    joined = join(shorter, counted_later)
    assert (joined.deadline_ms, joined.implicit, joined.counter.total) == (30, False, 1)


def test_beyond_64_bits_what_is_read_stays_at_the_bound_and_comes_back() -> None:
    high = Counter((1, 1), INT64_MAX, 1, (Share(1, 2, 5),))
    assert high.total == INT64_MAX
    assert counted(high, -6, (3, 2), 1).total == INT64_MAX - 1
    assert Counter((1, 1), INT64_MIN, 1, (Share(1, 2, -5),)).total == INT64_MIN


def test_a_share_that_would_not_fit_begins_a_new_epoch_with_all_that_is_known() -> None:
    full = Counter((1, 1), INT64_MIN, 1, (Share(1, 2, INT64_MAX),))
    assert counted(full, 1, (3, 1), 1) == Counter((3, 1), 0, 1, ())
    crowded = Counter((1, 1), 0, 1, tuple(Share(node, 2, 1) for node in range(1, SHARES_MAX + 1)))
    assert counted(crowded, 1, (3, 900), 1) == Counter((3, 900), SHARES_MAX + 1, 1, ())
    assert counted(crowded, 1, (3, 5), 1).total == SHARES_MAX + 1
    assert folded(crowded, (9, 9)).total == SHARES_MAX


# -- as bytes ------------------------------------------------------------------------------------------
def test_a_counter_goes_through_its_bytes() -> None:
    counter = counted(counted(Counter((5, 1), -3, 6, ()), 4, (7, 2), 6), -9, (8, 1), 6)
    shares = pack_counter(counter)
    assert unpack_counter(b"-8", shares, (8, 1)) == counter
    record = Record(3, b"k", b"-8", 8, 1, 99, shares=shares)
    assert list(unpack(pack(record))) == [record]
    for lie in (unpack_counter(b"-7", shares, (8, 1)), unpack_counter(b"-8", shares, (7, 9))):
        assert lie is not None and lie.shares == ()  # an integer like any other


@given(st.binary(max_size=80), st.integers(0, 20))
def test_bytes_that_are_no_counter_are_stopped_or_an_integer(shares: bytes, db: int) -> None:
    packed = bytearray(pack(Record(0, b"k", b"7", 8, 1, 99, shares=b"x")))
    packed[1], packed[6:10] = db, (1 + len(shares)).to_bytes(4, "little")
    packed[-1:] = shares
    try:
        (record,) = unpack(bytes(packed))
    except PeerError:
        return
    assert db < 16 and record.shares and record.value
    counter = unpack_counter(record.value, record.shares, record.stamp)
    assert counter is None or b"%d" % counter.total == record.value


# -- the engines ---------------------------------------------------------------------------------------
class Side:
    """An engine with a client."""

    def __init__(self, make: Callable[[Settings], Engine], node: int, sealed: bool) -> None:
        self.engine = make(SIDES._replace(node=node))
        if sealed:
            self.engine.use_seals(RING, True)
        self.engine.track(IDS_KEY)
        self.cold = Cold()
        self.session = self.engine.session(self.cold)
        self.session.trusted = self.session.hot = True

    def run(self, *argv: bytes, at: int = NOW) -> bytes:
        return bytes(self.engine.feed(self.session, request(*argv), at))

    def records(self) -> list[Record]:
        return [record for db in range(16) for packed in self.engine.records(db) for record in unpack(packed)]

    def value(self, at: int = NOW) -> bytes | None:
        entry = self.engine.lookup(0, b"n", at)
        return None if entry is None else entry.value


Pair = tuple[Side, Side]


@pytest.fixture(params=[(name, sealed) for name in ENGINES for sealed in (False, True)], ids=str)
def pair(request: pytest.FixtureRequest) -> Pair:
    name, sealed = request.param
    return Side(ENGINES[name], 11, sealed), Side(ENGINES[name], 22, sealed)


def tell(one: Side, *others: Side, at: int = NOW) -> None:
    payload = one.engine.drain(1 << 20)
    for other in others:
        other.engine.merge(payload, at)


def level(sides: tuple[Side, ...], at: int = NOW) -> int:
    """Lets all hear from all until nobody has anything to say: after how many rounds."""
    for rounds in range(20):
        payloads = [side.engine.drain(1 << 20) for side in sides]
        if not any(payloads):
            assert len({side.engine.digest(WHOLE, at) for side in sides}) == 1
            return rounds
        for side in sides:
            for payload in payloads:
                side.engine.merge(payload, at)
    raise AssertionError("they never stop")


def test_both_sides_of_a_cut_count_and_nothing_is_lost(pair: Pair) -> None:
    one, other = pair
    one.run(b"set", b"n", b"100")
    tell(one, other)
    assert [one.run(b"incr", b"n"), one.run(b"incrby", b"n", b"10")] == [b":101\r\n", b":111\r\n"]
    assert [other.run(b"decr", b"n"), other.run(b"incrby", b"n", b"1000")] == [b":99\r\n", b":1099\r\n"]
    level(pair)
    assert one.value() == other.value() == b"1110"
    assert one.run(b"strlen", b"n") == b":4\r\n"
    assert one.run(b"get", b"n") == b"$4\r\n1110\r\n"
    level(pair)
    assert one.engine.counters()["counters_merged"] + other.engine.counters()["counters_merged"] > 0


def test_both_begin_it(pair: Pair) -> None:
    one, other = pair
    one.run(b"incrby", b"n", b"3")
    other.run(b"incrby", b"n", b"4")
    level(pair)
    assert one.value() == other.value() == b"7"


def test_hearing_it_again_and_out_of_order_counts_nothing_twice(pair: Pair) -> None:
    one, other = pair
    heard = []
    for _ in range(4):
        one.run(b"incr", b"n")
        heard.append(one.engine.drain(1 << 20))
    other.run(b"incrby", b"n", b"10")
    for payload in (*reversed(heard), *heard):
        other.engine.merge(payload, NOW)
    assert other.value() == b"14"
    level(pair)
    assert one.value() == other.value() == b"14"


def test_who_sets_it_cancels_what_the_other_side_counted_meanwhile(pair: Pair) -> None:
    one, other = pair
    one.run(b"incrby", b"n", b"5")
    tell(one, other)
    one.run(b"set", b"n", b"40")
    other.run(b"incrby", b"n", b"7", at=NOW + 5)  # later than the SET, but without having seen it
    level(pair, NOW + 5)
    assert one.value() == other.value() == b"40"
    other.run(b"incr", b"n", at=NOW + 6)
    level(pair, NOW + 6)
    assert one.value() == other.value() == b"41"


@pytest.mark.parametrize("text_at", [3, 7])
def test_a_text_and_a_counter_are_merged_by_stamp(pair: Pair, text_at: int) -> None:
    one, other = pair
    one.run(b"incrby", b"n", b"5")
    tell(one, other)
    text = b"words, and more of them than a number has digits"
    one.run(b"set", b"n", text, at=NOW + text_at)
    other.run(b"incrby", b"n", b"7", at=NOW + 5)
    level(pair, NOW + 7)
    assert one.value() == other.value() == (text if text_at > 5 else b"12")


def test_what_was_let_go_and_counted_anew_does_not_come_back(pair: Pair) -> None:
    one, other = pair
    one.run(b"incrby", b"n", b"5")
    tell(one, other)
    other.run(b"incrby", b"n", b"2")
    old = other.engine.drain(1 << 20)
    one.engine.merge(old, NOW)
    one.engine.let_go(0, b"n", NOW + 1, b"")
    one.run(b"incr", b"n", at=NOW + 2)
    one.engine.merge(old, NOW + 3)
    assert one.value(NOW + 3) == b"1"
    level(pair, NOW + 3)
    assert other.value(NOW + 3) == b"1"


def test_a_deadline_that_was_set_on_one_side_holds_for_what_both_counted(pair: Pair) -> None:
    one, other = pair
    one.run(b"incr", b"n")
    tell(one, other)
    one.run(b"pexpire", b"n", b"500", at=NOW + 1)
    other.run(b"incr", b"n", at=NOW + 2)
    level(pair, NOW + 2)
    for side in pair:
        entry = side.engine.lookup(0, b"n", NOW + 2)
        assert entry is not None and (entry.value, entry.deadline_ms, entry.implicit) == (b"2", NOW + 501, False)
        side.engine.expire(NOW + 5_000, 1_000)
        assert side.value(NOW + 5_000) is None


def test_increx_counts_and_sets_the_deadline_of_its_window(pair: Pair) -> None:
    one, other = pair
    words = (b"increx", b"n", b"ubound", b"3", b"px", b"900", b"enx")
    assert one.run(*words) == b"*2\r\n:1\r\n:1\r\n"
    tell(one, other)
    for side in pair:
        assert side.run(*words, at=NOW + 1) == b"*2\r\n:2\r\n:1\r\n"
        assert side.run(*words, at=NOW + 1) == b"*2\r\n:3\r\n:1\r\n"
    level(pair, NOW + 1)
    assert one.value() == other.value() == b"5"  # above its bound: each side kept to it alone
    assert one.run(*words, at=NOW + 2) == b"*2\r\n:5\r\n:0\r\n"
    assert one.records()[0].deadline_ms == NOW + 900


def test_what_a_number_becomes_is_no_counter_any_more(pair: Pair) -> None:
    for argv in ((b"append", b"n", b"0"), (b"incrbyfloat", b"n", b"1"), (b"setrange", b"n", b"0", b"9")):
        one = pair[0]
        one.run(b"set", b"n", b"1")
        one.run(b"incr", b"n")
        assert one.records()[0].shares
        one.run(*argv)
        assert not one.cold.seen
        assert not one.records()[0].shares
    assert pair[0].value() == b"9"


def test_what_is_too_much_for_64_bits_stays_at_the_bound(pair: Pair) -> None:
    one, other = pair
    one.run(b"set", b"n", b"%d" % (INT64_MAX - 10))
    tell(one, other)
    one.run(b"incrby", b"n", b"9")
    other.run(b"incrby", b"n", b"9")
    level(pair)
    assert one.value() == other.value() == b"%d" % INT64_MAX
    assert one.run(b"decr", b"n") == b":%d\r\n" % INT64_MAX  # 7 more were counted
    assert one.run(b"incrby", b"n", b"-10") == b":%d\r\n" % (INT64_MAX - 3)


def test_more_nodes_than_shares_fold_and_stay_equal(pair: Pair) -> None:
    one, other = pair
    one.run(b"incrby", b"n", b"5")
    (record,) = one.records()
    value = opened(record)
    assert value is not None
    crowd = Counter((0, 0), 0, record.clock, tuple(Share(node, record.clock, 1) for node in range(100, 164)))
    made = replace(record, node=163, value=b"64", shares=pack_counter(crowd), seal=None)
    merged = other.engine.merge(pack(made), NOW)
    assert (merged.new, merged.malformed) == (1, 0)
    assert other.run(b"incr", b"n") == b":65\r\n"
    one.engine.merge(pack(made), NOW)
    assert one.value() == b"69"
    level(pair)
    assert one.value() == other.value()
    assert all(len(pack(record)) < 200 for record in one.records())


def test_whatever_a_peer_says_leaves_a_readable_value(pair: Pair) -> None:
    one, _ = pair
    one.run(b"incrby", b"n", b"5")
    (mine,) = one.records()
    lies = [
        Counter((1 << 63, 1), 4, 1, ()), Counter((0, 0), 9, 1, ()), Counter((0, 0), 4, 1 << 63, ()),
        Counter((0, 0), 2, 1, (Share(11, (1 << 64) - 1, 2),)),
        Counter((0, 0), 0, 1, (Share(12, 1, 2), Share(12, 1, 2))),
    ]  # fmt: skip
    for number, lie in enumerate(lies):
        made = replace(mine, node=99, clock=mine.clock + 1 + number, value=b"4", shares=pack_counter(lie), seal=None)
        one.engine.merge(pack(made), NOW)
        one.run(b"incr", b"n")
        assert one.value() == b"5"  # a plain 4, and 1


def test_alone_and_by_a_majority_a_counter_is_an_integer() -> None:
    for make in ENGINES.values():
        alone = make(SIDES)
        session = alone.session(Cold())
        session.trusted = session.hot = True
        alone.feed(session, request(b"incr", b"n"), NOW)
        plain = make(SETTINGS)
        plain.track(IDS_KEY)
        assert plain.add(0, b"n", 5, NOW + LIFE_MS, True, NOW, b"incrby") == 5
        for engine in (alone, plain):
            (packed,) = engine.records(0)
            assert not next(unpack(packed)).shares


COMMANDS = [
    (b"incr", b"n"), (b"incrby", b"n", b"10"), (b"decr", b"n"), (b"incrby", b"n", b"-100"), (b"set", b"n", b"7"),
    (b"set", b"n", b"text"), (b"pexpire", b"n", b"30000"), (b"expire", b"n", b"100"), (b"incrbyfloat", b"n", b"2"),
]  # fmt: skip


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_on_three_sides_they_become_equal_on_both_engines_alike(seed: int, sealed: bool) -> None:
    told = []
    for make in ENGINES.values():
        rng, now = random.Random(seed), NOW
        sides = tuple(Side(make, node, sealed) for node in (11, 22, 33))
        seen: list[object] = []
        for _ in range(150):
            now += rng.randrange(3)
            side = rng.choice(sides)
            match rng.randrange(6):
                case 0:
                    payload = side.engine.drain(1 << 20)
                    for other in rng.sample(sides, rng.randrange(3)):  # some do not hear of it
                        seen.append(other.engine.merge(payload, now))
                case 1:
                    seen.append(rng.choice(sides).engine.merge(side.engine.fetch(0, b"n", now), now))
                case 2 if rng.randrange(4) == 0:
                    seen.append(side.engine.let_go(0, b"n", now, b""))
                case _:
                    seen.append(side.run(*rng.choice(COMMANDS), at=now))
        for one, other in [*permutations(sides, 2)] * 4:  # all tell all what they hold
            other.engine.merge(one.engine.fetch(0, b"n", now), now)
        held = [
            [(replace(record, seal=None, shares=b"", value=opened(record))) for record in side.records()]
            for side in sides
        ]
        assert held[0] == held[1] == held[2]
        assert len({side.engine.digest(WHOLE, now) for side in sides}) == 1
        told.append(
            (
                seen,
                held,
                [record.shares for record in sides[0].records()],
                [side.engine.counters()["counters_merged"] for side in sides],
            )
        )
    assert all(one == told[0] for one in told)


def test_sides_that_count_alone_lose_nothing_whatever_the_order_of_what_they_hear(pair: Pair) -> None:
    """The sum of all counts, where some of what is told is lost."""
    one, other = pair
    rng = random.Random(5)
    total, now = 0, NOW
    for _ in range(300):
        now += 1
        side, aside = (one, other) if rng.randrange(2) else (other, one)
        step = rng.randrange(-5, 20)
        total += step
        side.run(b"incrby", b"n", b"%d" % step, at=now)
        if not rng.randrange(5):
            payload = side.engine.drain(1 << 20)
            if rng.randrange(3):
                aside.engine.merge(payload, now)
    for _ in range(3):
        other.engine.merge(one.engine.fetch(0, b"n", now), now)
        one.engine.merge(other.engine.fetch(0, b"n", now), now)
    assert one.value(now) == other.value(now) == b"%d" % total
